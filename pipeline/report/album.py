"""Read photos of the training for the page, preprocessed as for the network and scaled down."""

import base64
import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from pipeline import artifacts
from pipeline.data.photo_settings import Settings, recorded
from pipeline.data.scan import PhotoFile, scan
from pipeline.errors import PipelineError
from pipeline.report.gather import Facts
from runtime.errors import ImageError
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec

QUALITY = 75


@dataclass(frozen=True)
class Album:
    """The folder of photos that a training read.

    Attributes:
        folder: that the training was given.
        spec: the preprocessing of the photos.
        files: the photos that are in the folder now.
    """

    folder: Path
    spec: ModelSpec
    files: tuple[PhotoFile, ...]

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of all files, relative to the folder."""
        return frozenset(file.path for file in self.files)

    def pictures(self, paths: Iterable[str], side: int) -> dict[str, str]:
        """Return path -> WebP as a data URI, at most ``side`` pixels a side; missing or broken photos are left out."""
        there = [path for path in dict.fromkeys(paths) if path in self.paths]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda path: self._picture(path, side), there))
        return {path: picture for path, picture in zip(there, found, strict=True) if picture}

    def _picture(self, path: str, side: int) -> str | None:
        try:
            picture = Image.fromarray(load_pixels(self.folder / path, self.spec))
        except (ImageError, OSError):
            return None
        picture.thumbnail((side, side))
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=QUALITY)
        return data_uri(base64.b64encode(stream.getvalue()).decode())


def open_album(facts: Facts) -> Album | None:
    """Open the photos of the training; ``None`` if it had none, or if they are no longer there."""
    history = facts.history
    if history is None or history.data is None or history.photos is None or history.class_names is None:
        return None
    folder = Path(history.data)
    try:
        settings: Settings = recorded(facts.folder / artifacts.MODEL_KERAS)
        files = scan(folder, Path(settings.none) if settings.none else None, history.class_names).files
    except PipelineError:
        return None
    return Album(folder, settings.spec(history.class_names), files) if files else None


def data_uri(webp: str) -> str:
    """Return a data URI for a WebP picture in base64."""
    return f"data:image/webp;base64,{webp}"
