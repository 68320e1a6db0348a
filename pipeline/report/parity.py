"""The sections made from verify and drift: parity, layers, confusions, calibration, flipped images."""

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.documents.drift import DriftReport
from pipeline.documents.shares import percent_of
from pipeline.documents.verify import Calibration, Measured, Verification
from pipeline.report.figures import confusion, layers, parity, reliability
from pipeline.report.figures.reliability import FEWEST, KERAS
from pipeline.report.figures.style import picture
from pipeline.report.gather import Facts
from pipeline.report.numbers import NONE, listed, optional, percent, share, small
from pipeline.report.sections import Absent, Card, Chart, Gallery, Section, Table
from runtime.text import plural

CONFUSIONS_LISTED, FLIPS_SHOWN = 10, 12
SIGNAL_TO_NOISE = (
    "The signal-to-noise ratio is how large a layer's output is beside its error: at 20 dB the error is a tenth of the "
    "output, at 40 dB a hundredth."
)


def sections(facts: Facts) -> list[Section]:
    """Build the sections in the order of the page; if verify has not run, its verdict says so."""
    verified, drifted = facts.verified, facts.drifted
    lead = "The drift of each layer in each file, and the images that change their class, have not been measured yet."
    return [
        *([_parity(verified)] if verified else []),
        _layers(drifted)
        if drifted
        else Section("layers", "Layer drift", lead, missing=[facts.absent[artifacts.DRIFT]]),
        *([_confusion(verified)] if verified and verified.keras.confusion else []),
        *([_reliability(verified)] if verified and verified.keras.accuracy is not None else []),
        *([_flips(drifted)] if drifted else []),
    ]


def _parity(verified: Verification) -> Section:
    rows: list[tuple[str, ...]] = []
    for name, row in verified.artifacts.items():
        if not isinstance(row, Measured):
            rows.append((name, "; ".join(row.violations)))
            continue
        limits = row.limits
        rows.append(
            (
                name,
                small(row.mean_difference),
                small(limits.mean_difference),
                small(row.max_difference),
                small(limits.max_difference),
                verified.share(row.agreement),
                percent(limits.min_agreement, 0),
                optional(row.accuracy_drop_points, ".2f"),
                f"{limits.max_accuracy_drop:g}",
                f"{row.p_value:.2g}",
            )
        )
    header = (
        "file", "mean difference", "at most", "largest", "at most",
        "agreement", "at least", "points lost", "at most", "p",
    )  # fmt: skip
    lead = (
        f"Probabilities compared with Keras's on the same {verified.judged_on}. p: exact McNemar test of the "
        "accuracy lost; near 1, chance alone explains it."
    )
    found = verified.measured
    charts = (
        [Chart("parity", "Difference from Keras", picture("parity", "parity", parity.draw, found, verified.share))]
        if found
        else []
    )
    return Section("parity", "Parity by file", lead, charts, tables=[Table(header, rows)])


def _layers(drifted: DriftReport) -> Section:
    rows = [
        (
            layer.name,
            layer.kind,
            *(
                f"{found.snr_db:.2f}" if (found := row.layers.get(layer.name)) else "not found"
                for row in drifted.artifacts.values()
            ),
        )
        for layer in drifted.layers
    ]
    firsts = [f"{name}: {row.first_past}" for name, row in drifted.artifacts.items() if row.first_past]
    lead = f"Each layer against Keras's on {plural(drifted.layer_images, 'validation image')}. " + (
        f"First below its threshold: {'; '.join(firsts)}." if firsts else "No layer is below its file's threshold."
    )
    lead += f" {SIGNAL_TO_NOISE}"
    is_complete = all(layer.name in row.layers for layer in drifted.layers for row in drifted.artifacts.values())
    caption = "" if is_complete else "Not found: fused with the layers that follow, or removed."
    chart = Chart("layers", "Signal-to-noise ratio", picture("layers", "layer drift", layers.draw, drifted), caption)
    table = Table(("layer", "kind", *drifted.artifacts), rows, "Signal-to-noise ratio in dB", left=2)
    return Section("layers", "Layer drift", lead, [chart], tables=[table])


def _confusion(verified: Verification) -> Section:
    names, keras = verified.class_names, np.array(verified.keras.confusion)
    chosen = confusion.shown(keras)
    caption = ""
    if len(chosen) < len(names):
        caption = f"Of {len(names)} classes, the {len(chosen)} with the most errors; all others are left out here."
    svg = picture("confusion-keras", "confusion matrix of Keras", confusion.draw, keras, names)
    charts = [Chart("confusion-keras", "Keras, images", svg, caption)]
    tables = [_confusion_table(KERAS, keras, names)]
    changes = {name: np.array(row.confusion) - keras for name, row in verified.measured.items()}
    most = max((int(np.abs(change).max()) for change in changes.values()), default=0)
    for number, (name, change) in enumerate(changes.items()):
        if change.any():
            identity = f"confusion-{number}"
            svg = picture(identity, f"what {name} changes", confusion.draw_change, change, chosen, names, most)
            charts.append(Chart(identity, name, svg))
            tables.append(_confusion_table(name, keras + change, names))
    same = [name for name, change in changes.items() if not change.any()]
    lead = (
        "Rows: the true class; columns: the answer; cells: numbers of images. The matrices of files show how many "
        "images more or fewer than in Keras's matrix."
    )
    if same:
        lead += f" {listed(same)} {'changes' if len(same) == 1 else 'change'} no cell."
    return Section("confusion", "Confusion matrices", lead, charts, tables=tables)


def _confusion_table(title: str, matrix: NDArray[np.int64], names: tuple[str, ...]) -> Table:
    """Build a table of the whole matrix, or of the commonest confusions if it is too wide to read."""
    if len(names) <= confusion.MOST:
        rows = [(name, *map(str, counts)) for name, counts in zip(names, matrix.tolist(), strict=True)]
        return Table(("shows \\ taken for", *names), rows, f"{title}, images")
    errors = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-errors, axis=None, kind="stable")[:CONFUSIONS_LISTED]
    pairs = [divmod(int(cell), len(names)) for cell in order if errors.flat[cell]]
    rows = [(names[row], names[column], str(errors[row, column])) for row, column in pairs]
    return Table(("shows", "taken for", "images"), rows, f"{title}, the commonest confusions", left=2)


def _reliability(verified: Verification) -> Section:
    found: dict[str, Calibration] = {
        name: row.calibration
        for name, row in {KERAS: verified.keras, **verified.measured}.items()
        if row.calibration is not None and any(row.calibration.counts)
    }
    if not found:
        return Section("reliability", "Reliability", missing=[Absent("No file gave probabilities that are numbers")])
    errors = Table(
        ("file", "calibration error"),
        [(name, percent_of(calibration.expected_error, verified.images)) for name, calibration in found.items()],
    )
    lead = (
        "Whether answers with a probability of 0.9 are right nine times in ten. Calibration error: the mean distance "
        "of accuracy from confidence."
    )
    if max(max(calibration.counts) for calibration in found.values()) < FEWEST:
        lead += f" No bin holds {FEWEST} answers: too few for a diagram, and the error is uncertain."
        return Section("reliability", "Reliability", lead, tables=[errors, _bins(found)], tables_open=True)
    first = next(iter(found))
    chart = Chart(
        "reliability",
        "Accuracy against confidence",
        picture("reliability", "reliability diagram", reliability.draw, found),
        f"Dotted: perfect calibration. Bins of fewer than {FEWEST} answers are only in the table. Below: how often "
        f"{first} has each confidence.",
    )
    return Section("reliability", "Reliability", lead, [chart], [errors], [_bins(found)])


def _bins(found: dict[str, Calibration]) -> Table:
    """Build a table with a row for each bin in which any file has answers."""
    count = max(len(row.counts) for row in found.values())
    rows = []
    for number in range(count):
        cells = [
            f"{row.accuracy[number]:.3f} at {row.confidence[number]:.3f}, {row.counts[number]:,}"
            if number < len(row.counts) and row.counts[number]
            else NONE
            for row in found.values()
        ]
        if set(cells) != {NONE}:
            rows.append((f"{number / count:.2f} to {(number + 1) / count:.2f}", *cells))
    return Table(("confidence", *found), rows, "Accuracy at mean confidence, number of answers")


def _flips(drifted: DriftReport) -> Section:
    galleries, rows = [], []
    for name, row in drifted.artifacts.items():
        count = len(row.flips)
        rows.append((name, f"{count:,}", share(count / drifted.images, drifted.images)))
        cards = [
            Card(
                (f"data:image/png;base64,{drifted.pictures[str(flip.image)]}",),
                flip.true_class if flip.path is None else f"{flip.true_class} ({flip.path})",
                (
                    f"Keras {_answer(flip.keras_class, flip.keras_probability, flip.true_class)}",
                    f"file {_answer(flip.file_class, flip.probability, flip.true_class)}",
                ),
            )
            for flip in row.flips[:FLIPS_SHOWN]
            if str(flip.image) in drifted.pictures
        ]
        if cards:
            title = f"{name}: {count:,} of {drifted.images:,}"
            galleries.append(
                Gallery(title + (f", the {len(cards)} surest answers of Keras" if count > len(cards) else ""), cards)
            )
    lead = (
        f"Images to which a file gives another class than Keras, of {plural(drifted.images, 'validation image')}, "
        "with both answers."
        if any(row.flips for row in drifted.artifacts.values())
        else f"On {plural(drifted.images, 'validation image')} top-1 agreement with Keras is 100% for every file."
    )
    header = ("file", "flipped images", "share")
    return Section("flips", "Flipped images", lead, tables=[Table(header, rows)], galleries=galleries)


def _answer(name: str, probability: float | None, truth: str) -> str:
    return f"{name} {optional(probability, '.2f')}" + (" ✓" if name == truth else "")
