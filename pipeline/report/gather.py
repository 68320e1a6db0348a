"""An export folder's JSON files and those of devices, read and held against each other."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data.cifar10 import CLASS_NAMES
from pipeline.errors import ReportError
from pipeline.report.device import Device, read_device
from pipeline.report.files import File, Manifest, read
from pipeline.report.parts import Absent
from pipeline.report.proofs import Drifted, Verified

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
    """

    folder: Path
    manifest: Manifest
    verified: Verified | None
    drifted: Drifted | None
    devices: dict[str, Device]
    absent: dict[str, Absent] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def gather(folder: Path, added: Iterable[Path] = ()) -> Facts:
    """Read what there is.

    Args:
        folder: what export wrote; the JSON files of other commands may be missing or unusable, which ``absent`` says.
        added: benchmarks of other devices; each must be usable.

    Raises:
        ReportError: no usable manifest, or an unusable benchmark among ``added``.
    """
    manifest = _asked(folder / artifacts.MANIFEST, partial(read, kind=Manifest), "run python -m pipeline export first")
    absent: dict[str, Absent] = {}
    of_folder = f"{folder}{'' if manifest.class_names == CLASS_NAMES else ' --data PHOTOS'}"
    verified = _own(folder / artifacts.VERIFY, partial(read, kind=Verified), f"verify {of_folder}", absent)
    drifted = _own(folder / artifacts.DRIFT, partial(read, kind=Drifted), f"drift {of_folder}", absent)
    own = _own(folder / artifacts.BENCHMARK, read_device, f"bench {of_folder}", absent)
    devices = _named(own, {path: _asked(path, read_device, OF_DEVICE) for path in added})
    stale, warnings = _compare(folder, manifest, verified, drifted, devices)
    return Facts(folder, manifest, verified, drifted, devices, absent, stale, warnings)


def _asked(path: Path, reader: Callable[[Path], File], remedy: str) -> File:
    """What must be there."""
    try:
        return reader(path)
    except ReportError as error:
        raise ReportError(f"{error}; {remedy}") from error


def _own(path: Path, reader: Callable[[Path], File], command: str, absent: dict[str, Absent]) -> File | None:
    """What may be missing or unusable; then ``absent`` says so."""
    try:
        return reader(path)
    except ReportError as error:
        absent[path.name] = Absent(str(error), f"python -m pipeline {command}")
        return None


def _named(own: Device | None, added: dict[Path, Device]) -> dict[str, Device]:
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
    verified: Verified | None,
    drifted: Drifted | None,
    devices: dict[str, Device],
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
