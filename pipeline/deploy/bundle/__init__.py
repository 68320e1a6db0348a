"""Make a bundle: model files, the runtime and its wheels, in an archive that installs itself on a board.

edgecnn-NAME-VERSION-MACHINE/
    install.sh             installs what lies beside it; see there
    edgecnn-watch.service  systemd unit that classifies what comes into a folder
    edgecnn-serve.service  systemd unit that classifies what a camera sees, with a page and MQTT
    bundle.json            what it is for: machine, Python, artifacts; its version, its date and the key's name
    requirements.txt       every package, pinned and with hashes
    models/                the artifacts and their manifest
    acceptance/CLASS/      photos of known labels, where there are any, which the board has to name as well
    wheels/                the runtime as this project's wheel, what it needs, and the pip that installs it
    next-key.pub           the key that signs later bundles, where it is to be another one
    SHA256SUMS             of all the files above, as sha256sum checks them
    model.sig              OpenSSF model-signing's signature of all the files above, where there is a key
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.deploy.bundle.acceptance import bring
from pipeline.deploy.bundle.archive import pack
from pipeline.deploy.bundle.sign import check_key, next_key, sign
from pipeline.deploy.bundle.version import build_time, check_version, default_version
from pipeline.deploy.bundle.wheels import Target, build_runtime_wheel, fetch, hash_line, lock
from pipeline.documents.verify import Verification
from pipeline.errors import BundleBuildError
from pipeline.system.quiet import load_classifier
from runtime import __version__
from runtime.bundle import NEXT_KEY, SUMS
from runtime.engines.registry import default_engine, file_formats
from runtime.replay import replay
from runtime.system.writing import check_writable

FORMAT, FORMAT_VERSION = "edgecnn-bundle", 1
BUNDLE, REQUIREMENTS, MODELS, WHEELS = "bundle.json", "requirements.txt", "models", "wheels"
ALWAYS_THERE = "onnxruntime"
"""The engine of the bare install; each other one is an extra of the project by the same name."""
SCRIPTS = ("install.sh", "edgecnn-watch.service", "edgecnn-serve.service")


@dataclass(frozen=True)
class Settings:
    """What goes into a bundle.

    Attributes:
        name: what it is called, of letters, digits, ``.``, ``_`` and ``-``.
        artifacts: file names in the folder that export wrote; int8 ONNX alone by default, the smallest that the
            bare install runs.
        target: where it is to be installed.
        engines: extras of the project to bring besides those that the artifacts need.
        extras: what else to bring, as ``mqtt``.
        wheels: bring the wheels; without them the device has them from the version before, or fetches them.
        sign_key: private key in PEM, of the curve P-256.
        next_key: public key in PEM by which boards have later bundles signed, once they have installed this one.
        version: a whole number that grows from bundle to bundle; without it see ``default_version``.
        acceptance: folder of photos of known labels to bring, with a folder for each class.
    """

    name: str
    target: Target
    artifacts: tuple[str, ...] = (artifacts.INT8_ONNX,)
    engines: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    wheels: bool = True
    sign_key: Path | None = None
    version: int | None = None
    acceptance: Path | None = None
    next_key: Path | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.name):
            raise BundleBuildError(f"name {self.name!r}: expected letters, digits, '.', '_' and '-'")
        if self.next_key and not self.sign_key:
            raise BundleBuildError(f"{self.next_key}: a next key has to be signed by the present one: give it as well")
        if self.version is not None:
            check_version(self.version)


def bundle(folder: Path, out: Path, settings: Settings) -> Path:
    """Write the bundle of a folder that export wrote.

    Args:
        folder: holds the artifacts and their manifest.
        out: folder for the archive.
        settings: what goes into it.

    Returns:
        The archive, ``edgecnn-NAME-VERSION-MACHINE.tar.gz``; unsigned, the same files give the same bytes.

    Raises:
        BundleBuildError: an artifact may not ship, the key cannot sign, a wheel is not to be had, or the acceptance
            photos are too many or unusable.
        DataError: no folder of acceptance photos, or its classes are not the model's.
        DocumentError: what verify wrote cannot be read.
        ModelError: an artifact is missing or damaged.
        OutputError: the archive cannot be written.
    """
    version = settings.version or default_version(signed=settings.sign_key is not None)
    built = build_time(signed=settings.sign_key is not None)
    stem = f"edgecnn-{settings.name}-{__version__}-{settings.target.machine}"
    archive = out / f"{stem}.tar.gz"
    check_writable(archive)
    stated: dict[str, Any] = {} if version is None else {"bundle_version": version}
    if built:
        stated["date"] = built.strftime("%Y-%m-%dT%H:%M:%SZ")
    successor = b""
    if settings.sign_key:
        stated |= check_key(settings.sign_key)
        if settings.next_key:
            successor = next_key(settings.next_key, stated["key_sha256"])
    for name in settings.artifacts:
        _require_fit(folder, name)
    needed = {str(default_engine(Path(name).suffix)) for name in settings.artifacts}
    engines = sorted({*settings.engines, *needed} - {ALWAYS_THERE})
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary, stem)
        (stage / MODELS).mkdir(parents=True)
        (stage / WHEELS).mkdir()
        for name in (*settings.artifacts, artifacts.MANIFEST):
            shutil.copyfile(folder / name, stage / MODELS / name)
        right = {} if settings.acceptance is None else bring(settings.acceptance, stage, settings.artifacts)
        for name in SCRIPTS:
            shutil.copyfile(Path(__file__).with_name(name), stage / name)
        requirements = lock([*engines, *settings.extras], settings.target)
        wheel = build_runtime_wheel(stage / WHEELS)
        if settings.wheels:
            fetch(requirements, settings.target, stage / WHEELS)
        artifacts.write_bytes(stage / REQUIREMENTS, (hash_line(wheel) + requirements).encode())
        if successor:
            artifacts.write_bytes(stage / NEXT_KEY, successor)
        artifacts.write_json(stage / BUNDLE, _card(settings, engines, stated) | right)
        artifacts.write_bytes(stage / SUMS, _sums(stage).encode())
        if settings.sign_key:
            sign(stage, settings.sign_key)
        artifacts.write_bytes(archive, pack(stage))
    return archive


def _require_fit(folder: Path, name: str) -> None:
    suffixes = file_formats()
    if Path(name).suffix not in suffixes or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name):
        raise BundleBuildError(
            f"{name!r}: expected the name of a file in {folder} that ends in {' or '.join(suffixes)}, of letters, "
            "digits, '.', '_', '+' and '-'"
        )
    if not (folder / artifacts.MANIFEST).exists():
        raise BundleBuildError(
            f"{folder}: no {artifacts.MANIFEST}: expected a folder that python -m pipeline export wrote"
        )
    if not replay(load_classifier(folder / name))["passed"]:
        raise BundleBuildError(f"{folder / name}: does not answer as it did when exported: export it again")
    verified = folder / artifacts.VERIFY
    row = Verification.read(folder).artifacts.get(name) if verified.exists() else None
    if row and row.violations:
        raise BundleBuildError(f"{folder / name}: differs from Keras by more than is allowed: see {verified}")


def _card(settings: Settings, engines: list[str], stated: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        **stated,
        "name": settings.name,
        "edgecnn": __version__,
        "machine": settings.target.machine,
        "python": settings.target.python,
        "artifacts": list(settings.artifacts),
        "engines": engines,
        "extras": sorted({*settings.extras}),
        "wheels": settings.wheels,
    }


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{artifacts.sha256(path.read_bytes())}  {path.relative_to(folder).as_posix()}\n" for path in files)
