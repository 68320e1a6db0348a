"""``train --search-minutes``: trials, their order, resuming after a kill, and the output."""

import builtins
import shlex

import numpy as np
import pytest
from PIL import Image

from pipeline import artifacts
from pipeline.cli import main, parse
from pipeline.commands import search as command
from pipeline.data.dataset import Dataset
from pipeline.documents.history import EpochRecord, History
from pipeline.errors import PipelineError
from pipeline.training import Settings, search
from pipeline.training.search import Plan, Search, SearchResult

optuna = pytest.importorskip("optuna")

MANY_MINUTES = 1_000.0
NAMES = ("a", "b")


def images(count, seed):
    random = np.random.default_rng(seed)
    return Dataset(random.integers(0, 256, (count, 8, 8, 3), np.uint8), np.arange(count) % 2, NAMES)


class Stand:
    """Replaces ``train``: the accuracy comes from a formula, and interruptions can be requested."""

    def __init__(self, cut_off_at=None):
        self.seen, self.cut_off_at = [], cut_off_at

    def __call__(self, _training, _validation, out, settings, run_options):
        self.seen.append(settings)
        out.mkdir(parents=True)
        records = []
        for epoch in range(1, settings.epochs + 1):
            reached = 0.9 - abs(np.log10(settings.learning_rate) + 2.3) / 4 - settings.dropout / 10
            reached *= 1 - 0.5 / epoch
            records.append(EpochRecord(**{**dict.fromkeys(EpochRecord.model_fields, 0.5), "epoch": epoch}))
            records[-1] = records[-1].model_copy(update={"val_accuracy": float(reached)})
            run_options.after_epoch(records)
            if len(self.seen) == self.cut_off_at and epoch == 2:
                out.rmdir()
                raise KeyboardInterrupt
        return History(validation_accuracy=float(reached), epochs=tuple(records))


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Search in a folder with a stub of the training; returns the result and the settings that were tried."""

    def run(folder, trials, *, stand=None, settings=None, minutes=MANY_MINUTES):
        stand = stand or Stand()
        monkeypatch.setattr(search, "train", stand)
        plan = Plan(minutes, 4, trials)
        try:
            result = Search(images(128, 0), images(10, 1), tmp_path / folder, settings or Settings(20), plan).run()
        except KeyboardInterrupt:
            result = None
        return result, stand.seen

    return run


def test_the_given_settings_are_the_first_try_and_the_best_of_all_is_found(searched, tmp_path, capsys):
    result, seen = searched("out", 9)
    assert seen[0] == Settings(4)
    assert len(seen) == len(set(seen)) == result.trials == 9
    assert result.accuracy > result.initial_accuracy
    assert result.settings.epochs == 20
    assert result.values["learning_rate"] == result.settings.learning_rate != Settings().learning_rate
    assert "ended early" in capsys.readouterr().err
    assert not (tmp_path / "out" / artifacts.SEARCH_TRIALS).exists()


def test_two_searches_of_a_seed_try_the_same_and_of_two_seeds_do_not(searched):
    first, again, other = (
        searched(name, 3, settings=Settings(20, seed=seed))[1] for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert [settings.learning_rate for settings in first][1:] != [settings.learning_rate for settings in other][1:]


@pytest.mark.parametrize("cut_off_at", [1, 3])
def test_an_interrupted_search_resumes_with_the_same_result(searched, tmp_path, cut_off_at):
    whole, seen = searched("whole", 5)
    assert searched("cut", 5, stand=Stand(cut_off_at))[0] is None
    journal = tmp_path / "cut" / artifacts.SEARCH_JOURNAL
    with journal.open("ab") as file:  # a power cut within a line, and a lock that nobody holds
        file.write(b'{"op_code": 4, "wor')
    journal.with_name(f"{journal.name}.lock").symlink_to(journal)
    result, rest = searched("cut", 5)
    assert rest == seen[cut_off_at - 1 :]
    assert result == whole


def test_a_finished_search_is_not_repeated_and_more_tries_go_on_from_it(searched):
    searched("out", 3)
    result, seen = searched("out", 3)
    assert not seen
    assert not result.has_new_trials
    result, seen = searched("out", 5)
    assert (len(seen), result.trials, result.has_new_trials) == (2, 5, True)


def test_time_ends_a_search_but_not_its_first_try(searched):
    result, seen = searched("out", None, minutes=1e-9)
    assert (len(seen), result.trials, result.accuracy) == (1, 1, result.initial_accuracy)


def test_another_search_in_the_folder_is_refused(searched):
    searched("out", 1)
    with pytest.raises(PipelineError, match=r"holds a search that differs in dropout: .*--restart"):
        searched("out", 1, settings=Settings(20, dropout=0.1))


def test_a_batch_larger_than_the_training_set_leaves_no_search_behind(searched):
    with pytest.raises(PipelineError, match="128 training images cannot fill one batch of 129: lower --batch-size"):
        searched("out", 1, settings=Settings(20, batch_size=129))
    assert searched("out", 1, settings=Settings(20, batch_size=64))[0].trials == 1


def test_settings_outside_the_ranges_are_tried_as_they_are(searched):
    given = Settings(20, learning_rate=0.5, dropout=0.9, cutmix=0.9, ema_decay=0.123456)
    _, seen = searched("out", 2, settings=given)
    assert (seen[0].learning_rate, seen[0].dropout, seen[0].cutmix, seen[0].ema_decay) == (0.5, 0.9, 0.9, 0.123456)


@pytest.mark.parametrize("plan", [(0, 4), (5, 0)])
def test_a_search_without_time_or_epochs_is_refused(plan):
    with pytest.raises(PipelineError, match="more than 0 minutes and trials of 1 epoch or more"):
        Plan(*plan)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--search-epochs 3", "--search-epochs needs --search-minutes"),
        ("--search-minutes 3 --distribute mirrored", "leave --distribute mirrored out"),
        (
            "--search-minutes 3 --data PHOTOS --model efficientnet-lite0",
            "fitted in one step: --search-minutes does not apply",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(typed, message, tmp_path, capsys):
    for name in NAMES:
        (tmp_path / "photos" / name).mkdir(parents=True)
    words = typed.replace("PHOTOS", str(tmp_path / "photos")).split()
    assert main(["train", "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err


def test_without_optuna_the_search_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(PipelineError, match="needs Optuna: pip install"):
        search.check_installed()


def test_the_command_of_the_best_settings_is_the_typed_one_without_the_search():
    typed = ("train", "--data", "my photos", "--search-min", "5", "--search-epochs=3", "--restart", "--dropout", "0.1")
    result = SearchResult(
        Settings(dropout=0.3), 0.9, 0.8, {"dropout": 0.3, "learning_rate": 0.004}, 7, has_new_trials=True
    )
    shown = command.command(result, typed)
    _, words = shlex.split(shown)[:3], shlex.split(shown)[3:]
    assert words[:3] == ["train", "--data", "my photos"]
    options = parse(words)
    assert (options.dropout, options.learning_rate, options.search_minutes, options.restart) == (
        0.3,
        0.004,
        None,
        False,
    )


@pytest.mark.slow
def test_photos_are_searched_and_then_trained_with_the_best(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(search, "LEARNING_RATES", (1e-3, 1e-2))
    random = np.random.default_rng(0)
    for name, color in {"sky": (60, 120, 220), "leaf": (40, 160, 60)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            square = np.clip(color + random.normal(0, 40, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(square).save(tmp_path / "photos" / name / f"{number}.png")
    typed = ["train", "--data", str(tmp_path / "photos"), "--side", "8", "--epochs", "2", "--batch-size", "8"]
    out = tmp_path / "out"
    assert main([*typed, "--out", str(out), "--search-minutes", "0.0001", "--search-epochs", "1"]) == 0
    shown = capsys.readouterr()
    assert "which also chose the settings and epoch" in shown.out
    assert "Best settings: " in shown.out
    assert "trial 1: " in shown.err
    assert (out / artifacts.MODEL_KERAS).is_file()
    assert len(History.read(out).epochs) == 2
    assert main([*typed, "--out", str(out), "--search-minutes", "0.0001", "--search-epochs", "1"]) == 0
    assert "trial " not in capsys.readouterr().err
