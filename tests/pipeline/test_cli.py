import errno
import os
import subprocess
import sys

import pytest

import runtime.cli
from pipeline import artifacts, cli
from pipeline.commands import summary, train


def test_without_a_command_there_is_help(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "train a network" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [None, *(module.__name__.rpartition(".")[2].replace("_", "-") for module in cli.COMMANDS)]
)
def test_help_fits_the_terminal(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main([*([command] if command else []), "--help"])
    said = capsys.readouterr().out
    text = said.partition("\noptions:")[2]  # a usage line may be one long word
    assert max(map(len, text.splitlines())) <= 80
    assert ("\nexamples:\n" in said) == (command in {None, "export", "photos"})


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.ENOTDIR, "a folder is needed but there is a file"),
        (errno.EIO, "look at the path"),
    ],
)
def test_what_the_system_refuses_is_said_with_what_to_do(monkeypatch, capsys, number, remedy):
    def fail(_options):
        raise OSError(number, os.strerror(number), "some/place")

    monkeypatch.setattr(summary, "run", fail)
    assert cli.main(["summary"]) == 2
    assert capsys.readouterr().err.startswith(f"error: some/place: {os.strerror(number)}; {remedy}")


@pytest.mark.parametrize("command", ["bundle", "photos", "verify"])
def test_an_unknown_option_is_told_with_the_usage_of_its_command(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "folder", "--pyton", "3.13"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: python -m pipeline {command} ")
    assert "unrecognized arguments: --pyton 3.13" in said


def test_a_command_of_the_runtime_is_told_where_it_belongs_and_the_reverse(capsys):
    ours = {module.__name__.rpartition(".")[2].replace("_", "-") for module in cli.COMMANDS}
    theirs = set(runtime.cli.COMMANDS)
    assert set(runtime.cli.PIPELINE) == ours - theirs
    for names, package, command_line in ((theirs - ours, "runtime", cli), (ours - theirs, "pipeline", runtime.cli)):
        for name in names:
            with pytest.raises(SystemExit) as ended:
                command_line.main([name, "--help", "photo.jpg"])
            assert ended.value.code == 2
            said = f"error: {name} is a command of the {package}: python -m {package} {name}\n"
            assert capsys.readouterr().err.endswith(said)


FORMER_FLAGS = [
    *(("train", former, flag, "" if flag == "--reparam" else "0.5") for former, flag in train.FORMER_FLAGS.items()),
    ("export --model a.keras --out out", "--recipes", "--formats", "fp16 dynamic"),
]


@pytest.mark.parametrize(("command", "former", "flag", "value"), FORMER_FLAGS, ids=[row[1] for row in FORMER_FLAGS])
def test_a_former_flag_works_and_names_its_replacement_on_stderr(capsys, command, former, flag, value):
    def settings(*words):
        return vars(cli.parse([*command.split(), *words, *value.split()])) | {"typed": None}

    assert settings(flag) != vars(cli.parse(command.split())) | {"typed": None}
    assert not capsys.readouterr().err
    assert settings(former) == settings(flag)
    assert capsys.readouterr().err == f"{former} is now {flag}\n"


@pytest.mark.parametrize("argument", ["train", "no-such-command"])
def test_ctrl_c_while_the_command_line_is_read_is_no_traceback(monkeypatch, argument):
    def interrupt(_commands):
        raise KeyboardInterrupt

    monkeypatch.setattr(summary, "add", interrupt)
    assert cli.main([argument]) == 130


def test_who_has_not_the_pipelines_packages_is_told_what_to_run():
    command = [sys.executable, "-S", "-m", "pipeline", "--help"]  # -S: no packages
    root = artifacts.REFERENCE_DIR.parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the pipeline's packages are not installed here, ")
    assert done.stderr.endswith(" among them: run make env, and then .venv/bin/python -m pipeline\n")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("exprot", "), did you mean export?"),
        ("clasify model.onnx photo.jpg", "), did you mean python -m runtime classify?"),
        ("bundel build", "), did you mean bundle?"),
        (
            "export --model a --out b --formts fp16",
            "--formts fp16; there is no option --formts, did you mean --formats?",
        ),
        ("export --modle=a --out b", "required: --model; there is no option --modle, did you mean --model?"),
        ("export --model a --out b --preset trch", "), did you mean torch?"),
        ("export --model a --out b --recipesx", "--recipesx; there is no option --recipesx, did you mean --precision?"),
        (
            "export --model a --out b --quik -- --skp-bad",
            "-- --skp-bad; there is no option --quik, did you mean --quick?",
        ),
        ("verify build --zzz", "unrecognized arguments: --zzz"),
        ("export --zzz", "required: --model, --out; there is no option --zzz"),
        ("verify build more", "unrecognized arguments: more"),
        ("xyzzy", ")"),
    ],
)
def test_the_name_that_a_typo_resembles_is_suggested(typed, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(typed.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"{said}\n")
