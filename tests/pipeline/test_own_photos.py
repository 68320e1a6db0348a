"""Another model and other photos, with command lines as a user types them."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from pipeline.artifacts import HISTORY, MODEL_KERAS, sha256, write_json
from pipeline.cli import main, parse
from pipeline.commands.earlier_options import restore_of_training
from pipeline.data.photo_settings import Settings, settings_for
from pipeline.export.replaced import what_is_replaced
from runtime import Classifier

COLORS = {"sky": (60, 120, 220), "leaf": (40, 160, 60), "brick": (190, 70, 50)}


def pipeline(*arguments, cwd):
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def here(capfd):
    """A function that runs a command in this process, where TensorFlow is loaded already; what C++ writes is heard."""

    def run(*arguments):
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        shown = capfd.readouterr()
        return SimpleNamespace(returncode=status, stdout=shown.out, stderr=shown.err)

    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty photos a class; a class is a color."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir()
        for number in range(20):
            noisy = np.clip(random.normal(color, 40, (48, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network of another exporter, which classifies by distance to colors, and its list of classes."""
    folder = tmp_path_factory.mktemp("model")
    network = keras.Sequential([keras.Input((24, 24, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    means = np.array(list(COLORS.values()), np.float32).T / 255
    network.layers[-1].set_weights([40 * means, -20 * (means**2).sum(axis=0)])
    network.save(folder / "colors.keras")
    (folder / "classes.txt").write_text("\n".join(COLORS))
    return folder


@pytest.mark.slow
def test_export_and_verify_on_own_photos(model, photos, here, repository, tmp_path):
    """The first command as a process of its own; no library may make any of them talk."""
    out = tmp_path / "build"
    arguments = ("--model", model / "colors.keras", "--classes", model / "classes.txt", "--out", out)
    done = pipeline("export", *arguments, "--data", photos, "--quick", cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    # The folder lists its classes by the alphabet, the model does not: labels follow the model.
    assert manifest["class_names"] == list(COLORS)
    assert manifest["validation"]["keras_accuracy"] == 1
    report, bundle = done.stdout.splitlines()[-2:]
    assert report.endswith(f"python -m pipeline report {out}  # one page with all results")
    assert bundle.endswith(f"python -m pipeline bundle {out}  # an archive for a board")
    again = here("verify", out, "--data", photos)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Against Keras (6 of 6 right, " in again.stdout
    drift = here("drift", out, "--data", photos)
    assert drift.returncode == 0, drift.stdout + drift.stderr
    # No bars where there is no terminal, and nothing that libraries say to themselves.
    lines = (done.stderr + again.stderr + drift.stderr).splitlines()
    stages = ("loading TensorFlow", "comparing every", "checking with the photos")
    ours = (f"{photos}: ", "[", "cache of photos", "model_fp32.onnx: ", "model_int8.onnx: ", *stages)
    assert [line for line in lines if not line.startswith(ours)] == []
    assert done.stderr.startswith("loading TensorFlow, ")
    assert again.stderr.startswith(f"{photos}: reading the photos\n")
    for announced in ("comparing every file with Keras\n", "checking with the photos how the model is fed\n"):
        assert announced in done.stderr
        assert announced in again.stderr
    assert "comparing every layer of every file" in drift.stderr
    (photos / "sky" / "broken.png").write_bytes(b"nothing")
    refused = here("verify", out, "--data", photos)
    (photos / "sky" / "broken.png").unlink()
    assert refused.returncode == 2
    assert "--skip-bad" in refused.stderr


@pytest.mark.slow
def test_all_photos_of_a_folder_that_export_did_not_read_judge_the_model(model, photos, here, tmp_path):
    shutil.copytree(photos, tmp_path / "used")
    out, used = tmp_path / "build", tmp_path / "used"
    arguments = ("--model", model / "colors.keras", "--classes", model / "classes.txt", "--out", out, "--quick")
    done = here("export", *arguments, "--data", used)
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(used) not in (out / "manifest.json").read_text()

    for path in used.rglob("*.png"):
        new = tmp_path / "new" / path.relative_to(used)
        new.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).rotate(90, expand=True).save(new)
    judged = here("verify", out, "--data", tmp_path / "new")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "3 classes; 60 for test\n" in judged.stderr
    assert " on 60 test images:" in judged.stdout
    assert "may have learned" not in judged.stdout
    here("drift", out, "--data", tmp_path / "new")
    assert json.loads((out / "drift.json").read_text())["images"] == 60

    for number in range(40):  # the folder that export read, with more photos
        shutil.copy(tmp_path / "new" / "sky" / f"{number % 20}.png", used / "sky" / f"more{number}.png")
    judged = here("verify", out, "--data", used)
    assert "3 classes; 60 for test" not in judged.stderr
    assert "may have learned" in judged.stdout


@pytest.mark.slow
def test_other_classes_than_the_models_are_refused(model, photos, here, tmp_path):
    (tmp_path / "classes.txt").write_text("sky\nleaf\nroof")
    arguments = ("--model", model / "colors.keras", "--classes", tmp_path / "classes.txt", "--out", tmp_path / "build")
    done = here("export", *arguments, "--data", photos, "--quick")
    assert done.returncode == 2
    assert "no class of the model: brick; its classes are sky, leaf, roof" in done.stderr
    without = here("export", *arguments)
    assert without.returncode == 2
    assert "--data" in without.stderr
    assert not (tmp_path / "build").exists()


@pytest.mark.slow
def test_how_photos_become_squares_is_told_once(model, photos, here, tmp_path):
    out = tmp_path / "build"
    arguments = ("--model", model / "colors.keras", "--classes", model / "classes.txt", "--out", out, "--quick")
    done = here("export", *arguments, "--data", photos, "--resize", "crop", "--filter", "bicubic")
    assert done.returncode == 0, done.stdout + done.stderr
    spec = Classifier(out / "model_int8.onnx").spec
    assert (spec.resize, spec.resize_filter) == ("crop", "bicubic")
    digests = [json.loads((out / name).read_text()) for name in ("manifest.json", "verify.json")]
    again = here("verify", out, "--data", photos)
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((out / "verify.json").read_text())["test_digest"] == digests[1]["test_digest"]


@pytest.mark.slow
def test_later_commands_skip_the_bad_photos_that_export_skipped(model, photos, here, tmp_path):
    for name in ("same", "other"):
        shutil.copytree(photos, tmp_path / name)
        (tmp_path / name / "sky" / "broken.png").write_bytes(b"nothing")
    out, same = tmp_path / "build", tmp_path / "same"
    arguments = ("--model", model / "colors.keras", "--classes", model / "classes.txt", "--out", out, "--quick")
    done = here("export", *arguments, "--data", same, "--skip-bad")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(same) not in (out / "manifest.json").read_text()
    for command in ("verify", "drift"):
        again = here(command, out, "--data", same)
        assert again.returncode == 0, again.stdout + again.stderr
        assert again.stderr.count("as in the export before: --skip-bad (--no-skip-bad turns it off)\n") == 1
        assert "left out: 1 broken" in again.stdout
    for folder, more in ((same, ["--no-skip-bad"]), (tmp_path / "other", [])):
        refused = here("verify", out, "--data", folder, *more)
        assert refused.returncode == 2
        assert "sky/broken.png: " in refused.stderr
        assert "as in the export" not in refused.stderr


def test_what_training_was_told_holds_until_a_command_is_told_otherwise(tmp_path, capsys):
    settings = Settings(side=32, resize="pad", skip_bad=True, validation_share=0.3, seed=5)
    path = tmp_path / MODEL_KERAS
    path.touch()
    write_json(tmp_path / HISTORY, {"model_sha256": sha256(b""), "photos": asdict(settings)})
    assert settings_for(path, 32) == settings_for(path, 32, resize="pad", skip_bad=True) == settings
    assert settings_for(path, 32, skip_bad=False) == replace(settings, skip_bad=False)
    assert "trained with" not in capsys.readouterr().err
    assert settings_for(path, 32, resize="stretch") == replace(settings, resize="stretch")
    settings_for(path, 32, resize="stretch")
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "trained with" in line]
    assert "was trained with --resize pad; photos are read with --resize stretch" in said


def test_a_second_training_takes_what_was_said_to_the_first(tmp_path, capsys):
    photos, others, out = (tmp_path / name for name in ("photos", "others", "out"))
    none = str(tmp_path / "anything")
    said = {"photos": asdict(Settings(skip_bad=True, none=none)), "data": str(photos)}
    out.mkdir()
    write_json(out / HISTORY, {"model_sha256": None, **said})

    def after(*arguments, data=photos):
        options = parse(["train", "--data", str(data), "--out", str(out), *arguments])
        restore_of_training(options)
        return options.skip_bad, options.none and str(options.none), capsys.readouterr().err

    assert after()[:2] == (True, none)
    assert f"--skip-bad (--no-skip-bad turns it off), --none {none}" in after()[2]
    assert after("--no-skip-bad", "--none", "x") == (False, "x", "")
    assert after(data=others) == (None, None, "")
    (out / HISTORY).write_text("{")
    assert after() == (None, None, "")


@pytest.mark.slow
def test_later_commands_read_the_photos_as_training_did(photos, here, tmp_path, monkeypatch):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / "sky" / "broken.png").write_bytes(b"nothing")
    (tmp_path / "photos" / "sky" / "._0.png").write_bytes(b"nothing")
    out = tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    recipe = ("--side", 16, "--model", "notes", "--epochs", 1, "--batch-size", 16, "--out", out)
    refused = here("train", "--data", "photos", *recipe)
    assert refused.returncode == 2
    assert refused.stderr.count("sky/broken.png: ") == 1
    trained = here("train", "--data", "photos", "--skip-bad", *recipe)
    assert trained.returncode == 0, trained.stderr
    for done in (
        trained,
        here("evaluate", out / "model.keras", "--data", "photos", "--on", "validation"),
        here("evaluate", out / "model.keras", "--on", "validation"),
        here("export", "--model", out / "model.keras", "--out", out, "--quick"),
        here("verify", out),
        here("drift", out),
    ):
        assert done.returncode in {0, 1}, done.stderr  # one epoch may be too few for the criteria
        assert done.stdout.splitlines().count("left out: 1 hidden, 1 broken") == 1
        assert "  sky/broken.png: not a JPEG" in done.stdout
    refused = here("verify", out, "--no-skip-bad")
    assert refused.returncode == 2
    assert "sky/broken.png: " in refused.stderr


def test_an_export_over_another_model_says_so(tmp_path, reference):
    names = ("model.keras", "model_int8.onnx", "model_fp16.tflite")
    manifest = json.loads((reference / "manifest.json").read_text())
    manifest["files"] = {name: {"bytes": 1, "sha256": sha256(name.encode())} for name in names}
    write_json(tmp_path / "manifest.json", manifest)
    for name in (*names, "drift.json"):
        (tmp_path / name).touch()
    assert what_is_replaced(tmp_path, sha256(b"model.keras"), names) is None
    assert what_is_replaced(tmp_path / "empty", "other", names) is None
    said = what_is_replaced(tmp_path, "other", names[:2])
    assert "10 classes (airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck) and 32x32 pixels" in said
    assert said.endswith("these files of it stay: model_fp16.tflite, drift.json")
