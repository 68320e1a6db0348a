"""An export folder's JSON files and those of devices, read and held against each other."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.errors import ReportError
from pipeline.report.device import Device, read_device
from pipeline.report.files import Manifest, read
from pipeline.report.proofs import Drifted, Verified


@dataclass(frozen=True)
class Facts:
    """All that a report tells.

    Attributes:
        folder: the export folder, as commands name it.
        manifest: what export wrote.
        verified, drifted: what verify and drift wrote; ``None`` where there is nothing that can be used.
        devices: what was measured where, by the device's name.
        absent: why a JSON file of the folder is not in the report, and which command writes it, by its name.
        stale: files whose verdict is void, for they are not what verify saw.
        warnings: a line each on what does not belong together.
    """

    folder: Path
    manifest: Manifest
    verified: Verified | None
    drifted: Drifted | None
    devices: dict[str, Device]
    absent: dict[str, str] = field(default_factory=dict)
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
    manifest = read(folder / artifacts.MANIFEST, Manifest, "run python -m pipeline export first")
    absent: dict[str, str] = {}
    verified = drifted = None
    devices: dict[str, Device] = {}
    try:
        verified = read(folder / artifacts.VERIFY, Verified, f"python -m pipeline verify {folder} writes it")
    except ReportError as error:
        absent[artifacts.VERIFY] = str(error)
    try:
        drifted = read(folder / artifacts.DRIFT, Drifted, f"python -m pipeline drift {folder} writes it")
    except ReportError as error:
        absent[artifacts.DRIFT] = str(error)
    try:
        _add(devices, read_device(folder / artifacts.BENCHMARK, f"python -m pipeline bench {folder} writes it"))
    except ReportError as error:
        absent[artifacts.BENCHMARK] = str(error)
    for path in added:
        _add(devices, read_device(path, "python -m runtime bench writes it on the device"))
    stale, warnings = _compare(folder, manifest, verified, devices)
    return Facts(folder, manifest, verified, drifted, devices, absent, stale, warnings)


def _add(devices: dict[str, Device], found: Device) -> None:
    name, number = found.device.name, 2
    while name in devices:
        name, number = f"{found.device.name} ({number})", number + 1
    devices[name] = found


def _compare(
    folder: Path, manifest: Manifest, verified: Verified | None, devices: dict[str, Device]
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
        for device, benchmark in devices.items():
            if any(row.file == name and row.sha256 not in (None, digest) for row in benchmark.contenders):
                warnings.append(
                    f"{name}: {device} measured another file of this name; run bench there again with this one"
                )
    return tuple(stale), tuple(warnings)
