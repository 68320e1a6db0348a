"""Check class names, so that they are distinguishable in label files, terminals and pages."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from runtime.text import first_of, for_terminal, is_plain

MANY = 100


def fault(names: Sequence[object]) -> str | None:
    """Describe the first error in a list of class names, as the end of a sentence; ``None`` if there is none.

    Names are compared in Unicode's composed form (NFC), because names that differ only in their bytes look the same. In
    a list of ``MANY`` names or more, a name may occur twice, as "crane" does in ImageNet; in a shorter list that is an
    error.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            return f"{name!r:.40} is no name; every class needs one"
        if name != name.strip() or not is_plain(name):
            return (
                f"{for_terminal(repr(name))[:80]} cannot name a class (outer blanks, control characters, marks of "
                "writing direction or broken UTF-8); rename it"
            )
    if len(names) >= MANY:
        return None
    counts = Counter(unicodedata.normalize("NFC", str(name)) for name in names)
    twice = next((name for name, count in counts.items() if count > 1), None)
    return None if twice is None else f"names {twice!r} twice; every class needs a name of its own"


def class_folders(class_names: Sequence[str]) -> dict[str, int]:
    """Return the name of each class's photo folder -> its label.

    The folder has the class's name, followed by the label if the name occurs twice: the folders of the two classes
    "crane" of ImageNet are "crane 134" and "crane 517". Labels count from 0.
    """
    counts = Counter(class_names)
    return {name if counts[name] == 1 else f"{name} {label}": label for label, name in enumerate(class_names)}


def say_repeated(class_names: Sequence[str]) -> str:
    """Name the class names that occur twice, and their folders; empty if there are none."""
    counts = Counter(class_names)
    folders = [name for name, label in class_folders(class_names).items() if counts[class_names[label]] > 1]
    if not folders:
        return ""
    return f"class names that occur more than once; their folders of photos are called {first_of(folders)}"
