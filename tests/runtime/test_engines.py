"""Engines by name: our own, and those of other packages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime
from runtime import BackendUnavailableError, Classifier, ModelFormatError
from runtime.engines.registry import OWN, default_engine, engines, engines_for, file_formats, find

TOY = '''\
"""An engine for files of one line: the spec; it answers the classes in turn, by the mean of the pixels."""

import numpy as np

from runtime.engines.base import Tensor


class ToyBackend:
    engine, title, suffixes = "toy", "Toy Engine", (".toy",)
    package, install = "toy_engine", "pip install toy-engine"

    @staticmethod
    def import_engine():
        import toy_engine

        return toy_engine

    def __init__(self, content, name, threads):
        self.spec_json, self.golden_json = content, None
        self.inputs = (Tensor("pixels", "uint8", (None, 8, 8, 3)),)
        self.outputs = (Tensor("probabilities", "float32", (None, 2)),)

    def __call__(self, values):
        bright = values.mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)
'''
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "toy-engine"
version = "1"

[tool.setuptools]
py-modules = ["toy_engine"]

[project.entry-points."edgecnn.backends"]
toy = "toy_engine:ToyBackend"
gone = "toy_engine:NoSuchBackend"
odd = "toy_engine:Tensor"
onnxruntime = "toy_engine:ToyBackend"
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Environment in which a package of another author is installed, and a model file of its kind."""
    pytest.importorskip("setuptools", "70.1", reason="no setuptools that builds wheels by itself is installed")
    project, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "toy_engine.py").write_text(TOY)
    (project / "night.toy").write_text(runtime.ModelSpec(8, ("night", "day")).to_json())
    Image.new("RGB", (64, 64), (250, 250, 250)).save(project / "snow.png")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", site, project], check=True, capture_output=True)
    paths = [str(site), str(Path(runtime.__file__).parent.parent)]
    return project, os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def test_a_package_of_others_adds_an_engine(toy):
    project, environment = toy

    def call(*arguments):
        command = [sys.executable, "-m", "runtime", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=project, env=environment)

    assert call("classify", "night.toy", "snow.png", "--top", "1").stdout == "snow.png: day 98.0%\n"
    assert call("classify", "night.toy", "snow.png", "--engine", "toy").returncode == 0
    done = call("classify", "night.toy", "snow.png", "--engine", "litert")
    assert done.returncode == 2
    assert done.stderr == "error: night.toy: LiteRT reads files that end in .tflite; toy reads this one\n"
    done = call("classify", "night.toy", "snow.png", "--engine", "gone")
    assert done.returncode == 2
    assert "engine gone cannot be loaded from toy_engine:NoSuchBackend" in done.stderr
    assert "Traceback" not in done.stderr
    report = call("doctor").stdout
    assert "toy             works: of no version" in report
    assert "gone            absent: engine gone cannot be loaded" in report
    assert "odd             absent: " in report


def test_ours_come_first_and_keep_their_names(toy):
    code = (
        "from runtime.engines.registry import engines, find; "
        "print([e.name for e in engines()], find('onnxruntime').__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=toy[1])
    names = [*OWN, "gone", "odd", "toy"]
    assert done.stdout == f"{names} OnnxBackend\n"


def test_engines_describe_themselves():
    assert set(OWN) <= {engine.name for engine in engines()}
    assert {default_engine(suffix) for suffix in file_formats()} <= set(OWN)
    for engine in engines():
        assert engine.title
        assert engine.suffixes
        assert engine.install.startswith("pip install ")
        assert find(engine.name).engine == engine.name
    assert next(engine for engine in engines() if engine.name == "onnxruntime").missing is None


@pytest.mark.parametrize("name", OWN)
def test_an_engine_states_all_that_is_known_of_it(name):
    backend = find(name)
    assert (backend.engine, backend.__module__) == (name, f"runtime.engines.{name}")
    assert re.fullmatch(r"#[0-9a-f]{6}", backend.color)
    kind = backend.file_format
    if kind:
        assert kind.title
        assert kind.suffix in backend.suffixes
        assert bool(kind.magic) == bool(kind.magic_title)
    assert backend.distribution in backend.install


def test_an_onnx_file_brings_in_the_module_of_no_other_engine(reference):
    code = (
        "import sys; from runtime import Classifier; Classifier(sys.argv[1]); "
        "print(*(name for name in sys.modules if name.startswith('runtime.engines.')))"
    )
    command = [sys.executable, "-c", code, reference / "model_int8.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert loaded & set(OWN) == {"onnxruntime"}


def test_the_default_engine_comes_first():
    assert engines_for(Path("model.ONNX"))[0] == "onnxruntime"
    assert engines_for(Path("model.tflite"))[0] == "litert"
    assert engines_for(Path("model.keep")) == ()


def test_an_engine_that_is_not_installed_is_listed_so(monkeypatch):
    monkeypatch.setattr(find("onnxruntime"), "package", "no_such_engine")
    assert engines()[0].missing == "no_such_engine is not installed"


@pytest.mark.parametrize("name", OWN)
def test_an_engine_that_cannot_be_imported_says_how_to_install_it(name, monkeypatch, reference, archived):
    monkeypatch.setitem(sys.modules, find(name).package, None)
    files = [*sorted(reference.iterdir()), archived(np.eye(4, 3))]
    path = next(path for path in files if name in engines_for(path))
    with pytest.raises(BackendUnavailableError, match=rf"{path.name}: .* cannot be imported .*: pip install"):
        Classifier(path, engine=name)


def test_an_unknown_engine_is_refused_with_those_that_are(reference):
    with pytest.raises(BackendUnavailableError, match="no engine is called 'magic': there are onnxruntime, litert"):
        Classifier(reference / "model_int8.onnx", engine="magic")
    with pytest.raises(ModelFormatError, match=r"LiteRT reads files that end in \.tflite; onnxruntime.* reads this"):
        Classifier(reference / "model_int8.onnx", engine="litert")


def test_the_engine_by_name_is_the_engine_by_suffix(reference, images):
    by_suffix = Classifier(reference / "model_int8.onnx")
    by_name = Classifier(reference / "model_int8.onnx", engine="onnxruntime")
    assert by_name.backend == by_suffix.backend == "onnxruntime"
    assert np.array_equal(by_name.predict(images[0]), by_suffix.predict(images[0]))


def test_entry_points_cost_nothing_where_nobody_asks_for_them(reference):
    code = "import sys, runtime; runtime.Classifier(sys.argv[1]); sys.exit('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, reference / "model_int8.onnx"], capture_output=True, check=False)
    assert done.returncode == 0
