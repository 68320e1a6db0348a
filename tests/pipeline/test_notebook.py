"""Functions for notebooks: models in memory, images in every form, documents displayed as tables."""

import importlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from pipeline import export, report, verify
from pipeline.documents.display import DisplayTable, Page
from pipeline.documents.manifest import Manifest
from pipeline.errors import DataError, ExportError
from pipeline.export.load.model import Source, load
from pipeline.export.load.saved import save
from pipeline.notebook import _dataset, _pixels, settings_for
from pipeline.system import quiet
from pipeline.system.quiet import in_notebook, log_hidden
from pipeline.verify.parity.caveats import ALSO_CHOSE, ALSO_DECIDED

COLORS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
NAMES = tuple(COLORS)
SIDE = 16


def painted(count, seed=0):
    """Pixels uint8 (N, S, S, 3) and labels."""
    random, labels = np.random.default_rng(seed), np.arange(count) % 3
    colors = np.array(list(COLORS.values()))[labels][:, None, None]
    return np.clip(random.normal(colors, 30, (count, SIDE, SIDE, 3)), 0, 255).astype(np.uint8), labels


def network():
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    means = np.array(list(COLORS.values()), np.float32).T / 255
    model.layers[-1].set_weights([40 * means, -20 * (means**2).sum(axis=0)])
    return model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The classifier, and how its photos are read."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save(network(), path)
    return load(Source(path, NAMES)), settings_for(path, SIDE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for number, (image, label) in enumerate(zip(*painted(90), strict=True)):
        (root / NAMES[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / NAMES[label] / f"{number}.png")
    return root


def forms():
    pixels, labels = painted(60)
    dataset = tf.data.Dataset.from_tensor_slices
    return {
        "numbers": (pixels, labels),
        "one-hot": (pixels, np.eye(3)[labels]),
        "names": [pixels, np.array(NAMES)[labels]],
        "floats": (pixels.astype(np.float32), labels),
        "larger": (pixels.repeat(2, axis=1).repeat(2, axis=2), labels),
        "dataset of images": dataset((pixels, labels)),
        "dataset of batches": dataset((pixels.astype(np.float32), labels)).batch(25),
    }


@pytest.mark.parametrize("form", forms())
def test_images_in_every_form_are_the_same_data(loaded, form):
    pixels, labels = painted(60)
    images = _dataset(forms()[form], *loaded)
    assert images.labeled
    np.testing.assert_array_equal(images.labels, labels)
    if form == "larger":  # resized with antialiasing
        np.testing.assert_allclose(images.pixels.mean((1, 2)), pixels.mean((1, 2)), atol=8)
    else:
        np.testing.assert_array_equal(images.pixels, pixels)


def test_images_without_labels(loaded):
    pixels, _ = painted(40)
    for images in (pixels, tf.data.Dataset.from_tensor_slices(pixels).batch(7)):
        found = _dataset(images, *loaded)
        assert not found.labeled
        np.testing.assert_array_equal(found.pixels, pixels)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((4, 8, 8)), r"RGB images \(N, H, W, 3\), got float64"),
        (np.full((4, 8, 8, 3), 0.5), "from 0 to 255, got float64 from 0.5 to 0.5"),
        (np.full((4, 8, 8, 3), np.nan), "from 0 to 255"),
        (np.full((4, 8, 8, 3), -3), "from 0 to 255"),
    ],
)
def test_other_arrays_are_refused(images, said):
    with pytest.raises(DataError, match=said):
        _pixels(images)


def test_a_label_of_no_class_is_refused(loaded):
    pixels, _ = painted(3)
    with pytest.raises(DataError, match="no class of the model: pink; it has red, green, blue"):
        _dataset((pixels, ["red", "pink", "blue"]), *loaded)
    with pytest.raises(DataError, match="blue; RED differs only in case from classes of the model: write them in the"):
        _dataset((pixels, ["RED", "pink", "blue"]), *loaded)


def test_a_preset_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ExportError, match="one of tf, torch, caffe"):
        export(network(), tmp_path, scaling="tensorflow")


def in_255(model):
    """The same network for pixels of 0 to 255, which its layers do not show."""
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel / 255, bias + np.array([0, 3, 6])])  # which decide, unless values are large
    return model


def test_labeled_arrays_tell_that_a_model_is_fed_otherwise_than_in_training(tmp_path):
    images = painted(300)
    with pytest.raises(ExportError, match=r"of \d+ labeled images the Keras model names .* with --preset none"):
        export(in_255(network()), tmp_path / "out", images=images, class_names=NAMES, quick=True)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.slow
def test_what_was_found_of_the_feeding_is_in_the_manifest(tmp_path):
    images = painted(300)
    right = export(in_255(network()), tmp_path, images=images, class_names=NAMES, scaling="none", quick=True)
    assert right.contract.checked == "checked on 75 labeled images: no other way is clearly better"
    assert right.contract.asked == ("range",)


def test_a_model_in_memory_is_saved_to_the_same_bytes(tmp_path, monkeypatch):
    model = network()
    save(model, tmp_path / "a.keras")
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    save(model, tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_tables_are_escaped():
    shown = DisplayTable("<b>", ("file", "n"), [("<i>|", "1")], ("a & b",))
    assert '<td style="text-align:left">&lt;i&gt;|</td>' in shown.html()
    assert "<i>" not in shown.markdown()
    assert "| &lt;i&gt;&#124; | 1 |" in shown.markdown()
    page = Page(Path("build/report.html"), '<p class="a">')
    assert 'srcdoc="&lt;p class=&quot;a&quot;&gt;"' in page._repr_html_()


def test_tables_are_short_as_text():
    rows = [("a", "1,024", "pass"), ("bcd", "2", "")]
    shown = DisplayTable("Two files: passed", ("file", "KiB", "verdict"), rows, ("Fed.",))
    assert shown.text().splitlines() == [
        "Two files: passed",
        "file    KiB  verdict",
        "a     1,024  pass",
        "bcd       2",
        "Fed.",
    ]


@pytest.mark.slow
def test_the_five_lines(tmp_path, photos, capfd):
    out = tmp_path / "build"
    manifest = export(network(), out, images=photos, class_names=NAMES, quick=True)
    assert manifest.passed
    assert Manifest.read(out).files == manifest.files
    assert "model_int8.tflite" in manifest._repr_html_()
    verified = verify(out, painted(60, seed=1))
    assert [line[:5] for line in capfd.readouterr().err.splitlines()] == [f"[{number}/4]" for number in range(1, 5)]
    assert verified.passed
    assert str(manifest) == repr(manifest) == manifest.as_table().text()
    assert str(verified).startswith("Against Keras on 60 given images: passed\nfile ")
    assert ALSO_CHOSE not in verified.caveats
    again = str(verify(out, photos))
    assert ALSO_CHOSE not in again, "without a search, none was chosen"
    assert ALSO_DECIDED in again
    new = tmp_path / "new"
    for path in photos.rglob("*.png"):
        (new / path.parent.name).mkdir(parents=True, exist_ok=True)
        Image.open(path).rotate(180).save(new / path.parent.name / path.name)
    assert f"on {len(list(new.rglob('*.png')))} given images" in str(verify(out, new))
    assert "| Keras |  | 100% |" in verified._repr_markdown_()
    page = report(out)
    assert page.html == (out / "report.html").read_text()
    assert str(page) == repr(page) == str(out / "report.html")
    again = export(str(out / "model.keras"), tmp_path / "again", images=photos, class_names=NAMES, quick=True)
    assert again.files == manifest.files


@pytest.mark.slow
def test_importing_export_shows_no_log_of_tensorflow(repository):
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from pipeline import export; print('tensorflow' in sys.modules)"],
        capture_output=True, text=True, check=True, cwd=repository,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_the_log_is_hidden_only_within_a_notebooks_call(capfd, monkeypatch):
    monkeypatch.setattr(quiet, "_enabled", threading.Event())  # a command that ran in this process has set the other

    def said():
        with log_hidden():
            os.write(2, b"native")
            logging.getLogger("engine").warning("of Python")
        return capfd.readouterr().err

    with in_notebook():
        with in_notebook():
            assert said() == ""
        assert said() == ""
        with pytest.raises(OSError, match="an error"), log_hidden():
            raise OSError("an error")
    assert said().startswith("native")


def test_optional_modules_are_absent_only_while_tensorflow_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.setattr(quiet, "OPTIONAL", ("this", "os"))
    with quiet._optional_modules_absent():  # noqa: SLF001 - the step itself
        with pytest.raises(ImportError):
            importlib.import_module("this")
        assert importlib.import_module("os") is os  # loaded before
    assert "this" not in sys.modules
    assert sys.modules["os"] is os


@pytest.mark.slow
def test_importing_the_package_imports_no_tensorflow(repository):
    program = (
        "import sys, pipeline; print([name for name in ('keras', 'tensorflow', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_notebook_of_the_documents_runs(repository):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    place = repository / "docs" / "notebook.ipynb"
    notebook = nbformat.read(place, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells), "strip the outputs before committing"
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(place.parent)}}).execute()
    shown = [output.data["text/html"] for cell in cells for output in cell.outputs if "data" in output]
    assert [text[:8] for text in shown] == ["<p><b>Ex", "<p><b>Ag", "<iframe "]
    assert "passed</b>" in shown[1]
