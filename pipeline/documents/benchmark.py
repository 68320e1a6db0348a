"""``benchmark.json``, from this machine or from a device."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import Document, Entry, Positive, PositiveCount, Share
from runtime.benchmark import document
from runtime.benchmark.environment import throttled


class Machine(Entry):
    """What it ran on."""

    name: str
    cpu: str
    machine: str
    cores: PositiveCount
    governor: str | None = None
    os: str = ""
    python: str = ""
    features: tuple[str, ...] = ()
    emulated: bool = False


class Moment(Entry):
    """Load, temperature in degrees Celsius and throttle flags at one time."""

    load_average: float
    temperature_c: float | None = None
    throttled: tuple[str, ...] | None = None


class Conditions(Entry):
    """Before the first measurement and after the last."""

    before: Moment
    after: Moment

    @property
    def throttled(self) -> tuple[str, ...]:
        """What held the processor back: what does at the end, and what first happened on the way."""
        return tuple(throttled(self.before.model_dump(), self.after.model_dump()))


class Missing(Entry):
    """Why an engine was not measured, and how to install one that was not there."""

    reason: str
    install: str

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.reason, self.install)))


class Latency(Entry):
    """Of one image, in microseconds."""

    p50: Positive
    p90: Positive
    p99: Positive
    worst: Positive
    runs: PositiveCount


class Ratio(Entry):
    """With its 95 % interval."""

    value: Positive
    low: Positive
    high: Positive


class Contender(Entry):
    """A model file on an engine with a number of threads."""

    backend: str
    engine: str
    artifact: str
    threads: PositiveCount
    missing: Missing | None = None
    bytes: PositiveCount | None = None
    sha256: str | None = None
    latency_us: Latency | None = None
    ratio_to_best: Ratio | None = None
    ratio_to_keras: Ratio | None = None
    images_per_s: dict[Annotated[str, Field(pattern=r"^\d{1,6}$")], Positive] = Field(default_factory=dict)
    load_ms: Positive | None = None
    first_result_ms: Positive | None = None
    cold_start_ms: Positive | None = None
    peak_memory_bytes: PositiveCount | None = None
    accuracy: Share | None = None
    agreement: Share | None = None
    accuracy_images: PositiveCount | None = None
    accuracy_on: str | None = None

    @property
    def file(self) -> str:
        """The artifact's name without folders."""
        return Path(self.artifact).name


class Photo(Entry):
    """An image file."""

    width: PositiveCount
    height: PositiveCount
    bytes: PositiveCount
    format: str


class EndToEnd(Entry):
    """From a photo file to its class, in microseconds."""

    artifact: str
    backend: str
    threads: PositiveCount = 1
    photo: Photo
    read_us: Annotated[float, Field(ge=0)]
    decode_us: Annotated[float, Field(ge=0)]
    resize_us: Annotated[float, Field(ge=0)]
    inference_us: Annotated[float, Field(ge=0)]
    total_us: Positive


class Benchmark(Document):
    """A benchmark of one machine."""

    FILE: ClassVar = artifacts.BENCHMARK
    FORMAT: ClassVar = document.FORMAT
    VERSION: ClassVar = document.VERSION
    REMEDY: ClassVar = "run python -m pipeline bench DIR"

    created: str
    device: Machine
    conditions: Conditions
    versions: dict[str, str] = Field(default_factory=dict)
    contenders: tuple[Contender, ...]
    end_to_end: tuple[EndToEnd, ...] = ()

    def engine(self, backend: str) -> str:
        """What its makers call a backend."""
        return next((row.engine for row in self.contenders if row.backend == backend), backend)

    @property
    def timed(self) -> tuple[tuple[Contender, Latency], ...]:
        """What was measured, the fastest first."""
        rows = [(row, row.latency_us) for row in self.contenders if row.latency_us is not None]
        return tuple(sorted(rows, key=lambda pair: pair[1].p50))
