"""Collect a network's wrong answers, the highest probability first, each with a heat map, for ``mistakes.json``."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.documents.mistakes import SHOWN, Mistake, Mistakes
from pipeline.export.load.deployable import Deployable
from pipeline.verify.heat import heat_maps, overlay

PICTURE_SIDE, QUALITY = 128, 75


def mistakes(
    deployable: Deployable, images: Dataset, probabilities: NDArray[np.float32], model_sha256: str | None
) -> Mistakes:
    """Build the content of ``mistakes.json``.

    Args:
        deployable: the network.
        images: labeled images.
        probabilities: the network's answers, float32 (N, C).
        model_sha256: SHA-256 of its Keras file.
    """
    answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != images.labels)
    surest = wrong[np.argsort(-sure[wrong], kind="stable")[:SHOWN]]
    shown = np.ascontiguousarray(images.pixels[surest])
    heat = heat_maps(deployable, shown, answers[surest]) if len(surest) else ()
    return Mistakes(
        model_sha256=model_sha256,
        images=len(images),
        images_digest=images.digest,
        wrong=len(wrong),
        shown=tuple(
            Mistake(
                image=int(at),
                path=images.paths[at] if images.paths else None,
                shows=images.class_names[int(images.labels[at])],
                taken_for=images.class_names[int(answers[at])],
                probability=_share(sure[at]),
                own_probability=_share(probabilities[at, images.labels[at]]),
                picture=_webp(Image.fromarray(picture)),
                heat=_webp(overlay(picture, each)),
            )
            for at, picture, each in zip(surest, shown, heat, strict=True)
        ),
    )


def _share(value: Any) -> float:
    """Clip a probability to 0-1; NaN becomes 0."""
    return float(np.clip(np.nan_to_num(value), 0, 1))


def _webp(picture: Image.Image) -> str:
    """Encode a picture, scaled down to ``PICTURE_SIDE``, as WebP in base64."""
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY)
    return base64.b64encode(stream.getvalue()).decode()
