"""``bundle.json``, which describes a bundle; ``install.sh`` and ``runtime.bundle`` read it on the board."""

from dataclasses import asdict, dataclass
from typing import Any

FORMAT, VERSION = "edgecnn-bundle", 1


@dataclass(frozen=True)
class Acceptance:
    """The number of acceptance photos, and model file -> number that this machine classifies correctly."""

    photos: int
    right: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Card:
    """Content of ``bundle.json``.

    Attributes:
        bundle_version: number of the bundle, larger for newer ones; ``None`` if it has none.
        date: time of the build, UTC; ``None`` if it is not stated.
        key, key_sha256: name of the signing key's file, and SHA-256 of its public key (DER); ``None`` if not signed.
        name: name of the bundle.
        edgecnn: version of this project.
        machine, python: the boards for which it is.
        artifacts: names of the model files.
        engines, extras: extras of the project that are installed.
        wheels: whether the wheels are in it.
        acceptance: the acceptance photos; ``None`` if there are none.
    """

    bundle_version: int | None
    date: str | None
    key: str | None
    key_sha256: str | None
    name: str
    edgecnn: str
    machine: str
    python: str
    artifacts: tuple[str, ...]
    engines: tuple[str, ...]
    extras: tuple[str, ...]
    wheels: bool
    acceptance: Acceptance | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the file, without those that are ``None``."""
        stated = {name: value for name, value in asdict(self).items() if value is not None}
        return {"format": FORMAT, "version": VERSION, **stated}
