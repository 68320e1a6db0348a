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
    """The documents that a report is made from.

    Attributes:
        folder: the export folder, as commands name it.
        manifest: written by export.
        verified, drifted: written by verify and drift; ``None`` if missing or unusable.
        devices: device name -> its benchmark.
        absent: file name -> reason, for the JSON files of the folder that are missing or unusable.
        stale: model files that changed since verify, so that their verdicts do not hold.
        warnings: a line for each document that belongs to another version of a model file.
        history: of the training of the exported model; ``None`` if there is none.
        mistakes: of the exported model on the images of verify; ``None`` if there are none.
        known: results of separating photos of the classes from others; ``None`` if export did not measure them.
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
    """Read the documents that exist, and check that they belong to the same model files.

    Args:
        folder: that export wrote; JSON files of other commands may be missing or unusable and are then in ``absent``.
        added: benchmarks of other devices; each must be usable.

    Raises:
        DocumentError: the folder has no usable manifest.
        ReportError: a benchmark in ``added`` cannot be used.
    """
    manifest = Manifest.read(folder)
    absent: dict[str, Absent] = {}
    of_folder = f"{folder}{'' if manifest.class_names == CLASS_NAMES else ' --data PHOTOS'}"
    verified = _own(folder, Verification, f"verify {of_folder}", absent)
    drifted = _own(folder, DriftReport, f"drift {of_folder}", absent)
    own = _own(folder, Benchmark, f"bench {of_folder}", absent)
    devices = _named(own, {path: _of_device(path) for path in added})
    stale, warnings = _compare(folder, manifest, verified, drifted, devices)
    devices = {name: with_accuracy_of(verified, device) for name, device in devices.items()}
    known = _known(folder, manifest, absent)
    history, mistakes = _history(folder, manifest), _mistakes(folder, manifest, verified)
    return Facts(folder, manifest, verified, drifted, devices, absent, stale, warnings, history, mistakes, known)


def _known(folder: Path, manifest: Manifest, absent: dict[str, Absent]) -> Known | None:
    """Read ``known.json``, only for files that are unchanged; ``None`` if there are none."""
    if not (folder / artifacts.KNOWN).is_file():
        return None
    found = _own(folder, Known, "export …", absent)
    files = {} if found is None else found.files
    current = {name: one for name, one in files.items() if one.sha256 == manifest.sha256_of(name)}
    return found.model_copy(update={"files": current}) if found and current else None


def _history(folder: Path, manifest: Manifest) -> History | None:
    """Read the history; ``None`` if it cannot be read, or is not of the exported model."""
    try:
        history = History.read(folder)
    except DocumentError:
        return None
    return history if history.model_sha256 == manifest.sha256_of(artifacts.MODEL_KERAS) else None


def _mistakes(folder: Path, manifest: Manifest, verified: Verification | None) -> Mistakes | None:
    """Read ``mistakes.json``; ``None`` if it cannot be read, or is not of this model and of verify's images."""
    try:
        mistakes = Mistakes.read(folder)
    except DocumentError:
        return None
    of_both = (manifest.sha256_of(artifacts.MODEL_KERAS), verified.test_digest if verified else None)
    return mistakes if (mistakes.model_sha256, mistakes.images_digest) == of_both else None


def _of_device(path: Path) -> Benchmark:
    """Read a benchmark file that was given by its path.

    Raises:
        ReportError: it cannot be used.
    """
    try:
        return read(path, Benchmark)
    except DocumentError as error:
        raise ReportError(f"{path}: {error.fault}; {OF_DEVICE}") from error


def _own(folder: Path, kind: type[DocumentT], command: str, absent: dict[str, Absent]) -> DocumentT | None:
    """Read a document of the folder; if it is missing or unusable, add the reason to ``absent``.

    ``command`` is the part of ``python -m pipeline …`` that writes it.
    """
    try:
        return kind.read(folder)
    except DocumentError as error:
        path = folder / kind.FILE
        absent[kind.FILE] = Absent(f"{path}: {error.fault}", f"python -m pipeline {command}", path.exists())
        return None


def _named(own: Benchmark | None, added: dict[Path, Benchmark]) -> dict[str, Benchmark]:
    """Return benchmarks by the machine's name; machines of the same name get the name of their file."""
    named = {own.device.name: own} if own else {}
    shared = Counter(device.device.name for device in (*named.values(), *added.values()))
    for path, device in added.items():
        first = name = device.device.name if shared[device.device.name] == 1 else path.stem
        number = 2
        while name in named:
            name, number = f"{first} ({number})", number + 1
        named[name] = device
    return named


def with_accuracy_of(verified: Verification | None, device: Benchmark) -> Benchmark:
    """Return the benchmark with the accuracy and agreement that verify measured, where it measured none itself.

    Without labeled images a benchmark has only the accuracy that the model file records, which may be of other images
    than those of the rest of the page. It stays if verify is of another file, or had too few images to tell.
    """
    if verified is None or not verified.has_enough_images:
        return device
    rows = []
    for row in device.contenders:
        found = verified.measured.get(row.file)
        if found is not None and found.sha256 == row.sha256 and (row.accuracy is None or row.is_recorded):
            measured: dict[str, object] = {"agreement": found.agreement if row.agreement is None else row.agreement}
            if found.accuracy is not None:
                judged = {"accuracy_images": verified.images, "accuracy_on": f"{verified.judged_on}, by verify"}
                measured |= {"accuracy": found.accuracy, **judged}
            row = row.model_copy(update=measured)  # noqa: PLW2901 - the same row, completed
        rows.append(row)
    return device.model_copy(update={"contenders": tuple(rows)})


def _compare(
    folder: Path,
    manifest: Manifest,
    verified: Verification | None,
    drifted: DriftReport | None,
    devices: dict[str, Benchmark],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that changed since verify, and a warning for each file that differs between documents."""
    stale, warnings = [], []
    for name, entry in manifest.files.items():
        path = folder / name
        digest = sha256(path.read_bytes()) if path.is_file() else entry.sha256
        if digest != entry.sha256:
            warnings.append(f"{name}: changed since export, its SHA-256 is not that in the manifest; export again")
        seen = verified.measured.get(name) if verified else None
        if seen is not None and seen.sha256 != digest:
            stale.append(name)
            warnings.append(
                f"{name}: changed since verify, its verdict no longer holds; run python -m pipeline verify {folder}"
            )
        looked_at = drifted.artifacts.get(name) if drifted else None
        if looked_at is not None and looked_at.sha256 not in (None, digest):
            warnings.append(
                f"{name}: changed since drift, its layers and flips are those of the former file; "
                f"run python -m pipeline drift {folder}"
            )
        for device, benchmark in devices.items():
            if any(row.file == name and row.sha256 not in (None, digest) for row in benchmark.contenders):
                warnings.append(
                    f"{name}: {device} measured another file of this name; run bench there again with this one"
                )
    return tuple(stale), tuple(warnings)
