"""Messages name at most ten of many classes or files, and count the others."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data.dataset import Dataset
from pipeline.data.folder import _check_pictures
from pipeline.documents.manifest import Manifest
from pipeline.export.replaced import what_is_replaced
from pipeline.label.queue import describe
from pipeline.verify.drift import drift
from pipeline.verify.evaluate.check import check
from runtime.benchmark.tuning import _images
from runtime.bundle.files import refuse
from runtime.errors import EdgecnnError
from runtime.spec import ModelSpec
from runtime.tuning import _default

NAMES = tuple(f"name-{number:02}" for number in range(30))
SIZE = (4, 4)
MODEL = SimpleNamespace(class_names=NAMES, size=SIZE, files={}, sha256_of=lambda _: "another")
IMAGES = Dataset(np.zeros((1, 5, 5, 3), np.uint8), np.zeros(1, np.uint8), NAMES)


def many_model_files(folder):
    for name in NAMES:
        (folder / f"{name}.onnx").touch()
    return folder


def contender(name):
    spec = SimpleNamespace(shape=name, class_names=())
    return SimpleNamespace(classifier=SimpleNamespace(path=Path(name), spec=spec))


MESSAGES = {
    "evaluate": lambda _: check(MODEL, IMAGES),
    "drift": lambda folder: drift(folder, IMAGES),
    "export": lambda folder: what_is_replaced(folder, "new", ()),
    "photos": lambda folder: _check_pictures(folder, (), SimpleNamespace(class_names=NAMES), None),
    "label": lambda _: describe(SimpleNamespace(state=lambda: {"left": 1, "classes": NAMES})),
    "tune": lambda _: _images([contender(name) for name in NAMES]),
    "classify": lambda folder: _default(many_model_files(folder)),
    "bundle": lambda folder: refuse(folder, {"missing": set(NAMES)}),
    "spec": lambda _: ModelSpec.from_json(json.dumps(dict.fromkeys(NAMES, 1))),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_ten_names_and_a_count_are_listed(message, tmp_path, monkeypatch):
    monkeypatch.setattr(Manifest, "read", lambda _: MODEL)
    try:
        text = message(tmp_path)
    except EdgecnnError as error:
        text = str(error)
    assert {name for name in NAMES if name in text} == set(NAMES[:10])
    assert " and 20 more" in text
