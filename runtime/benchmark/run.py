"""Run a benchmark: measure the contenders, record the machine's state before and after, compose the report."""

from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.benchmark.contenders import Contender
from runtime.benchmark.document import Benchmark, Conditions, Settings, compose
from runtime.benchmark.environment import conditions, describe_device, versions
from runtime.benchmark.measuring import BATCHES, ROUNDS, measure
from runtime.engines.base import Pixels
from runtime.errors import BackendUnavailableError


def benchmark(  # noqa: PLR0913 - the fields of the report
    contenders: Sequence[Contender],
    seconds: float,
    *,
    images: tuple[Pixels, Sequence[int] | None] | None = None,
    judged_on: str = "test images",
    photo: Path | None = None,
    packages: Sequence[str] = (),
    name: str | None = None,
    revision: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Benchmark:
    """Measure, and return the content of ``benchmark.json``.

    Args:
        contenders: the contenders.
        seconds: approximate time of timed runs per contender.
        images: images to time on, uint8 (N, H, W, 3), and their class indices, on which accuracy is measured (or
            ``None``: no accuracy). ``None``: the images in the model files.
        judged_on: name of these images.
        photo: an image file; ``None``: a generated one.
        packages: packages whose versions are recorded besides the engines'.
        name: name of the model.
        revision: git revision of the source.
        say: called with progress messages.

    Raises:
        BackendUnavailableError: there are no contenders.
        ImageError: the photo cannot be read.
    """
    if not contenders:
        raise BackendUnavailableError("nothing to measure: none of the chosen engines reads any of the files")
    pixels, labels = images or (None, None)
    before = conditions()
    measured, described = measure(contenders, seconds, images=pixels, photo=photo, say=say)
    sources = {one.starts[-1].images for one in measured if one.reason is None}
    settings = Settings(
        rounds=ROUNDS,
        seconds=seconds,
        batches=BATCHES,
        images=None if pixels is None else len(pixels),
        image_source=" and ".join(sorted(sources)) or "no images" if pixels is None else judged_on,
        photo="generated" if photo is None else photo.name,
    )
    return compose(
        measured,
        described,
        labels=labels,
        judged_on=judged_on,
        revision=revision,
        name=name,
        device=describe_device(),
        conditions=Conditions(before, conditions()),
        versions=versions(*packages),
        settings=settings,
    )
