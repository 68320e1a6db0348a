"""``inspect`` prints the contents of a model file."""

import json
from dataclasses import replace

import pytest

from called import call
from runtime import Classifier
from runtime.commands.inspect import as_text, describe


def test_inspect_shows_the_card(carrying):
    path = carrying("model_int8.onnx")
    card = json.loads(call("inspect", path, "--json").stdout)
    assert card["bytes"] == path.stat().st_size
    assert card["golden_images"] == 8
    assert card["class_names"][0] == "airplane"
    assert card["inputs"][0].endswith("uint8 [N, 32, 32, 3]")
    text = call("inspect", path).stdout
    assert card["sha256"] in text
    assert "airplane" in text


@pytest.mark.parametrize(
    ("provenance", "judged"), [({}, "validation images"), ({"accuracy": "out of fold"}, "photos, out of fold")]
)
def test_inspect_says_what_the_accuracy_rests_on(reference, provenance, judged):
    classifier = Classifier(reference / "model_int8.onnx")
    spec = replace(classifier.spec, accuracy=0.9, accuracy_images=40, provenance=provenance)
    classifier = Classifier(reference / "model_int8.onnx", spec=spec)
    card = describe(classifier)
    assert card.to_json()["accuracy_on"] == judged
    assert f"accuracy         90.00% on 40 {judged}" in as_text(card).splitlines()
    few = replace(card, spec=replace(spec, accuracy_images=20))
    assert f"accuracy         18 of 20 {judged}" in as_text(few).splitlines()


def test_inspect_names_what_a_file_was_made_from(reference):
    card = describe(Classifier(reference / "model_int8.onnx"))
    provenance = {"keras_sha256": "a90e", "accuracy": "out of fold", "config": "min-max", "tool": "another"}
    rows = as_text(replace(card, spec=replace(card.spec, provenance=provenance))).splitlines()
    assert rows[-3:] == ["Keras file       SHA-256 a90e", "int8 config      min-max", "tool             another"]
