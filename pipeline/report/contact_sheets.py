"""The section with some photos of each class, preprocessed as for the network."""

from pipeline.data.scan import TRAINING
from pipeline.report.album import Album
from pipeline.report.gather import Facts
from pipeline.report.sections import Absent, Card, Gallery, Section
from runtime.text import plural

CLASSES, PHOTOS, SIDE = 10, 12, 96
"""At most this many classes, photos per class, and pixels a side of a photo."""
NAME, TITLE = "classes", "The classes"


def sections(facts: Facts, album: Album | None) -> list[Section]:
    """Build the section, a gallery for each class; no section if the training had no photos.

    If the photos are no longer there, the section says so.
    """
    if facts.history is None or facts.history.data is None:
        return []
    if album is None:
        gone = f"{facts.history.data}: the photos of the training are not there, so none of them are shown"
        return [Section(NAME, TITLE, missing=[Absent(gone)])]
    names = _names(facts)
    lead = "Photos of each class as the network gets them: it cannot see differences that are not visible here."
    if len(names) < len(facts.manifest.class_names):
        lead += f" {len(names)} of {len(facts.manifest.class_names)} classes."
    return [Section(NAME, TITLE, lead, galleries=[_sheet(album, name) for name in names])]


def _names(facts: Facts) -> list[str]:
    """Choose the classes with the lowest recall, or the first ones if that is not known."""
    history = facts.history
    weakest = [row.name for row in history.out_of_fold.classes] if history and history.out_of_fold else []
    shown = set((weakest or list(facts.manifest.class_names))[:CLASSES])
    return [name for name in facts.manifest.class_names if name in shown]


def _sheet(album: Album, name: str) -> Gallery:
    own = [file.path for file in album.files if file.class_name == name and file.part in ("", TRAINING)]
    count = min(PHOTOS, len(own))
    chosen = [own[number * len(own) // count] for number in range(count)]
    cards = [Card((picture,), path) for path, picture in album.pictures(chosen, SIDE).items()]
    return Gallery(f"{name}: {len(cards)} of {plural(len(own), 'photo')}", cards, only_pictures=True)
