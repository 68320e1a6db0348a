"""Which names classes may have: such as a label file, a terminal, a page and a person can tell apart."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from runtime.text import for_terminal, is_plain


def fault(names: Sequence[object]) -> str | None:
    """What is wrong with a list of class names, as the end of a sentence; ``None`` where all are good.

    Names are compared in Unicode's composed form, since what differs in bytes alone looks the same.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            return f"{name!r:.40} is no name; every class needs one"
        if name != name.strip() or not is_plain(name):
            return (
                f"{for_terminal(repr(name))[:80]} cannot name a class (outer blanks, control characters, marks of "
                "writing direction or broken UTF-8); rename it"
            )
    counts = Counter(unicodedata.normalize("NFC", str(name)) for name in names)
    twice = next((name for name, count in counts.items() if count > 1), None)
    return None if twice is None else f"names {twice!r} twice; every class needs a name of its own"
