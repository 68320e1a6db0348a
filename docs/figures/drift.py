"""Simulate the table of drift in ``docs/field.md``: false alarms without a change, and frames until an alarm.

A site is simulated with the shipped images and the shipped model: a scene lasts for a while, its light depends on the
hour and on the weather, and noise grows as light fades. The statistics of the changed pixels and the control charts are
computed by the device's own code.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.data import samples
from pipeline.errors import PipelineError
from pipeline.text import table
from runtime import Classifier
from runtime.drift.charts import CLASS, LEARNING_DAYS, Charts
from runtime.drift.monitor import BLOCK_FRAMES
from runtime.drift.statistics import appearance

FIGURES, DOCUMENT = Path("docs/drift.json"), Path("docs/field.md")
MODEL = Path("artifacts/reference/model_fp32.onnx")
DAY_S, BLOCKS_A_DAY = 86_400, 864
SITES, MONTH_DAYS, SCENES, EMPTY = 6, 30, 40, 4
FAULT_HOURS = (1, 5, 9, 13, 17, 21)
MOST_BLOCKS = 30
LIGHTS = np.geomspace(0.1, 1.6, 20)
FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Scenes:
    """The device's statistics of each scene in each light, arrays (lights, scenes); ``label`` is the answer's class."""

    values: dict[str, FLOAT]
    label: NDArray[np.int64]


def _capped(pixels: FLOAT) -> FLOAT:
    return pixels * 0.03


def _blurred(pixels: FLOAT) -> FLOAT:
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.5))
    return np.asarray(image, np.float64)


def _tinted(pixels: FLOAT) -> FLOAT:
    return np.multiply(pixels, [1.4, 1.0, 0.7])


def _same(pixels: FLOAT) -> FLOAT:
    return pixels


SEEN, OFTEN_NEW, NEW = "seen", "often new", "new"
FAULTS: dict[str, tuple[Callable[[FLOAT], FLOAT], str]] = {
    "lens cap": (_capped, SEEN),
    "blur (sigma 1.5 pixels of 32)": (_blurred, SEEN),
    "color shift (red × 1.4, blue × 0.7)": (_tinted, SEEN),
    "a class never seen there, in every frame": (_same, NEW),
    "a class never seen there, in half of the frames": (_same, OFTEN_NEW),
}
"""Name of each fault -> how it changes the pixels, and which scenes it shows."""
DAYLIGHT = (9, 13, 17)


class Measured:
    """Measurements of scenes as on a device, with the shipped model and its familiarity threshold."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(MODEL, options)
        threshold = Classifier(MODEL).spec.known_threshold
        if threshold is None:
            raise PipelineError(f"{MODEL} does not tell what is known: export it without --keep 1")
        self._threshold = threshold

    def _answers(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        answers, scores = self._session.run(None, {self._session.get_inputs()[0].name: pixels})
        return answers, scores

    def __call__(
        self, images: NDArray[np.uint8], change: Callable[[FLOAT], FLOAT], random: np.random.Generator
    ) -> Scenes:
        """Measure every image in every light."""
        columns: dict[str, list[FLOAT]] = {}
        labels = []
        for light in LIGHTS:
            noise = random.normal(0, 0.4 / np.sqrt(light), images.shape)
            lit = np.stack([change(image * light) for image in images.astype(np.float64)]) + noise
            pixels = lit.clip(0, 255).astype(np.uint8)
            answers, scores = self._answers(pixels)
            looks = [appearance(image) for image in pixels]
            row = {name: np.array([look[name] for look in looks]) for name in looks[0]}
            row |= {"confidence": answers.max(axis=1), "unknown": (scores < self._threshold).astype(float)}
            for name, values in row.items():
                columns.setdefault(name, []).append(values)
            labels.append(answers.argmax(axis=1))
        return Scenes({name: np.array(rows) for name, rows in columns.items()}, np.array(labels))


@dataclass(frozen=True)
class Block:
    """Arguments of ``Charts.add``: mean statistics of a block of frames, and its time in seconds."""

    values: dict[str, float]
    start_s: float
    end_s: float


def day_of(day: int, light: FLOAT, scene: NDArray[np.int64], scenes: Scenes) -> Iterator[Block]:
    """Yield the blocks of a day, with one frame per second.

    Args:
        day: number of the day.
        light: factor of the pixels in each second, (86400,).
        scene: index of the scene in each second, (86400,).
        scenes: statistics of all scenes.
    """
    at = np.abs(np.log(LIGHTS)[:, None] - np.log(np.linspace(0.08, 2, 400))).argmin(axis=0)
    level = at[((light - 0.08) / (2 - 0.08) * 399).clip(0, 399).astype(int)]
    shape = (BLOCKS_A_DAY, BLOCK_FRAMES)
    values = {name: rows[level, scene].reshape(shape).mean(axis=1) for name, rows in scenes.values.items()}
    labels = scenes.label[level, scene].reshape(shape)
    values |= {f"{CLASS}{label}": (labels == label).mean(axis=1) for label in range(10)}
    for number in range(BLOCKS_A_DAY):
        start_s = day * DAY_S + number * BLOCK_FRAMES
        block = {name: float(column[number]) for name, column in values.items()}
        yield Block(block, start_s, start_s + BLOCK_FRAMES - 1)


def light_of_day(random: np.random.Generator) -> FLOAT:
    """Draw the light of each second of a day, (86400,): daylight, a lamp at night, and clouds."""
    hours = np.arange(DAY_S) / 3600
    sun = np.clip(np.sin((hours - 6 - random.normal(0, 0.1)) / 12 * np.pi), 0, None) ** 0.5
    steps = random.normal(0, 1, 24 * 6)
    clouds = np.zeros(24 * 6)
    for step in range(1, len(clouds)):
        clouds[step] = 0.85 * clouds[step - 1] + 0.08 * steps[step]
    weather = np.exp(random.normal(0, 0.25) + np.interp(np.arange(DAY_S) / 600, np.arange(24 * 6), clouds))
    return (0.1 + 0.9 * sun * weather) ** 0.6  # the camera's exposure follows in part


def _before(view: NDArray[np.uint8], visitors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paste visitors into the camera's view; they fill the middle of the picture."""
    pictures = np.repeat(view[None], len(visitors), axis=0)
    pictures[:, 2:, 2:-2] = visitors[:, 2:, 2:-2]
    return pictures


def scenes_of_day(random: np.random.Generator, usual: FLOAT) -> NDArray[np.int64]:
    """Draw the scene of each second of a day: empty scenes and visits alternate, half a minute each on average."""
    shares = usual * random.gamma(4, 0.25, len(usual))
    count = DAY_S // 20
    visits = np.repeat(random.choice(len(usual), count, p=shares / shares.sum()) + EMPTY, 2)
    visits[::2] = random.integers(EMPTY, size=count)
    return np.repeat(visits, random.geometric(1 / 30, 2 * count))[:DAY_S]


def simulate(sites: int = SITES, days: int = MONTH_DAYS) -> dict[str, Any]:
    """Simulate all rows of the table."""
    measured, images = Measured(), samples.test_images()
    false_alarms: list[list[Any]] = []
    delays: dict[str, list[int | None]] = {name: [] for name in FAULTS}
    for site in range(sites):
        random = np.random.default_rng(site)
        classes = random.permutation(10)
        visitors = random.choice(np.flatnonzero(np.isin(images.labels, classes[:3])), SCENES, replace=False)
        view = images.pixels[random.choice(np.flatnonzero(images.labels == classes[3]))]
        empty = np.stack([np.roll(view, shift, axis=1) for shift in range(EMPTY)])  # wind
        usual = random.gamma(1, 1, SCENES)
        seen = np.concatenate([empty, _before(view, images.pixels[visitors])])
        scenes = measured(seen, _same, random)
        absent = np.bincount(scenes.label.ravel(), minlength=10).argmin()
        unseen = random.choice(np.flatnonzero(images.labels == absent), SCENES)
        new = _before(view, images.pixels[unseen])
        pixels = {SEEN: seen, OFTEN_NEW: np.concatenate([empty, new]), NEW: np.concatenate([new[:EMPTY], new])}
        faults = {name: measured(pixels[which], change, random) for name, (change, which) in FAULTS.items()}
        charts = Charts()
        for day in range(LEARNING_DAYS + days):
            light, scene = light_of_day(random), scenes_of_day(random, usual)
            if day == LEARNING_DAYS + 1:
                for name, changed in faults.items():
                    blocks = list(day_of(day, light, scene, changed))
                    delays[name] += [_delay(charts, blocks, hour) for hour in FAULT_HOURS]
            before = set[str]()
            for block in day_of(day, light, scene, scenes):
                charts.add(block.values, block.start_s, block.end_s)
                new_alarms = charts.alarms().keys() - before
                false_alarms += [[site, day, block.start_s % DAY_S, name] for name in sorted(new_alarms)]
                before = set(charts.alarms())
    return {"sites": sites, "days": days, "false_alarms": false_alarms, "delays": delays}


def _delay(charts: Charts, blocks: list[Block], hour: int) -> int | None:
    """Count the frames from a change at this hour until an alarm; ``None`` if it takes more than ``MOST_BLOCKS``."""
    charts = copy.deepcopy(charts)
    first = hour * 3600 // BLOCK_FRAMES
    for count, block in enumerate(blocks[first : first + MOST_BLOCKS], start=1):
        charts.add(block.values, block.start_s, block.end_s)
        if charts.alarms():
            return count * BLOCK_FRAMES
    return None


def drift_table(found: dict[str, Any]) -> str:
    """Format the false alarms per month, and the frames until an alarm for each change, by day and at night."""
    months = found["sites"] * found["days"] / 30
    rows = []
    for name, delays in found["delays"].items():
        hours = [hour in DAYLIGHT for hour in FAULT_HOURS] * found["sites"]
        by_day, at_night = (
            [delay for delay, is_day in zip(delays, hours, strict=True) if is_day == wanted] for wanted in (True, False)
        )
        rows.append([name, _median(by_day), _in_time(by_day), _median(at_night), _in_time(at_night)])
    header = ["change", "median frames, day", "within 500, day", "median frames, night", "within 500, night"]
    alarms = len(found["false_alarms"])
    return (
        f"{table(header, rows)}\n\n{alarms} false alarms in {months:.0f} months of {found['sites']} simulated sites "
        f"where nothing changes: {alarms / months:.2f} a month."
    )


def _median(delays: list[int | None]) -> str:
    median = float(np.median([np.inf if delay is None else delay for delay in delays]))
    return f"{median:,.0f}" if np.isfinite(median) else "not told"


def _in_time(delays: list[int | None]) -> str:
    return f"{sum(delay is not None and delay <= 500 for delay in delays)} of {len(delays)}"


def publish(found: dict[str, Any], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the figures to ``path`` and the table into ``document``."""
    artifacts.write_json(path, found)
    replace_marked(document, "drift", drift_table(found))
