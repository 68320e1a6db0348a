"""``mistakes.json``: the Keras model's most confident wrong answers on labeled images, with pictures."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, PositiveCount, Sha256, Share, named

SHOWN = 24
"""At most this many mistakes are kept."""

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$")]


class Mistake(Entry):
    """A wrong answer.

    Attributes:
        image: index of the image.
        path: of its file, relative to the folder of photos; ``None`` if it has no file.
        shows, taken_for: its true class, and the predicted class.
        probability: of the predicted class.
        own_probability: of the true class.
        picture: the preprocessed image; WebP in base64.
        heat: the image under its heat map; WebP in base64.
    """

    image: Count
    path: str | None = None
    shows: str
    taken_for: str
    probability: Share
    own_probability: Share
    picture: Base64 = named("square")
    heat: Base64


class Mistakes(Document):
    """``mistakes.json``; it applies only to the model and the images whose digests it names.

    Attributes:
        model_sha256: of the Keras file.
        images: number of images that were judged.
        images_digest: of their pixels and labels.
        wrong: number of wrong answers.
        shown: wrong answers with the highest probability, at most ``SHOWN``.
    """

    FILE: ClassVar = artifacts.MISTAKES
    FORMAT: ClassVar = "edgecnn-mistakes"
    REMEDY: ClassVar = "run python -m pipeline verify DIR"

    model_sha256: Sha256 | None
    images: PositiveCount
    images_digest: Sha256
    wrong: Count
    shown: tuple[Mistake, ...] = Field(max_length=SHOWN)
