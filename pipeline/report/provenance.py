"""The last section: versions, digests, machines, and the choice of the int8 configuration."""

from functools import partial

from pipeline.documents.manifest import Candidate, Decision, Manifest
from pipeline.documents.shares import percent_of, share_of
from pipeline.report.gather import Facts
from pipeline.report.numbers import NONE, optional, percent, small
from pipeline.report.sections import Section, Table
from runtime.text import plural

NOISIEST = 10
NOISE = (
    "The noise of a layer is the square of its error beside that of its output: 1e-02 is an error of a tenth of the "
    "output, 1e-04 of a hundredth."
)
KINDS = {False: "int8", True: "float"}


def section(facts: Facts) -> Section:
    """Build the section."""
    manifest = facts.manifest
    digests = [(name, f"{entry.bytes:,}", entry.sha256) for name, entry in manifest.files.items()]
    digests += [
        ("calibration images", plural(manifest.calibration.images, "image"), manifest.calibration.digest),
        (
            "validation images of the choice",
            plural(manifest.validation.images, "image"),
            manifest.validation.digest,
        ),
    ]
    if facts.verified:
        verified = facts.verified
        digests.append((f"{verified.part} images of verify", plural(verified.images, "image"), verified.test_digest))
    sensitive = [_layers(name, decision) for name, decision in manifest.decisions.items() if decision.layers]
    searches = [_search(name, decision, manifest) for name, decision in manifest.decisions.items()]
    lead = "The exact files of these figures, the software and machines that made them, and the choice of int8."
    return Section(
        "provenance",
        "Provenance",
        f"{lead} {NOISE}" if sensitive else lead,
        tables=[
            *searches,
            *sensitive,
            Table(("file", "bytes", "SHA-256"), digests, "Digests", words=1),
            _versions(facts),
            *([_machines(facts)] if facts.devices else []),
        ],
        tables_open=True,
    )


def _search(name: str, decision: Decision, manifest: Manifest) -> Table:
    """Build the table of the configs that were judged on all validation images; the manifest has all."""
    share = partial(share_of if manifest.thresholds is None else percent_of, images=manifest.validation.images)
    judged = [candidate for candidate in decision.candidates if candidate.images is None]
    rows = [
        (
            _summary(candidate, decision),
            NONE if candidate.accuracy is None else share(candidate.accuracy),
            optional(candidate.lost_points, ".2f"),
            f"{candidate.p_value:.2g}",
            share(candidate.agreement),
            small(candidate.mean_difference),
            "; ".join(candidate.violations) or ("chosen" if candidate is decision.winner else "passes"),
        )
        for candidate in judged
    ]
    single = manifest.thresholds is None
    score, agreement = ("accuracy", "top-1 agreement") if single else ("macro F1", "agreement")
    header = ("config", score, "points lost", "p", agreement, "mean difference", "verdict")
    tried = len(decision.candidates)
    title = f"{name}: {plural(tried, 'config')} tried on {plural(manifest.validation.images, 'image')}"
    screened = next((candidate.images for candidate in decision.candidates if candidate.images is not None), None)
    if screened is not None:
        title += f"; not shown: {tried - len(judged)} farther from Keras on {screened} of the images"
    return Table(header, rows, title, words=1)


def _summary(candidate: Candidate, decision: Decision) -> str:
    """Return a config, and below the chosen one why it was chosen."""
    if candidate is not decision.winner:
        return candidate.summary
    return f"{candidate.summary}\n" + (f"chosen: {decision.reason}" if decision.reason else "chosen")


def _layers(name: str, decision: Decision) -> Table:
    """Build the table of the layers that add the most noise; all are in the manifest."""
    noisiest = sorted(decision.layers, key=lambda layer: -layer.added)[:NOISIEST]
    rows = [
        (layer.name, f"{layer.added:.1e}", f"{layer.noise:.1e}", percent(layer.multiplications), KINDS[layer.in_float])
        for layer in noisiest
    ]
    header = ("layer", "noise added", "noise", "multiplications", "computed in")
    shown = f", the {len(rows)} noisiest of {len(decision.layers)}" if len(rows) < len(decision.layers) else ""
    title = f"{name}: rounding noise by layer{shown}"
    return Table(header, rows, title, words=1)


def _versions(facts: Facts) -> Table:
    """Build the table of package versions, a column for export and one for each device."""
    columns = [facts.manifest.versions, *(device.versions for device in facts.devices.values())]
    packages = dict.fromkeys(package for column in columns for package in column)
    rows = [(package, *(column.get(package, NONE) for column in columns)) for package in packages]
    return Table(("package", "export", *facts.devices), rows, "Versions")


def _machines(facts: Facts) -> Table:
    rows = []
    for name, device in facts.devices.items():
        machine = device.device
        system = ", ".join(filter(None, (machine.os, f"Python {machine.python}" if machine.python else "")))
        rows.append((name, machine.cpu, machine.machine, str(machine.cores), system, " ".join(machine.features)))
    return Table(("machine", "processor", "architecture", "cores", "system", "features"), rows, "Machines", left=6)
