"""Read the JSON files of an export folder and of devices, and check that they belong to the same models."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data.cifar10 import CLASS_NAMES
from pipeline.documents.base import DocumentT, read
from pipeline.documents.benchmark import Benchmark
from pipeline.documents.drift import DriftReport
from pipeline.documents.history import History
from pipeline.documents.known import Known
from pipeline.documents.manifest import Manifest
from pipeline.documents.mistakes import Mistakes
from pipeline.documents.verify import Verification
from pipeline.errors import DocumentError, ReportError
from pipeline.report.sections import Absent

OF_DEVICE = (
    "expected a file that python -m runtime bench MODEL… --out FILE writes, of the same version of edgecnn: "
    "run that on the device and give its file"
)


@dataclass(frozen=True)
class Facts:
    """All that a report tells.

    Attributes:
        folder: the export folder, as commands name it.
        manifest: what export wrote.
        verified, drifted: what verify and drift wrote; ``None`` where there is nothing that can be used.
        devices: what was measured where, by the device's name.
        absent: JSON files of the folder that are not in the report, by name.
        stale: files whose verdict is void, for they are not what verify saw.
        warnings: a line each on what does not belong together.
        history: of the training, where it was done here.
        mistakes: of the model that was exported, on the images that verify judged on.
        known: how files tell photos of their classes from others, where export judged that.
    """

    folder: Path
    manifest: Manifest
    verified: Verification | None
    drifted: DriftReport | None
    devices: dict[str, Benchmark]
    absent: dict[str, Absent] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    history: History | None = None
    mistakes: Mistakes | None = None
    known: Known | None = None


def gather(folder: Path, added: Iterable[Path] = ()) -> Facts:
    """Read what there is.

    Args:
        folder: what export wrote; the JSON files of other commands may be missing or unusable, which ``absent`` says.
        added: benchmarks of other devices; each must be usable.

    Raises:
        DocumentError: no usable manifest.
        ReportError: an unusable benchmark among ``added``.
    """
    manifest = Manifest.read(folder)
    absent: dict[str, Absent] = {}
    of_folder = f"{folder}{'' if manifest.class_names == CLASS_NAMES else ' --data PHOTOS'}"
    verified = _own(folder, Verification, f"verify {of_folder}", absent)
    drifted = _own(folder, DriftReport, f"drift {of_folder}", absent)
    own = _own(folder, Benchmark, f"bench {of_folder}", absent)
    devices = _named(own, {path: _of_device(path) for path in added})
    stale, warnings = _compare(folder, manifest, verified, drifted, devices)
    known = _known(folder, manifest, absent)
    history, mistakes = _history(folder, manifest), _mistakes(folder, manifest, verified)
    return Facts(folder, manifest, verified, drifted, devices, absent, stale, warnings, history, mistakes, known)


def _known(folder: Path, manifest: Manifest, absent: dict[str, Absent]) -> Known | None:
    """Of the files that are in the folder; ``None`` where export judged none of these."""
    if not (folder / artifacts.KNOWN).is_file():
        return None
    found = _own(folder, Known, "export …", absent)
    files = {} if found is None else found.files
    current = {name: one for name, one in files.items() if one.sha256 == manifest.sha256_of(name)}
    return found.model_copy(update={"files": current}) if found and current else None


def _history(folder: Path, manifest: Manifest) -> History | None:
    """The history of the model that was exported; of no other, and none that cannot be read."""
    try:
        history = History.read(folder)
    except DocumentError:
        return None
    return history if history.model_sha256 == manifest.sha256_of(artifacts.MODEL_KERAS) else None


def _mistakes(folder: Path, manifest: Manifest, verified: Verification | None) -> Mistakes | None:
    """What verify wrote beside its verdicts; of no other model and no other images."""
    try:
        mistakes = Mistakes.read(folder)
    except DocumentError:
        return None
    of_both = (manifest.sha256_of(artifacts.MODEL_KERAS), verified.test_digest if verified else None)
    return mistakes if (mistakes.model_sha256, mistakes.images_digest) == of_both else None


def _of_device(path: Path) -> Benchmark:
    """A benchmark that was asked for by its path."""
    try:
        return read(path, Benchmark)
    except DocumentError as error:
        raise ReportError(f"{path}: {error.fault}; {OF_DEVICE}") from error


def _own(folder: Path, kind: type[DocumentT], command: str, absent: dict[str, Absent]) -> DocumentT | None:
    """What may be missing or unusable; then ``absent`` says so."""
    try:
        return kind.read(folder)
    except DocumentError as error:
        absent[kind.FILE] = Absent(f"{folder / kind.FILE}: {error.fault}", f"python -m pipeline {command}")
        return None


def _named(own: Benchmark | None, added: dict[Path, Benchmark]) -> dict[str, Benchmark]:
    """By the machine's name; machines of one name by that of the file."""
    named = {own.device.name: own} if own else {}
    shared = Counter(device.device.name for device in (*named.values(), *added.values()))
    for path, device in added.items():
        first = name = device.device.name if shared[device.device.name] == 1 else path.stem
        number = 2
        while name in named:
            name, number = f"{first} ({number})", number + 1
        named[name] = device
    return named


def _compare(
    folder: Path,
    manifest: Manifest,
    verified: Verification | None,
    drifted: DriftReport | None,
    devices: dict[str, Benchmark],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files that verify saw otherwise, and a warning on every file that is not the same everywhere."""
    stale, warnings = [], []
    for name, entry in manifest.files.items():
        path = folder / name
        digest = sha256(path.read_bytes()) if path.is_file() else entry.sha256
        if digest != entry.sha256:
            warnings.append(f"{name}: changed since export, its SHA-256 is not the manifest's; export again")
        seen = verified.measured.get(name) if verified else None
        if seen is not None and seen.sha256 != digest:
            stale.append(name)
            warnings.append(
                f"{name}: changed since verify saw it, its verdict is void; run python -m pipeline verify {folder}"
            )
        looked_at = drifted.artifacts.get(name) if drifted else None
        if looked_at is not None and looked_at.sha256 not in (None, digest):
            warnings.append(
                f"{name}: changed since drift saw it, its layers and flips are another file's; "
                f"run python -m pipeline drift {folder}"
            )
        for device, benchmark in devices.items():
            if any(row.file == name and row.sha256 not in (None, digest) for row in benchmark.contenders):
                warnings.append(
                    f"{name}: {device} measured another file of this name; run bench there again with this one"
                )
    return tuple(stale), tuple(warnings)
