"""``benchmark.json`` of this machine or of a device, for reading; ``runtime.benchmark.document`` writes it."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import (
    Count,
    Document,
    Entry,
    FiniteOrNone,
    NotNegative,
    Positive,
    PositiveCount,
    Sha256,
    Share,
)
from pipeline.errors import ReportError
from runtime.benchmark import document
from runtime.benchmark.environment import throttled


class Machine(Entry):
    """The machine of a benchmark."""

    name: str
    cpu: str
    machine: str
    cores: PositiveCount
    governor: str | None = None
    os: str = ""
    python: str = ""
    features: tuple[str, ...] = ()
    memory_mib: PositiveCount | None = None
    emulated: bool = False


class SystemState(Entry):
    """Load, temperature in degrees Celsius and throttle flags at one time."""

    load_average: float
    temperature_c: float | None = None
    throttled: tuple[str, ...] | None = None


class Conditions(Entry):
    """The machine's state before the first measurement and after the last."""

    before: SystemState
    after: SystemState

    @property
    def throttled(self) -> tuple[str, ...]:
        """Reasons for throttling during the benchmark: active at its end, or recorded since its beginning."""
        return tuple(throttled(self.before.throttled, self.after.throttled))


class Missing(Entry):
    """The reason why an engine was not measured, and how to install it; ``failed``: it is installed but failed."""

    reason: str
    install: str
    failed: bool = False

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.reason, self.install)))


class Latency(Entry):
    """Percentiles of the latency of one image, in microseconds."""

    p50: Positive
    p90: Positive
    p99: Positive
    worst: Positive
    spread: NotNegative = 0.0
    runs: PositiveCount


class Ratio(Entry):
    """A ratio of two medians, with its 95 % interval."""

    value: Positive
    low: Positive
    high: Positive


class Golden(Entry):
    """The result of replaying the golden set; the difference is ``None`` if it is not a finite number."""

    file: str = ""
    engine: str = ""
    images: PositiveCount
    same_class: Count
    max_difference: FiniteOrNone
    tolerance: NotNegative
    passed: bool


class Contender(Entry):
    """A model file on an engine with a number of threads."""

    backend: str
    engine: str
    artifact: str
    threads: PositiveCount
    missing: Missing | None = None
    bytes: PositiveCount | None = None
    sha256: Sha256 | None = None
    latency_us: Latency | None = None
    ratio_to_best: Ratio | None = None
    ratio_to_keras: Ratio | None = None
    images_per_s: dict[Annotated[str, Field(pattern=r"^\d{1,6}$")], Positive] = Field(default_factory=dict)
    load_ms: Positive | None = None
    first_result_ms: Positive | None = None
    cold_start_ms: Positive | None = None
    peak_memory_bytes: PositiveCount | None = None
    golden: Golden | None = None
    accuracy: Share | None = None
    agreement: Share | None = None
    accuracy_images: PositiveCount | None = None
    accuracy_on: str | None = None

    @property
    def file(self) -> str:
        """The artifact's name without folders."""
        return Path(self.artifact).name

    @property
    def is_recorded(self) -> bool:
        """Whether the accuracy is the one that the model file records, which the benchmark did not measure."""
        return (self.accuracy_on or "").endswith(document.RECORDED)


class Photo(Entry):
    """The photo file that was timed; width and height in pixels."""

    width: PositiveCount
    height: PositiveCount
    bytes: PositiveCount
    format: str


class EndToEnd(Entry):
    """Time of each stage from a photo file to its class, in microseconds."""

    artifact: str
    backend: str
    threads: PositiveCount = 1
    photo: Photo
    read_us: Annotated[float, Field(ge=0)]
    decode_us: Annotated[float, Field(ge=0)]
    resize_us: Annotated[float, Field(ge=0)]
    inference_us: Annotated[float, Field(ge=0)]
    total_us: Positive


class Settings(Entry):
    """Settings of the benchmark; ``images`` is ``None`` if contenders ran on the golden sets in their files."""

    rounds: PositiveCount
    seconds: Positive
    batches: tuple[PositiveCount, ...]
    images: PositiveCount | None
    image_source: str
    photo: str


class Benchmark(Document):
    """A benchmark of one machine."""

    FILE: ClassVar = artifacts.BENCHMARK
    FORMAT: ClassVar = document.FORMAT
    VERSION: ClassVar = document.VERSION
    REMEDY: ClassVar = "run python -m pipeline bench DIR"

    created: str
    revision: str | None = None
    name: str | None = None
    device: Machine
    conditions: Conditions
    versions: dict[str, str] = Field(default_factory=dict)
    settings: Settings
    contenders: tuple[Contender, ...]
    end_to_end: tuple[EndToEnd, ...] = ()

    def engine(self, backend: str) -> str:
        """Return the full name of a backend's engine."""
        return next((row.engine for row in self.contenders if row.backend == backend), backend)

    def timed_row(self, artifact: str, backend: str, threads: int = 1) -> tuple[Contender, Latency]:
        """Return one contender and its latency.

        Raises:
            ReportError: it was not measured.
        """
        for row, latency in self.timed:
            if (row.artifact, row.backend, row.threads) == (artifact, backend, threads):
                return row, latency
        raise ReportError(f"no figures for {backend} on {artifact} with {threads} thread(s): run bench again")

    @property
    def timed(self) -> tuple[tuple[Contender, Latency], ...]:
        """The contenders that were measured and their latencies, the fastest first."""
        rows = [(row, row.latency_us) for row in self.contenders if row.latency_us is not None]
        return tuple(sorted(rows, key=lambda pair: pair[1].p50))
