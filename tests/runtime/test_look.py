"""``--crop`` and ``--min-change``, and the events of ``stream`` and ``watch`` as processes."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from called import call
from runtime import Classifier, ImageError
from runtime.commands import event_options
from runtime.events.detector import EventDetector, EventSettings
from runtime.events.frame_classifier import Box, FrameClassifier, cropped, largest_change
from runtime.events.session import Session
from runtime.image.load import load_pixels


@pytest.fixture(scope="module")
def pictures(images):
    """A large picture of a ship and one of a horse, (256, 256, 3)."""
    pixels, labels = images
    return [np.kron(pixels[labels.index(name)], np.ones((8, 8, 1), np.uint8)) for name in ("ship", "horse")]


def jpeg(picture):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["bytes", "file", "path", "array", "image"])
def test_a_part_is_what_a_picture_of_that_part_would_be(kind, pictures, tmp_path, reference):
    spec = Classifier(reference / "model_int8.onnx").spec
    wide = np.concatenate([np.zeros_like(pictures[0]), pictures[0]], axis=1)
    stream = io.BytesIO()
    Image.fromarray(wide).save(stream, "PNG")
    (tmp_path / "wide.png").write_bytes(stream.getvalue())
    sources = {"bytes": stream.getvalue(), "file": stream, "path": tmp_path / "wide.png", "array": wide}
    source = sources.get(kind, Image.fromarray(wide))
    part = cropped(load_pixels, Box(256, 0, 256, 256))(source, spec)
    assert (part == load_pixels(pictures[0], spec)).all()


def test_a_part_beyond_the_picture_is_an_error(pictures, reference):
    spec = Classifier(reference / "model_int8.onnx").spec
    with pytest.raises(ImageError, match=r"200,0,100,10 .* reaches beyond the picture of 256x256 pixels"):
        cropped(load_pixels, Box(200, 0, 100, 10))(jpeg(pictures[0]), spec)


@pytest.mark.parametrize("side", [1, 5, 8, 32, 33])
def test_a_small_spot_is_a_large_change(side):
    before = np.full((side, side, 3), 100, np.uint8)
    after = before.copy()
    assert largest_change(before, after) == 0
    cell = -(-side // 8)
    after[-cell:, -cell:] = 200
    assert largest_change(before, after) == pytest.approx(100)
    assert largest_change(after, before) == pytest.approx(100)


def test_what_shows_the_same_is_not_classified_again(pictures, reference, monkeypatch):
    classifier = Classifier(reference / "model_int8.onnx")
    expected = [classifier.classify(jpeg(picture)) for picture in pictures]
    frames = FrameClassifier(classifier, min_change=5)
    scored, calls = classifier._scored, []  # noqa: SLF001 - counts the engine's calls
    monkeypatch.setattr(classifier, "_scored", lambda pixels: calls.append(1) or scored(pixels))
    looks = [frames.classify(jpeg(pictures[index])) for index in (0, 0, 0, 1, 1, 0)]
    assert [look.is_repeated for look in looks] == [False, True, True, False, True, False]
    assert len(calls) == 3
    assert [look.prediction for look in looks] == [expected[index] for index in (0, 0, 0, 1, 1, 0)]


def test_a_part_is_cut_out_once(pictures, reference):
    wide = np.concatenate([pictures[1], pictures[0]], axis=1)
    decoder = cropped(load_pixels, Box(256, 0, 256, 256))
    classifier = Classifier(reference / "model_int8.onnx", decoder=decoder)
    look = FrameClassifier(classifier, min_change=5).classify(wide)
    assert look.prediction == Classifier(reference / "model_int8.onnx").classify(pictures[0])


def test_a_scene_that_changes_slowly_is_classified_again(reference):
    frames = FrameClassifier(Classifier(reference / "model_int8.onnx"), min_change=10)
    looks = [frames.classify(np.full((32, 32, 3), 2 * step, np.uint8)).is_repeated for step in range(11)]
    assert looks == [False, True, True, True, True, False, True, True, True, True, False]


class Told:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.all = []

    def on_frame(self, frame):
        self.all.append((frame.name, frame.prediction.label))

    def on_event(self, event):
        self.all.append((event.kind, event.label))

    def close(self):
        self.all.append("closed")


def test_listeners_are_told_in_order(pictures, reference):
    told = Told()
    detector = EventDetector(EventSettings(1, 1, min_seconds=0))
    session = Session(FrameClassifier(Classifier(reference / "model_int8.onnx")), detector, [told])
    session.show(pictures[0], "1")
    with pytest.raises(ImageError):
        session.show(b"broken", "2")
    session.show(pictures[1], "3")
    session.close()
    changed = [("ends", "ship"), ("begins", "horse")]
    assert told.all == [("1", "ship"), ("begins", "ship"), ("3", "horse"), *changed, ("ends", "horse"), "closed"]


def command(name, reference, *arguments, **options):
    return call(name, reference / "model_int8.onnx", *arguments, text=False, timeout=60, **options)


def test_stream_says_what_begins_and_ends(reference, pictures):
    film = b"".join([jpeg(pictures[0])] * 5 + [jpeg(pictures[1])] * 5)
    events = ["--no-drop", "--votes", "3/4", "--min-seconds", "0"]
    done = command("stream", reference, *events, "--json", input=film)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = [(line["event"], line["label"]) for line in lines]
    assert told == [("begins", "ship"), ("ends", "ship"), ("begins", "horse"), ("ends", "horse")]
    assert set(lines[0]) == {"time", "event", "label", "probability", "seconds"}
    assert done.stderr.startswith(b"10 frames")
    text = command("stream", reference, *events, "--min-change", "5", input=film).stdout.decode().splitlines()
    assert [line.split()[1:3] for line in text] == [[label, kind] for kind, label in told]
    assert "%" in text[0]
    frames = command("stream", reference, "--every-frame", "--min-change", "5", input=film)
    repeated = [json.loads(line).get("repeated", False) for line in frames.stdout.splitlines()]
    assert repeated == [False, *[True] * 4] * 2


def test_a_part_that_is_nowhere_is_an_error_of_the_stream(reference, pictures):
    done = command("stream", reference, "--crop", "0,0,999,9", input=jpeg(pictures[0]))
    assert done.returncode == 1
    assert b"reaches beyond the picture of 256x256 pixels" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--votes", "5/4", "5 of 4"),
        ("--votes", "x", "such as 4/5"),
        ("--crop", "1,2,3", "x,y,width,height"),
        ("--crop", "1,2,0,3", "x,y,width,height"),
        ("--min-change", "256", "0 to 255"),
        ("--min-seconds", "nan", "expected a number"),
        ("--min-probability", "2", "0 to 1"),
    ],
)
def test_options_out_of_range_say_what_is_expected(option, value, told, capsys):
    import argparse

    parser = argparse.ArgumentParser()
    event_options.add(parser, EventSettings())
    with pytest.raises(SystemExit):
        parser.parse_args([option, value])
    assert told in capsys.readouterr().err
