"""``runtime.events`` on made-up answers and a clock that the test moves."""

import random
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.events import EventDetector, EventSettings
from runtime.prediction import Prediction

FPS = 8


def answer(label, probability=0.9, *, is_confident=True):
    return Prediction(label, probability, ((label, probability),), is_confident)


def run(text, settings, fps=FPS):
    """The events of frames, one letter per frame (a capital: not confident), as (frame, kind, label)."""
    detector, said = EventDetector(settings), []
    for number, letter in enumerate(text):
        prediction = answer(letter.lower(), is_confident=letter.islower())
        said += [(number, event.kind, event.label) for event in detector.update(prediction, number / fps)]
    return said


HALF_A_SECOND = EventSettings(3, 5, min_seconds=0.5)
AT_ONCE = EventSettings(votes=3, window=5, min_seconds=0)
TABLE = [
    ("aaaaa", AT_ONCE, [(2, "begins", "a")]),
    ("ababa", AT_ONCE, [(4, "begins", "a")]),
    ("abcde", AT_ONCE, []),
    ("AAAAA", AT_ONCE, []),
    ("aaabaab", AT_ONCE, [(2, "begins", "a")]),
    ("aaabcdea", AT_ONCE, [(2, "begins", "a"), (6, "ends", "a")]),  # on while two of five show it
    ("aaaBBBB", AT_ONCE, [(2, "begins", "a"), (6, "ends", "a")]),
    ("aaabbb", AT_ONCE, [(2, "begins", "a"), (5, "ends", "a"), (5, "begins", "b")]),
    ("aab", EventSettings(1, 1, min_seconds=0), [(0, "begins", "a"), (2, "ends", "a"), (2, "begins", "b")]),
    ("aaaaaaaaaa", HALF_A_SECOND, [(6, "begins", "a")]),
    ("aaabbbaaaa", HALF_A_SECOND, []),
    ("a" * 8 + "b" * 9, HALF_A_SECOND, [(6, "begins", "a"), (14, "ends", "a"), (14, "begins", "b")]),
    ("a" * 8 + "BBBBB" + "a" * 5, HALF_A_SECOND, [(6, "begins", "a")]),
    ("a" * 8 + "B" * 12, HALF_A_SECOND, [(6, "begins", "a"), (15, "ends", "a")]),
    ("aaaBBBaaa", EventSettings(3, 3, 3, min_seconds=0), [(2, "begins", "a"), (3, "ends", "a"), (8, "begins", "a")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "settings", "expected"), TABLE, ids=range(len(TABLE)))
def test_what_is_said_of_frames(text, settings, expected):
    assert run(text, settings) == expected


def test_an_improbable_frame_shows_nothing():
    detector = EventDetector(EventSettings(1, 1, min_seconds=0, min_probability=0.8))
    assert detector.update(answer("a", 0.79), 0) == []
    event = detector.update(answer("a", 0.8), 1)[0]
    assert (event.kind, event.probability, event.seconds) == ("begins", 0.8, 0)


def test_an_event_tells_its_probability_and_how_long_it_was():
    detector = EventDetector(EventSettings(2, 2, min_seconds=0))
    detector.update(answer("a", 0.6), 0)
    begins = detector.update(answer("a", 0.8), 1)[0]
    detector.update(answer("a", 0.9), 2)
    detector.update(answer("b"), 3)
    ends = detector.update(answer("b"), 4)[0]
    assert begins.probability == pytest.approx(0.7)
    assert (ends.kind, ends.probability, ends.seconds) == ("ends", 0.9, 3)
    assert detector.label == "b"


def test_what_was_on_ends_when_no_frame_comes_and_does_not_begin_by_frames_of_before():
    detector = EventDetector(EventSettings(2, 3, min_seconds=0, lost_after_s=10))
    detector.update(answer("a"), 0)
    detector.update(answer("a"), 1)
    assert detector.check(11) == []
    assert [event.kind for event in detector.check(11.5)] == ["ends"]
    assert detector.check(12) == []
    assert detector.update(answer("a"), 13) == []
    assert [event.kind for event in detector.update(answer("a"), 14)] == ["begins"]
    assert [event.kind for event in detector.update(answer("a"), 40)] == ["ends"]


def test_a_clock_that_goes_back_counts_as_one_that_stands():
    detector = EventDetector(EventSettings(1, 1, min_seconds=5))
    for time_s in (100, 3, 104):
        assert detector.update(answer("a"), time_s) == []
    assert detector.update(answer("a"), 105)[0].kind == "begins"


def test_its_own_clock_is_the_default():
    times = iter([0, 1, 2])
    detector = EventDetector(EventSettings(1, 1, min_seconds=1), clock=lambda: next(times))
    assert detector.update(answer("a")) == []
    assert detector.update(answer("a"))[0].time_s == 1
    assert detector.close()[0].seconds == 1
    assert detector.label is None


@pytest.mark.parametrize("seed", range(20))
def test_events_come_in_pairs_whatever_the_frames(seed):
    noise = random.Random(seed)  # noqa: S311 - made-up frames
    window = noise.randint(1, 9)
    settings = EventSettings(noise.randint(1, window), window, min_seconds=noise.choice([0, 0.3]))
    said = run("".join(noise.choice("aaaaaabbbcAB") for _ in range(2000)), settings)
    assert [kind for _, kind, _ in said] == [("begins", "ends")[index % 2] for index in range(len(said))]
    labels = [label for *_, label in said]
    assert labels[0 : len(labels) // 2 * 2 : 2] == labels[1::2]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"votes": 0}, "votes of at least 1"),
        ({"votes": 6}, "6 of 5"),
        ({"window": 1001}, "1,000"),
        ({"end_votes": 5}, "1 to 4"),
        ({"end_votes": 0}, "got 0"),
        ({"min_seconds": -1}, "0 or more"),
        ({"min_seconds": float("nan")}, "0 or more"),
        ({"min_probability": 1.1}, "0 to 1"),
        ({"lost_after_s": 0}, "above 0"),
    ],
)
def test_settings_out_of_range_say_what_is_expected(wrong, told):
    with pytest.raises(ValueError, match=told):
        EventSettings(**wrong)


FIELD = Path(__file__).parent.parent.parent / "docs" / "field.md"


def test_the_lamp_of_the_page_is_on_while_there_is_a_bird(monkeypatch, reference, images):
    code = re.search(r"```python\n(.*?)```", FIELD.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len(code.splitlines()) <= 10
    lamps, times = [], iter(range(1000))

    class Lamp(list):
        def __init__(self, pin):
            super().__init__([pin])
            lamps.append(self)

        on = lambda self: self.append("on")  # noqa: E731 - two words
        off = lambda self: self.append("off")  # noqa: E731

    monkeypatch.setitem(sys.modules, "gpiozero", SimpleNamespace(LED=Lamp))
    monkeypatch.setattr(EventDetector.__init__, "__defaults__", (EventSettings(), lambda: next(times)))
    pixels, labels = images
    bird, ship = (pixels[labels.index(name)] for name in ("horse", "ship"))
    code = code.replace('"bird"', '"horse"').replace('"model_int8.onnx"', repr(str(reference / "model_int8.onnx")))
    exec(code, {"frames": [ship] * 6 + [bird] * 6 + [ship] * 6})  # noqa: S102 - our own page
    assert lamps == [[17, "on", "off"]]
