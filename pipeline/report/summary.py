"""The top of the page: the exported files, their model, and the verdicts."""

from pipeline import artifacts
from pipeline.data.dataset import format_size
from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT, TOO_FEW
from pipeline.documents.manifest import Decision, Manifest
from pipeline.documents.verify import Measured, Verification
from pipeline.metrics.significance import share_interval
from pipeline.report.figures.latency import detail
from pipeline.report.figures.style import shorten
from pipeline.report.gather import Facts
from pipeline.report.numbers import NONE, duration, listed, percent, points, size
from pipeline.report.sections import Section, Table, Verdict
from runtime.text import first_of, plural

ALL_NAMED, FIRST_NAMED = 4, 2
"""The title names all of at most this many classes, or else the first."""
NAME_LENGTH = 40
"""Characters of a class's name in the title."""
BOUNDS = {
    "max_points": "{:g} points over all",
    "max_class_points": "{:g} in any one class",
    "min_agreement": "the same class on {:.0%} of the images",
    "max_mean_difference": "{:g} mean difference",
}
"""Field of the acceptance criteria -> its text."""


def title(manifest: Manifest) -> str:
    """Name the classes in one line: "ants or bees", or the number of classes and the first of them."""
    names = [shorten(name, NAME_LENGTH) for name in manifest.class_names]
    if len(names) <= ALL_NAMED:
        return f"{', '.join(names[:-1])} {'or' if manifest.thresholds is None else 'and'} {names[-1]}"
    return f"{len(names):,} classes: {', '.join(names[:FIRST_NAMED])}, …"


def subtitle(manifest: Manifest) -> str:
    """Describe the size of the images, and the number of classes and model files in one line."""
    size_text, models = format_size(manifest.size).replace("x", "×"), _files(len(_models(manifest)))
    return f"{size_text} pixels, {plural(len(manifest.class_names), 'class')}, {models}"


def _models(manifest: Manifest) -> list[str]:
    return [name for name in manifest.files if name.startswith("model_")]


def _files(count: int) -> str:
    return "1 model file" if count == 1 else f"{count} model files"


def origin(facts: Facts) -> list[tuple[str, str]]:
    """Describe the model and data that the files were made from: pairs of name and text."""
    manifest = facts.manifest
    keras = manifest.files.get(artifacts.MODEL_KERAS)
    several = [("Labels", "several per image, each judged by itself")]
    rows = [
        ("Classes", first_of(manifest.class_names)),
        ("The model takes", _range(manifest)),
        *(several if manifest.thresholds else [("Temperature", f"{manifest.temperature:.4g}")]),
        ("Calibrated on", plural(manifest.calibration.images, "training image")),
        (f"{manifest.how_int8.capitalize()} on", plural(manifest.validation.images, "validation image")),
    ]
    if keras:
        name = manifest.source or artifacts.MODEL_KERAS
        kept = f", here {artifacts.MODEL_KERAS}" if name != artifacts.MODEL_KERAS else ""
        rows.insert(0, ("Exported from", f"{name}{kept}, {size(keras.bytes)}, SHA-256 {keras.sha256[:12]}…"))
    if facts.verified:
        rows.append(("Verified on", facts.verified.judged_on))
    return rows


def _range(manifest: Manifest) -> str:
    """Say which values the pixels (0-255) become in the files: once, or for red, green and blue if they differ."""
    pairs = dict.fromkeys(zip(manifest.scale, manifest.offset, strict=True))
    ranges = " / ".join(f"{offset:.3g} to {255 * scale + offset:.3g}" for scale, offset in pairs)
    return f"pixels of {ranges}, scaled inside the files" if pairs.keys() != {(1.0, 0.0)} else "pixels of 0 to 255"


def accuracies(facts: Facts) -> list[Verdict]:
    """Return the accuracy of the Keras model and the int8 files on the labeled images of verify.

    If the training measured the accuracy out of fold, this one is only shown as a check, and only with enough images.
    """
    verified = facts.verified
    out_of_fold = facts.history.out_of_fold if facts.history else None
    if verified is None or verified.keras.accuracy is None or (out_of_fold and not verified.has_enough_images):
        return []
    low, high = share_interval(verified.keras.accuracy, verified.images)
    int8 = [f"{name} {percent(row.accuracy, 1)}" for name, row in verified.measured.items() if "int8" in name]
    text = f"of {verified.judged_on} by the Keras model; 95 % interval {percent(low, 1)} to {percent(high, 1)}."
    text += f" {listed(int8)}." if int8 else ""
    name = f"Accuracy on {verified.part} images"
    if out_of_fold:
        name = f"Check on {verified.part} images held out"
        text += (
            f" Quote the first accuracy, of the {plural(out_of_fold.images, 'photo')} that were learned from: this "
            f"one, of {verified.images:,} others, differs by chance, or because those are of another kind."
        )
    return [Verdict(name, "figure", percent(verified.keras.accuracy, 1), text)]


def verdicts(facts: Facts) -> list[Verdict]:
    """Return the verdicts of verify and of the int8 criteria, and the fastest contender on each device."""
    return [_verify(facts), _int8(facts.manifest), *_fastest(facts)]


def _verify(facts: Facts) -> Verdict:
    verified = facts.verified
    if verified is None:
        return Verdict("Verify", "none", "No verdict", str(facts.absent[artifacts.VERIFY]))
    details = [f"{name}: {violation}" for name, row in verified.artifacts.items() for violation in row.violations]
    if facts.stale:
        text = f"{listed(facts.stale)} changed since: run python -m pipeline verify {facts.folder}"
        return Verdict("Verify", "stale", "Out of date", text, details)
    if details or not verified.passed:
        return Verdict("Verify", "fail", "Fail", f"Against Keras on {verified.judged_on}:", details)
    count = len(verified.artifacts)
    text = f"{'The file answers' if count == 1 else f'All {count} files answer'} as Keras does, within the bounds of "
    fed = [f"Fed: {verified.input_contract}."] if verified.input_contract else []
    sentences = [f"{text}each, on {verified.judged_on}.", *fed, *verified.caveats]
    agreeing = _agreeing({name: row.agreement for name, row in verified.measured.items()}, verified.images)
    return _good("Verify", " ".join(sentences), agreeing, has_enough_images=verified.has_enough_images)


def _good(name: str, text: str, details: list[str], *, has_enough_images: bool) -> Verdict:
    """Return the verdict for files without violations: a pass, or "too few images"."""
    if has_enough_images:
        return Verdict(name, "pass", "Pass", text, details)
    text = f"On fewer than {MIN_IMAGES_FOR_VERDICT} images no pass is given. {text}"
    return Verdict(name, "none", TOO_FEW.capitalize(), text, details)


def _agreeing(shares: dict[str, float], images: int) -> list[str]:
    """Format agreement with Keras and its interval, a line for all files of the same agreement."""
    lines = []
    for share in dict.fromkeys(shares.values()):
        names = [name for name, other in shares.items() if other == share]
        who = f"All {len(names)} files" if len(names) == len(shares) > 2 else listed(names)
        low, high = share_interval(share, images)
        interval = f"95 % interval {percent(low, 1)} to {percent(high, 1)}"
        lines.append(
            f"{who}: the same answer as Keras on {percent(share, 1)} of {plural(images, 'image')} ({interval})"
        )
    return lines


def _int8(manifest: Manifest) -> Verdict:
    if not manifest.decisions:
        return Verdict("int8", "none", "Not asked", "No int8 file was made, so the criteria were not applied.")
    bounds = listed([text.format(getattr(manifest.criteria, name)) for name, text in BOUNDS.items()])
    images = plural(manifest.validation.images, "validation image")
    if manifest.passed:
        text = f"int8 is not significantly worse than allowed on {images}: {bounds}."
        winners = {name: decision.winner for name, decision in manifest.decisions.items()}
        shares = {name: winner.agreement for name, winner in winners.items() if winner}
        agreeing = _agreeing(shares, manifest.validation.images)
        return _good("int8", text, agreeing, has_enough_images=manifest.has_enough_images)
    details = [
        f"{name}: {violation}" for name, decision in manifest.decisions.items() for violation in _violations(decision)
    ]
    return Verdict("int8", "fail", "Fail", f"int8 costs more than it may on {images}: {bounds}.", details)


def _violations(decision: Decision) -> tuple[str, ...]:
    return decision.winner.violations if decision.winner and not decision.passed else ()


def _fastest(facts: Facts) -> list[Verdict]:
    cards = []
    for name, device in facts.devices.items():
        for row, latency in device.timed[:1]:
            text = f"{row.file}, {detail(row)}"
            if row.ratio_to_keras:
                text += f"; {1 / row.ratio_to_keras.value:,.1f} times as fast as Keras"
            cards.append(Verdict(f"Fastest on {name}", "figure", duration(latency.p50), f"{text}."))
    return cards


def files(facts: Facts) -> Section:
    """Build the section on the files: size, accuracy and verdict of verify."""
    manifest, verified = facts.manifest, facts.verified
    keras = manifest.files.get(artifacts.MODEL_KERAS)
    rows: list[tuple[str, ...]] = []
    if keras:
        accuracy = _share(verified.keras.score, verified) if verified else NONE
        rows.append((artifacts.MODEL_KERAS, size(keras.bytes), "1.00", accuracy, "", "", "the reference"))
    known = verified.artifacts if verified else {}
    for name in known or _models(manifest):
        entry, row = manifest.files.get(name), known.get(name)
        share = f"{entry.bytes / keras.bytes:.2f}" if entry and keras else NONE
        head = (name, size(entry.bytes) if entry else NONE, share)
        if isinstance(row, Measured) and verified:
            good = "pass" if verified.has_enough_images else "too few images"
            word = "out of date" if name in facts.stale else "fail" if row.violations else good
            figures = (
                _share(row.score, verified),
                points(
                    -row.accuracy_drop_points
                    if row.accuracy_drop_points is not None and verified.has_enough_images
                    else None
                ),
                _share(row.agreement, verified),
                word,
            )
            rows.append((*head, *figures))
        else:
            rows.append((*head, "fail: " + "; ".join(row.violations) if row else "not verified"))
    agreement = "top-1 agreement" if manifest.thresholds is None else "agreement"
    judged = "accuracy" if manifest.thresholds is None else "macro F1"
    header = ("file", "size", "of Keras's", judged, "points", agreement, "verify")
    return Section(
        "files", "The files", _judged(facts, judged), tables=[Table(header, rows, words=1)], tables_open=True
    )


def _share(value: float | None, verified: Verification) -> str:
    """Format a share of verify's images in percent; as a count if they are too few to tell."""
    if verified.has_enough_images or value is None:
        return percent(value)
    return NONE if verified.thresholds else f"{value * verified.images:.0f} of {verified.images}"


def _judged(facts: Facts, figure: str) -> str:
    """Say on which images the files were judged, and whether there were enough."""
    verified = facts.verified
    if verified is None:
        return ""
    names = f"{figure[0].upper()}{figure[1:]} and agreement" if verified.keras.score is not None else "Agreement"
    said = f"{names} on {verified.judged_on}{', which were held out' * _is_out_of_fold(facts)}."
    if verified.has_enough_images:
        return said
    return f"{said} Fewer than {MIN_IMAGES_FOR_VERDICT} images say too little for percentages."


def _is_out_of_fold(facts: Facts) -> bool:
    return facts.history is not None and facts.history.out_of_fold is not None
