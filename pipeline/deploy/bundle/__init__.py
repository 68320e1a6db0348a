"""Make a bundle: an archive of model files, the runtime and its wheels, with an install script for a board.

edgecnn-NAME-VERSION-MACHINE-pyPYTHON/
    install.sh             installs the bundle
    edgecnn-watch.service  systemd unit that classifies photos that come into a folder
    edgecnn-serve.service  systemd unit that classifies a camera's frames, with a page and MQTT
    bundle.json            machine, Python and model files of the bundle, its version, its date and the key's name
    requirements.txt       every package, pinned and with hashes
    models/                the model files and their manifest
    acceptance/CLASS/      optional labeled photos, which the board must classify as well as this machine
    wheels/                this project's wheel (the runtime), the packages that it needs, and pip
    next-key.pub           optional public key that signs later bundles
    SHA256SUMS             checksums of all files above, for sha256sum
    model.sig              optional OpenSSF model-signing signature of all files above
"""

import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import artifacts
from pipeline.deploy.bundle.acceptance import bring
from pipeline.deploy.bundle.archive import pack
from pipeline.deploy.bundle.card import Card
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

BUNDLE, REQUIREMENTS, MODELS, WHEELS = "bundle.json", "requirements.txt", "models", "wheels"
ALWAYS_THERE = "onnxruntime"
"""The engine of the bare install; each other engine is an extra of the project with the same name."""
SCRIPTS = ("install.sh", "edgecnn-watch.service", "edgecnn-serve.service")


@dataclass(frozen=True)
class Settings:
    """The content of a bundle.

    Attributes:
        name: of letters, digits, ``.``, ``_`` and ``-``.
        target: Python and processor of the board.
        artifacts: names of the model files in the folder that export wrote; by default only int8 ONNX, the smallest
            that the bare install runs.
        engines: engines to pack besides those that the model files need.
        extras: further extras of the project to pack, such as ``mqtt``.
        wheels: whether to pack the wheels; without them the board uses those of its previous version or downloads them.
        sign_key: private key in PEM, of the curve P-256.
        version: whole number that grows from bundle to bundle; ``None``: see ``default_version``.
        acceptance: folder of labeled photos to pack, with a folder for each class.
        next_key: public key in PEM that must sign later bundles, once boards have installed this one.

    Raises:
        BundleBuildError: the name or the version is not valid, or there is a next key but no key.
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
            raise BundleBuildError(
                f"{self.next_key}: a next key must be signed with the present key: give that as well"
            )
        if self.version is not None:
            check_version(self.version)


def bundle(folder: Path, out: Path, settings: Settings) -> Path:
    """Write the bundle of a folder that export wrote.

    Args:
        folder: holds the model files and their manifest.
        out: folder for the archive.
        settings: content of the bundle.

    Returns:
        Path of the archive, such as ``edgecnn-NAME-0.1.0-aarch64-py311.tar.gz``. Without a key, the same files give the
        same bytes.

    Raises:
        BundleBuildError: a model file has violations or changed answers, the key cannot sign, a wheel is not available,
            or the acceptance photos are too many or unusable.
        DataError: the folder of acceptance photos does not exist, or its classes are not the model's.
        DocumentError: ``verify.json`` cannot be read.
        ModelError: a model file is missing or damaged.
        OutputError: the archive cannot be written.
    """
    stem = f"edgecnn-{settings.name}-{__version__}-{settings.target.tag}"
    archive = out / f"{stem}.tar.gz"
    check_writable(archive)
    card = _card(settings)
    successor = next_key(settings.next_key, card.key_sha256) if card.key_sha256 and settings.next_key else b""
    for name in settings.artifacts:
        _require_fit(folder, name)
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary, stem)
        (stage / MODELS).mkdir(parents=True)
        (stage / WHEELS).mkdir()
        for name in (*settings.artifacts, artifacts.MANIFEST):
            shutil.copyfile(folder / name, stage / MODELS / name)
        if settings.acceptance is not None:
            card = replace(card, acceptance=bring(settings.acceptance, stage, settings.artifacts))
        for name in SCRIPTS:
            shutil.copyfile(Path(__file__).with_name(name), stage / name)
        requirements = lock([*card.engines, *settings.extras], settings.target)
        wheel = build_runtime_wheel(stage / WHEELS)
        if settings.wheels:
            fetch(requirements, settings.target, stage / WHEELS)
        artifacts.write_bytes(stage / REQUIREMENTS, (hash_line(wheel) + requirements).encode())
        if successor:
            artifacts.write_bytes(stage / NEXT_KEY, successor)
        artifacts.write_json(stage / BUNDLE, card.to_json())
        artifacts.write_bytes(stage / SUMS, _sums(stage).encode())
        if settings.sign_key:
            sign(stage, settings.sign_key)
        artifacts.write_bytes(archive, pack(stage))
    return archive


def _card(settings: Settings) -> Card:
    """Describe the bundle without its acceptance photos; check the key."""
    signed = settings.sign_key is not None
    built = build_time(signed=signed)
    key = check_key(settings.sign_key) if settings.sign_key else None
    needed = {str(default_engine(Path(name).suffix)) for name in settings.artifacts}
    return Card(
        bundle_version=settings.version or default_version(signed=signed),
        date=built.strftime("%Y-%m-%dT%H:%M:%SZ") if built else None,
        key=key.name if key else None,
        key_sha256=key.sha256 if key else None,
        name=settings.name,
        edgecnn=__version__,
        machine=settings.target.machine,
        python=settings.target.python,
        artifacts=settings.artifacts,
        engines=tuple(sorted({*settings.engines, *needed} - {ALWAYS_THERE})),
        extras=tuple(sorted({*settings.extras})),
        wheels=settings.wheels,
    )


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
    if not replay(load_classifier(folder / name)).passed:
        raise BundleBuildError(f"{folder / name}: does not answer as it did when exported: export again")
    if not (folder / artifacts.VERIFY).exists():
        return
    verified = Verification.read(folder)
    row = verified.artifacts.get(name)
    if row and row.violations:
        raise BundleBuildError(
            f"{folder / name}: differs from Keras by more than is allowed: see {folder / artifacts.VERIFY}"
        )
    if verified.wrong_input:
        raise BundleBuildError(
            f"{folder}: {verified.wrong_input}; export again with other options, or say with verify --as-asked that "
            "they are right"
        )


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{artifacts.sha256(path.read_bytes())}  {path.relative_to(folder).as_posix()}\n" for path in files)
