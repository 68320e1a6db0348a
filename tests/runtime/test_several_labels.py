"""A multi-label model on the device: thresholds, the output for a photo, and independent events of each label."""

import numpy as np
import pytest

from runtime import Classifier, ModelSpec, ModelSpecError
from runtime.camera.inbox import Inbox
from runtime.events import EventDetector, EventSettings
from runtime.events.detector import Event
from runtime.prediction import Postprocessor, Prediction, optional_entries
from runtime.serve.live import Live

NAMES = ("ball", "cat", "dog")
SPEC = ModelSpec(8, NAMES, output="sigmoid", thresholds=(0.5, 0.25, 0.75))
SHAPE = ["n", 3, 8, 8]


@pytest.mark.parametrize(
    ("probabilities", "labels", "top"),
    [
        ([0.9, 0.1, 0.8], ("ball", "dog"), ("ball", "dog")),
        ([0.4, 0.3, 0.7], ("cat",), ("dog", "ball", "cat")),  # all down to the last label, whatever was asked
        ([0.5, 0.25, 0.75], ("dog", "ball", "cat"), ("dog", "ball", "cat")),
        ([0.1, 0.2, 0.3], (), ("dog", "cat")),
    ],
)
def test_labels_reach_their_thresholds(probabilities, labels, top):
    prediction = Postprocessor(SPEC, multi_label=True).prediction(np.array(probabilities, np.float32), 2)
    assert prediction.labels == labels
    assert tuple(name for name, _ in prediction.top) == top


@pytest.mark.parametrize(
    ("known", "labels", "entries"),
    [
        (None, None, {}),
        (True, None, {"known": True}),
        (False, None, {"known": False}),
        (None, ("cat",), {"labels": ("cat",)}),
        (True, (), {"known": True, "labels": ()}),
    ],
)
def test_json_says_what_the_file_can_tell(known, labels, entries):
    assert optional_entries(Prediction("cat", 0.5, (("cat", 0.5),), is_known=known, labels=labels)) == entries


def test_thresholds_travel_in_the_spec_and_are_half_without():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    assert ModelSpec(8, NAMES, output="sigmoid").label_thresholds == (0.5, 0.5, 0.5)
    assert ModelSpec(8, NAMES).label_thresholds is None
    assert "thresholds" not in ModelSpec(8, NAMES).to_json()  # earlier runtimes refuse entries that they do not know


@pytest.mark.parametrize(
    ("output", "thresholds"),
    [("sigmoid", (0.5, 0.5)), ("sigmoid", (0.5, 0.5, 2)), ("softmax", (0.5, 0.5, 0.5)), ("sigmoid", "abc")],
)
def test_other_thresholds_are_refused(output, thresholds):
    with pytest.raises(ModelSpecError, match="thresholds must be None, or 3 numbers 0-1 beside the output sigmoid"):
        ModelSpec(8, NAMES, output=output, thresholds=thresholds)


def test_a_graph_of_another_exporter(external):
    weights = np.array([[-9, 3, 9]] * 3) / 3
    path = external(SHAPE, weights, ending=[("Sigmoid", [], {})])
    classifier = Classifier(path, spec=SPEC)
    white, black = np.full((8, 8, 3), 255, np.uint8), np.zeros((8, 8, 3), np.uint8)
    assert classifier.multi_label
    assert classifier.classify(white).labels == ("dog", "cat")
    assert classifier.classify(black).labels == ("ball", "cat")
    assert not Classifier(path, spec=ModelSpec(8, NAMES)).multi_label  # nobody said so


def test_one_number_for_two_classes_is_one_label_of_two(external):
    path = external(SHAPE, np.ones((3, 1)), ending=[("Sigmoid", [], {})])
    prediction = Classifier(path, spec=ModelSpec(8, ("no", "yes"), output="sigmoid")).classify(
        np.zeros((8, 8, 3), np.uint8)
    )
    assert prediction.labels is None


def seen(*labels):
    shares = dict.fromkeys(labels, 0.9) or {"none": 0.1}
    label = next(iter(shares))
    return Prediction(label, shares[label], tuple(shares.items()), labels=labels)


def test_each_label_begins_and_ends_by_itself():
    detector = EventDetector(EventSettings(votes=2, window=2, min_seconds=0))
    frames = [("a",), ("a", "b"), ("b", "a"), ("b",), ("b",), (), ()]
    said = [
        (number, event.kind, event.label)
        for number, labels in enumerate(frames)
        for event in detector.update(seen(*labels), number)
    ]
    assert said == [(1, "begins", "a"), (2, "begins", "b"), (4, "ends", "a"), (6, "ends", "b")]
    assert detector.labels == ()


def test_all_labels_end_with_the_frames():
    settings = EventSettings(votes=1, window=1, min_seconds=0, lost_after_s=5)
    lost, closed = EventDetector(settings), EventDetector(settings)
    for detector in (lost, closed):
        assert [event.kind for event in detector.update(seen("a", "b"), 0)] == ["begins", "begins"]
        assert detector.labels == ("a", "b")
    assert lost.check(5) == []
    assert [(event.label, event.kind) for event in lost.check(6)] == [("a", "ends"), ("b", "ends")]
    assert [(event.label, event.kind) for event in closed.close(6)] == [("a", "ends"), ("b", "ends")]


def test_the_state_of_a_camera_names_all_that_are_on():
    live = Live(Inbox(every_frame=False), "model.onnx")
    states = []
    for kind, label in [("begins", "cat"), ("begins", "dog"), ("ends", "dog"), ("ends", "cat")]:
        live.on_event(Event(kind, label, 0.0, 0.9))
        state = live.state()
        states.append((state["labels"], state["on"]["label"] if state["on"] else None))
    assert states == [(["cat"], "cat"), (["cat", "dog"], "dog"), (["cat"], "cat"), ([], None)]
