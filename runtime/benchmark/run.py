"""The benchmark as a whole: measured between two looks at the machine, and put into its document."""

from collections.abc import Callable, Sequence
from pathlib import Path

from runtime.benchmark.contenders import Contender
from runtime.benchmark.document import Benchmark, Conditions, Settings, compose
from runtime.benchmark.environment import conditions, describe_device, versions
from runtime.benchmark.measuring import BATCHES, ROUNDS, measure
from runtime.engines.base import Pixels


def benchmark(  # noqa: PLR0913 - what a report says of itself
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
    """Measure and return what ``benchmark.json`` holds.

    Args:
        contenders: who takes part.
        seconds: of timed runs of each, about.
        images: uint8 (N, S, S, 3) and the class of each, to time and judge on; without classes to time on alone; what
            the files carry without them.
        judged_on: what these images are.
        photo: an image file, in place of a generated one.
        packages: whose versions to note besides the engines'.
        name: of the model.
        revision: of the source in git.
        say: is called with what is being done.

    Raises:
        ImageError: the photo is not an image that is read.
    """
    pixels, labels = images or (None, None)
    before = conditions()
    seen, described = measure(contenders, seconds, images=pixels, photo=photo, say=say)
    sources = {one.starts[-1]["images"] for one in seen if one.reason is None}
    settings = Settings(
        rounds=ROUNDS,
        seconds=seconds,
        batches=BATCHES,
        images=None if pixels is None else len(pixels),
        image_source=" and ".join(sorted(sources)) or "no images" if pixels is None else judged_on,
        photo="generated" if photo is None else photo.name,
    )
    return compose(
        seen,
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
