"""``mistakes.json``: the labeled images on which the Keras model is wrong; the surest mistakes as pictures."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, PositiveCount, Sha256, Share

SHOWN = 24
"""How many mistakes are kept at most."""

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+=*$")]


class Mistake(Entry):
    """A wrong answer.

    Attributes:
        image: its index.
        path: of its file below the folder of photos, where it has one.
        shows, taken_for: its class, and the class that the network names.
        probability: of the answer.
        own_probability: of its class.
        square: what the network saw; WebP in base64.
        heat: the same under colors that tell where it looked.
    """

    image: Count
    path: str | None = None
    shows: str
    taken_for: str
    probability: Share
    own_probability: Share
    square: Base64
    heat: Base64


class Mistakes(Document):
    """``mistakes.json``; it counts for the model and the images whose digests it names.

    Attributes:
        model_sha256: of the Keras file.
        images: how many were judged.
        images_digest: of their pixels and labels.
        wrong: how many answers are wrong.
        shown: the surest of them, at most ``SHOWN``.
    """

    FILE: ClassVar = artifacts.MISTAKES
    FORMAT: ClassVar = "edgecnn-mistakes"
    REMEDY: ClassVar = "run python -m pipeline verify DIR"

    model_sha256: Sha256 | None
    images: PositiveCount
    images_digest: Sha256
    wrong: Count
    shown: tuple[Mistake, ...] = Field(max_length=SHOWN)
