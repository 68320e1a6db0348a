"""The boxes at the top of the page: accuracy, the verdicts of verify and on int8, the fastest contenders."""

from collections.abc import Callable
from functools import partial

from pipeline import artifacts
from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT, TOO_FEW
from pipeline.documents.manifest import Decision, Manifest
from pipeline.documents.shares import interval_of, percent_of, share_of
from pipeline.documents.verify import OF_THE_IMAGES, Verification
from pipeline.metrics.significance import share_interval
from pipeline.report.figures.latency import detail
from pipeline.report.gather import Facts
from pipeline.report.numbers import duration, listed, share
from pipeline.report.sections import Verdict
from runtime.text import plural

BOUNDS = {
    "max_points": "{:g} points over all",
    "max_class_points": "{:g} in any one class",
    "min_agreement": "the same class on {:.0%} of the images",
    "max_mean_difference": "{:g} mean difference",
}
"""Field of the acceptance criteria -> its text."""


def accuracies(facts: Facts) -> list[Verdict]:
    """Return the accuracy of the Keras model and the int8 files on the labeled images of verify.

    If the training measured the accuracy out of fold, this one is only shown as a check, and only with enough images.
    """
    verified = facts.verified
    out_of_fold = facts.history.out_of_fold if facts.history else None
    if verified is None or verified.keras.accuracy is None or (out_of_fold and not verified.has_enough_images):
        return []
    accuracy, images = verified.keras.accuracy, verified.images
    int8 = [f"{name} {share(row.accuracy, images, 1)}" for name, row in verified.measured.items() if "int8" in name]
    interval = interval_of(share_interval(accuracy, images), images, 1)
    text = f"By the Keras model on {verified.judged_on}; 95 % interval {interval}."
    text += f" {listed(int8)}." if int8 else ""
    name = f"Accuracy on {verified.part} images"
    if out_of_fold:
        name = f"Check on {verified.part} images held out"
        text += (
            f" Quote the first accuracy, of the {plural(out_of_fold.images, 'photo')} that were learned from: this "
            f"one, of {verified.images:,} others, differs by chance, or because those are of another kind."
        )
    caveats = [line for line in OF_THE_IMAGES if line in verified.caveats]
    return [Verdict(name, "figure", share(accuracy, images, 1), text, caveats=caveats)]


def verdicts(facts: Facts) -> list[Verdict]:
    """Return the verdicts of verify and on int8, and the fastest contender on each device."""
    return [_verify(facts), _int8(facts), *_fastest(facts)]


def _verify(facts: Facts) -> Verdict:
    verified = facts.verified
    if verified is None:
        return Verdict("Verify", "none", "No verdict", str(facts.absent[artifacts.VERIFY]))
    details = [f"{name}: {violation}" for name, row in verified.artifacts.items() for violation in row.violations]
    if facts.stale:
        text = f"{listed(facts.stale)} changed since: run python -m pipeline verify {facts.folder}"
        return Verdict("Verify", "stale", "Out of date", text, details)
    if verified.wrong_input:
        return Verdict("Verify", "fail", "Fail", f"The model is fed wrongly: {verified.wrong_input}.", details)
    if details or not verified.passed:
        return Verdict("Verify", "fail", "Fail", f"Against Keras on {verified.judged_on}:", details)
    count = len(verified.artifacts)
    text = f"{'The file answers' if count == 1 else f'All {count} files answer'} as Keras does, within the bounds of "
    fed = [f"Fed: {verified.input_contract}."] if verified.input_contract else []
    shown = {line for row in accuracies(facts) for line in row.caveats}
    caveats = [line for line in verified.caveats if line not in shown]
    sentences = [f"{text}each, on {verified.judged_on}.", *fed, *caveats]
    shares = {name: row.agreement for name, row in verified.measured.items()}
    agreeing = _agreeing(shares, verified.images, verified.share)
    return _good("Verify", " ".join(sentences), agreeing, has_enough_images=verified.has_enough_images)


def _good(name: str, text: str, details: list[str], *, has_enough_images: bool) -> Verdict:
    """Return the verdict for files without violations: a pass, or "too few images"."""
    if has_enough_images:
        return Verdict(name, "pass", "Pass", text, details)
    text = f"On fewer than {MIN_IMAGES_FOR_VERDICT} images no pass is given. {text}"
    return Verdict(name, "none", TOO_FEW.capitalize(), text, details)


def _agreeing(shares: dict[str, float], images: int, form: Callable[..., str]) -> list[str]:
    """Format agreement with Keras and its interval, a line for all files of the same agreement.

    Args:
        shares: file name -> agreement (0-1).
        images: number of images.
        form: formats a share.
    """
    lines = []
    for agreement in dict.fromkeys(shares.values()):
        names = [name for name, other in shares.items() if other == agreement]
        who = f"All {len(names)} files" if len(names) == len(shares) > 2 else listed(names)
        interval = interval_of(share_interval(agreement, images), images, 1)
        on = form(agreement, digits=1)
        on += f" of {plural(images, 'image')}" if on.endswith("%") else " images"
        lines.append(f"{who}: the same answer as Keras on {on} (95 % interval {interval})")
    return lines


def _int8(facts: Facts) -> Verdict:
    """Judge int8 on verify's images if export chose nothing on them and they are enough, else by export's choice."""
    manifest, verified = facts.manifest, facts.verified
    if not manifest.decisions:
        return Verdict("int8", "none", "Not asked", "No int8 file was made, so the criteria were not applied.")
    of_export = _of_export(manifest)
    if of_export.state == "fail" or verified is None or facts.stale:
        return of_export
    if verified.test_digest == manifest.validation.digest or not verified.has_enough_images:
        return of_export
    return _of_verify(manifest, verified)


def _of_verify(manifest: Manifest, verified: Verification) -> Verdict:
    name, images = f"int8 on {verified.judged_on}", plural(manifest.validation.images, "validation image")
    judged = {name: row for name, row in verified.artifacts.items() if name in manifest.decisions}
    details = [f"{name}: {violation}" for name, row in judged.items() for violation in row.violations]
    if details:
        return Verdict(name, "fail", "Fail", f"int8 is outside its bounds on {verified.judged_on}:", details)
    shares = {name: row.agreement for name, row in verified.measured.items() if name in judged}
    text = (
        f"int8 answers as Keras does, within its bounds, on images on which nothing was chosen. Export had "
        f"{manifest.how_int8} it on {images}"
    )
    text += "." if manifest.has_enough_images else ", too few to tell."
    return Verdict(name, "pass", "Pass", text, _agreeing(shares, verified.images, verified.share))


def _of_export(manifest: Manifest) -> Verdict:
    images = manifest.validation.images
    name = f"int8, {manifest.how_int8} by export on {plural(images, 'image')}"
    bounds = listed([text.format(getattr(manifest.criteria, field)) for field, text in BOUNDS.items()])
    on = plural(images, "validation image")
    if manifest.passed:
        text = f"int8 is not significantly worse than allowed on {on}: {bounds}."
        winners = {name: decision.winner for name, decision in manifest.decisions.items()}
        shares = {name: winner.agreement for name, winner in winners.items() if winner}
        form = partial(share_of if manifest.thresholds is None else percent_of, images=images)
        return _good(name, text, _agreeing(shares, images, form), has_enough_images=manifest.has_enough_images)
    details = [
        f"{name}: {violation}" for name, decision in manifest.decisions.items() for violation in _violations(decision)
    ]
    return Verdict(name, "fail", "Fail", f"int8 costs more than it may on {on}: {bounds}.", details)


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
