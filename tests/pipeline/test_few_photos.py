"""A pretrained network fitted to few photos: the plan, the command, its report, and the way to a bundle."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import measured_folder
from pipeline import artifacts
from pipeline.cli import main, parse
from pipeline.commands import few_photos
from pipeline.commands import photos as photos_command
from pipeline.documents.history import History
from pipeline.report import report
from pipeline.training.transfer.plan import plan
from runtime import cli as runtime_cli
from small_backbone import classifier

COLORS = {"sky": (60, 120, 220), "leaf": (40, 160, 60), "brick": (190, 70, 50)}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "mine.keras"
    classifier().save(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve photos a class; a class is a color. One lies in the wrong folder."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir()
        for number in range(12):
            shown = COLORS["brick"] if (name, number) == ("sky", 3) else color
            noise = random.normal(0, 30, (4, 4, 3)).repeat(10, 0).repeat(10, 1)
            Image.fromarray(np.clip(shown + noise, 0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def command(network, photos, tmp_path):
    return ["train", "--data", str(photos), "--backbone", str(network), "--out", str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("photos", "minutes", "given", "expected"),
    [
        (240, 10, {}, (224, 4)),
        (4_000, 10, {}, (224, 4)),
        (10_000, 10, {}, (224, 1)),
        (20_000, 10, {}, (192, 1)),
        (10**6, 1, {}, (96, 1)),
        (240, 10, {"side": 160, "views": 7}, (160, 7)),
    ],
)
def test_photos_and_minutes_choose_side_and_views(photos, minutes, given, expected):
    chosen = plan(photos, minutes, **given)
    assert (chosen.side, chosen.views) == expected
    assert (f"(limit: --minutes {minutes})" in chosen.why) == (photos != 10**6)
    assert ("no choice is faster" in chosen.why) == (photos == 10**6)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--minutes 0", "--minutes must be more than 0, got 0"),
        ("--views 0", "--views must be 1 or more, got 0"),
        ("--side 64", "takes 32 pixels: leave --side out, got 64"),
        ("--height 32 --width 64", "is fitted to squares: give --side, or train a network from scratch"),
        ("--from-scratch", "mine.keras is pretrained: leave one out"),
        ("--epochs 3 --tensorboard", "--epochs, --tensorboard does not apply to it"),
        ("--distribute multiworker", "is fitted on one machine: leave --distribute out, or give --distribute mirrored"),
        ("--model mobilenetv2", "has its own network and weights: leave --model out"),
        ("--weights w.h5", "has its own network and weights: leave --weights out"),
        ("--extra PHOTOS", "--extra needs --student"),
        ("--student vgg8 --side 60", "side 60 does not fit vgg8, which reduces images by 8"),
        ("--student vgg8 --model resnet8", "learns from a pretrained network, which resnet8 is not"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(command, photos, capsys, typed, message):
    assert main([*command, *typed.replace("PHOTOS", str(photos)).split()]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in said


@pytest.mark.parametrize(
    "typed", ["--weights w.h5", "--views 3 --model vgg8", "--data PHOTOS --from-scratch --minutes 3"]
)
def test_what_only_pretrained_networks_take_is_not_ignored(photos, capsys, typed):
    assert main(["train", *typed.replace("PHOTOS", str(photos)).split()]) == 2
    assert "is for pretrained networks, and" in capsys.readouterr().err


def test_help_begins_with_what_most_people_need(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    first, _, rest = capsys.readouterr().out.partition("\noptions:\n")[2].partition("\nown photos:\n")
    found = re.findall(r"^  (-[-\w]+)", first, re.MULTILINE)
    assert found == ["-h", "--out", "--model", "--data", "--skip-bad", "--minutes"]
    assert "--epochs" in rest


def test_a_pretrained_network_needs_photos(capsys):
    assert main(["train", "--model", "efficientnet-lite0"]) == 2
    assert "give their folder with --data DIR" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "installed", "expected"),
    [
        ("--data x --student vgg8 --side 64", True, (True, "efficientnet-lite0")),
        ("", True, (False, "notes")),
        ("--data x", True, (True, "efficientnet-lite0")),
        ("--data x", False, (False, "notes")),
        ("--data x --from-scratch", True, (False, "notes")),
        ("--data x --model vgg8", True, (False, "vgg8")),
        ("--data x --epochs 4", True, (False, "notes")),
        ("--data x --side 64", True, (False, "notes")),
        ("--data x --height 64 --width 32", True, (False, "notes")),
        ("--data x --distribute mirrored", True, (True, "efficientnet-lite0")),
        ("--data x --distribute multiworker", True, (False, "notes")),
        ("--data x --side 96", True, (True, "efficientnet-lite0")),
        ("--data x --model mobilenetv2-0.35", True, (True, "mobilenetv2-0.35")),
    ],
)
def test_which_network_is_meant(monkeypatch, typed, installed, expected):
    monkeypatch.setattr("pipeline.models.efficientnet_lite.find_weights", lambda: "file" if installed else None)
    options = parse(["train", *typed.split()])
    assert (few_photos.wanted(options), options.model) == expected


@pytest.mark.slow
def test_photos_become_a_network_and_an_honest_figure(command, tmp_path, capsys):
    assert main(command) == 0
    said, stages = capsys.readouterr()
    assert "computing the features of all photos\njudging each photo by a network that did not learn" in stages
    entries = json.loads((tmp_path / "out" / "history.json").read_text())
    found = History.read(tmp_path / "out").out_of_fold
    assert found.images == entries["images"]["training"] == 33
    assert found.low < found.accuracy < found.high
    assert f"Accuracy {found.accuracy:.1%} on 33 photos" in said
    assert found.suspects[0].path == "sky/3.png"
    assert found.suspects[0].taken_for == "brick"
    assert "sky/3.png: looks like brick" in said
    assert "What would help:" in said
    assert "\nNext: " in said
    assert found.plain_accuracy > 0.9  # a class is a color here, and nothing else
    assert "Mean color and contrast alone tell" in said
    assert {row.name for row in found.classes} == set(COLORS)
    assert main(["evaluate", str(tmp_path / "out" / "model.keras"), "--on", "validation"]) == 0
    shown = f"{3 * entries['validation_accuracy']:.0f} of 3  95 % interval"
    assert shown in capsys.readouterr().out
    first = (tmp_path / "out" / "history.json").read_bytes()
    capsys.readouterr()
    assert main([*command, "--in-steps"]) == 0
    assert "Next:" not in capsys.readouterr().out  # the command that goes on by itself says what comes
    again = (tmp_path / "out" / "history.json").read_bytes()
    assert json.loads(again)["out_of_fold"] == json.loads(first)["out_of_fold"]


@pytest.fixture
def exported(tmp_path):
    """An export folder with the history of a training on few photos."""
    folder = measured_folder.write(tmp_path / "build")
    suspect = {"path": "ant/<i>.jpg", "label": "ant", "probability": 0.04, "taken_for": "bee"}
    found = {"accuracy": 0.9, "images": 40, "low": 0.77, "high": 0.96, "folds": 10, "repeats": 1, "look_alike": 4}
    found |= {"curve": [{"photos_a_class": 9, "accuracy": 0.8}], "gain_of_twice": 0.031, "suspects": [suspect]}
    found |= {"classes": [{"name": "ant", "photos": 20, "found": 17, "taken_for": "bee"}]}
    sha256 = artifacts.sha256((folder / artifacts.MODEL_KERAS).read_bytes())
    artifacts.write_json(folder / artifacts.HISTORY, {"model_sha256": sha256, "out_of_fold": found})
    return folder


@pytest.mark.slow
def test_the_report_says_how_good_and_what_would_help(exported):
    report(exported)
    page = (exported / artifacts.REPORT_PAGE).read_text(encoding="utf-8")
    for text in ("90%", "77% to 96%", "about 3.1 points", "ant/&lt;i&gt;.jpg", "85%", "4 photos look like"):
        assert text in page
    artifacts.write_json(exported / artifacts.HISTORY, {"model_sha256": "0" * 64})
    report(exported)  # the history of another model counts for nothing
    assert "What would help" not in (exported / artifacts.REPORT_PAGE).read_text(encoding="utf-8")


@pytest.fixture
def called(monkeypatch, tmp_path):
    """The commands that were called, as stubs; ``called.statuses`` sets their exit statuses."""
    monkeypatch.chdir(tmp_path)
    for name in ("ant", "bee"):
        (tmp_path / "my photos" / name).mkdir(parents=True)

    class Called(list):
        statuses = {}  # noqa: RUF012 - of this one test
        writes = True

    done = Called()

    def call(command, **_):
        done.append(command[2:])
        if command[3] == "export" and done.writes:
            folder = Path(command[command.index("--out") + 1])
            artifacts.write_bytes(folder / artifacts.VERIFY, (folder / artifacts.VERIFY).read_bytes())
        return type("Done", (), {"returncode": done.statuses.get(command[3], 0)})

    monkeypatch.setattr(photos_command.subprocess, "run", call)
    return done


@pytest.mark.parametrize(
    ("statuses", "status", "run"),
    [
        ({}, 0, 5),
        ({"train": 2}, 2, 1),
        ({"train": 1}, 1, 1),
        ({"bench": 1}, 1, 3),
        ({"report": 1}, 1, 4),
        ({"bundle": 1}, 1, 5),
        ({"export": 1}, 1, 5),
        ({"bench": 2}, 2, 3),
        ({"bundle": 2}, 1, 5),
        ({"train": -2}, 130, 1),
    ],
)
def test_one_command_goes_all_the_way(exported, called, capsys, statuses, status, run):  # noqa: PLR0913, PLR0917 - a table
    called.statuses = statuses
    assert main(["photos", "my photos", "--out", str(exported), "--skip-bad", "--python", "3.13"]) == status
    assert len(called) == run
    assert called[0] == ["pipeline", "train", "--in-steps", "--data", "my photos", "--out", str(exported), "--skip-bad"]
    shown = capsys.readouterr()
    assert ("Accuracy: 90% on 40 photos" in shown.out) == (run == 5)
    assert shown.out.count("Accuracy") == (run == 5)  # one figure is the accuracy
    assert ("Held out: 83% on 30 test images (95 % interval 66% to 93%)" in shown.out) == (run == 5)
    assert all(len(line) <= 80 for line in shown.out.splitlines() if str(exported) not in line)
    steps = [line for line in shown.err.splitlines() if line.startswith("[")]
    assert [line.partition(": ")[0] for line in steps] == [
        f"[{number}/5] {command[1]}" for number, command in enumerate(called, start=1)
    ]
    assert ("no bundle was written" in shown.err) == ("bundle" in statuses)
    assert (called[-1][-2:] == ["--python", "3.13"]) == (run == 5)
    for module, *command in called:
        {"pipeline": parse, "runtime": runtime_cli.parse}[module](command)  # ends the test if it does not understand it


def test_options_of_the_training_before_are_taken_and_named_once(exported, called, capsys):
    history = artifacts.read_json(exported / artifacts.HISTORY)
    before = {"data": "my photos", "photos": {"skip_bad": True, "none": ""}}
    artifacts.write_json(exported / artifacts.HISTORY, history | before)
    assert main(["photos", "my photos", "--out", str(exported)]) == 0
    assert called[0][-1] == "--skip-bad"
    assert capsys.readouterr().err.count("as in the training before: --skip-bad") == 1


def test_a_few_photos_held_out_are_no_figure(exported):
    verified = artifacts.read_json(exported / artifacts.VERIFY)
    artifacts.write_json(exported / artifacts.VERIFY, verified | {"images": 29})
    said = photos_command.screen(exported)
    assert "Held out" not in said
    assert "96.7%" not in said
    assert "28 of 29" in said


def test_an_export_that_wrote_nothing_stops(exported, called):
    called.statuses, called.writes = {"export": 1}, False
    assert main(["photos", "my photos", "--out", str(exported)]) == 1
    assert [command[1] for command in called] == ["train", "export"]
