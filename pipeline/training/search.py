"""Search for better settings of a training: many short trials, judged on the validation images alone.

A trial is a training of few epochs. Optuna proposes its settings from the results of earlier trials (Tree-structured
Parzen estimator, Bergstra et al., 2011) and ends it early if it is below the median of the others (Golovin et al.,
2017). The first trial has the given settings, so that the search cannot end with worse ones. A journal file records all
trials, so an interrupted search can be resumed. Each proposal depends only on the seed and the earlier trials, so the
result is the same as without the interruption.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.documents.history import EpochRecord
from pipeline.errors import PipelineError
from pipeline.training import lock
from pipeline.training.batches import steps_an_epoch
from pipeline.training.run import RunOptions, digest_of, train
from pipeline.training.settings import Settings
from runtime.text import plural

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

INSTALL = "pip install 'optuna>=4'"
LEARNING_RATES = (2e-4, 2e-2)
RANGES = {"weight_decay": 0.1, "label_smoothing": 0.2, "dropout": 0.5}
"""Settings that every search varies from 0 to this value."""
AUGMENTATION = {"shift": 0.25, "color": 0.4, "random_erasing": 0.5, "cutmix": 0.6, "mixup": 0.3}
"""Settings varied from 0 to this value, but not with a teacher, whose outputs on the images would change each time."""
DECAYS = (0.0, 0.98, 0.995)
FLIPS = (0.0, 0.5)
TEACHING = {"teacher_weight": (0.3, 1.0), "teacher_temperature": (1.0, 6.0)}
DIGITS = 3
SECONDS, SETTINGS, IDENTITY = "seconds", "settings", "identity"


@dataclass(frozen=True)
class Plan:
    """The extent of a search.

    Attributes:
        minutes: time for all trials, including those of earlier calls; the first trial is always finished.
        epochs: of a trial.
        trials: largest number of trials; ``None`` for no limit.

    Raises:
        PipelineError: ``minutes`` is not more than 0, or ``epochs`` is less than 1.
    """

    minutes: float
    epochs: int
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.epochs < 1:
            got = f"{self.minutes:g} min and {plural(self.epochs, 'epoch')}"
            raise PipelineError(f"a search takes more than 0 minutes and trials of 1 epoch or more, got {got}")


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        settings: the best settings, with the epochs of the whole training.
        accuracy: validation accuracy (0-1) of the best trial.
        initial_accuracy: validation accuracy (0-1) of the given settings.
        values: name -> best value of each setting that was searched.
        trials: number of finished trials of all calls.
        has_new_trials: whether this call added a trial.
    """

    settings: Settings
    accuracy: float
    initial_accuracy: float
    values: dict[str, float]
    trials: int
    has_new_trials: bool


class _TimeIsUpError(Exception):
    """The search's time ended during a trial."""


@dataclass
class Search:
    """A search in a folder; see the module's docstring."""

    training: Dataset
    validation: Dataset
    out: Path
    settings: Settings
    plan: Plan
    run_options: RunOptions = field(default_factory=RunOptions)

    def run(self) -> SearchResult:
        """Run trials until time or number of trials are used up, resuming an earlier search in the folder.

        Raises:
            FolderInUseError: another process works in the folder.
            PipelineError: Optuna is missing, the images are fewer than a batch, or another search is in the folder.
        """
        check_installed()
        steps_an_epoch(self.training, self.settings)  # a refusal must not leave a search in the folder
        with lock.held(self.out):
            if self.run_options.restart:
                (self.out / artifacts.SEARCH_JOURNAL).unlink(missing_ok=True)
                shutil.rmtree(self.out / artifacts.SEARCH_TRIALS, ignore_errors=True)
            study = self._study()
            before = len(_finished(study))
            while not self._done(study):
                self._try(study)
            shutil.rmtree(self.out / artifacts.SEARCH_TRIALS, ignore_errors=True)
        finished, best = _finished(study), Settings(**study.best_trial.user_attrs[SETTINGS])
        return SearchResult(
            settings=replace(best, epochs=self.settings.epochs),
            accuracy=study.best_value,
            initial_accuracy=float(finished[0].value or 0.0),
            values={name: getattr(best, name) for name in self._space()},
            trials=len(finished),
            has_new_trials=len(finished) > before,
        )

    def _done(self, study: "Study") -> bool:
        if not (finished := _finished(study)):
            return False
        return _seconds(study) >= 60 * self.plan.minutes or len(finished) >= (self.plan.trials or len(finished) + 1)

    def _study(self) -> "Study":
        """Open the study in the folder, or create one; an interrupted trial is enqueued again.

        Raises:
            PipelineError: the folder has a study with other settings or data.
        """
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        journal = self.out / artifacts.SEARCH_JOURNAL
        _repair(journal)
        storage = JournalStorage(JournalFileBackend(str(journal)))
        study = optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)
        identity = {
            **asdict(self.settings),
            "epochs": self.plan.epochs,
            "teacher": digest_of(self.run_options.teacher),
            "initial model": digest_of(self.run_options.initial_model),
            "training images": self.training.digest,
            "validation images": self.validation.digest,
        }
        kept = study.user_attrs.get(IDENTITY)
        if kept is None:
            study.set_user_attr(IDENTITY, identity)
            study.enqueue_trial(self._first())
        elif differing := [name for name in {**kept, **identity} if kept.get(name) != identity.get(name)]:
            raise PipelineError(
                f"{self.out} holds a search that differs in {', '.join(sorted(differing))}: give the options and data "
                "of before to resume it, or add --restart to discard it"
            )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
        return study

    def _try(self, study: "Study") -> None:
        """Run one trial: let Optuna propose settings, train with them, and report the result."""
        import optuna

        number = len(_finished(study))
        study.sampler = optuna.samplers.TPESampler(seed=(self.settings.seed + 1) * 10_000 + number)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=max(self.plan.epochs // 4, 1))
        trial = study.ask()
        proposed = self._propose(trial)
        trial.set_user_attr(SETTINGS, asdict(proposed))
        text = json.dumps(asdict(proposed), sort_keys=True)
        folder = self.out / artifacts.SEARCH_TRIALS / artifacts.sha256(text.encode())[:16]
        started = time.monotonic()
        allowed = 60 * self.plan.minutes - _seconds(study) if number else float("inf")
        reported = 0

        def tell(records: Sequence[EpochRecord]) -> None:
            nonlocal reported
            for record in records[reported:]:  # after an interruption also the epochs before it
                trial.report(record.val_accuracy, record.epoch)
            reported = len(records)

        def judge(records: Sequence[EpochRecord]) -> None:
            tell(records)
            if trial.should_prune():
                raise optuna.TrialPruned
            if time.monotonic() - started > allowed:
                raise _TimeIsUpError

        run_options = replace(self.run_options, restart=False, tensorboard=False, after_epoch=judge)
        state, value = optuna.trial.TrialState.COMPLETE, None
        try:
            history = train(self.training, self.validation, folder, proposed, run_options)
            tell(history.epochs)
            value = history.validation_accuracy
        except optuna.TrialPruned:
            state = optuna.trial.TrialState.PRUNED
        except _TimeIsUpError:
            state = optuna.trial.TrialState.FAIL
        trial.set_user_attr(SECONDS, time.monotonic() - started)
        study.tell(trial, value, state)
        shutil.rmtree(folder, ignore_errors=True)
        keras.utils.clear_session()
        _say(study, number, proposed, value)

    def _first(self) -> dict[str, Any]:
        """Return the given settings as a proposal."""
        return {name: getattr(self.settings, name) for name in self._space()}

    def _space(self) -> dict[str, Callable[["Trial"], Any]]:
        """Return name -> function that proposes a value; every range includes the given value."""
        given = self.settings

        def number(name: str, low: float, high: float, *, log: bool = False) -> Callable[["Trial"], float]:
            value = getattr(given, name)
            return lambda trial: trial.suggest_float(name, min(low, value), max(high, value), log=log)

        def choice(name: str, values: tuple[float, ...]) -> Callable[["Trial"], float]:
            offered = sorted({*values, getattr(given, name)})
            return lambda trial: trial.suggest_categorical(name, offered)

        space = {"learning_rate": number("learning_rate", *LEARNING_RATES, log=True)}
        space |= {name: number(name, 0.0, high) for name, high in RANGES.items()}
        space["ema_decay"] = choice("ema_decay", DECAYS)
        if self.run_options.teacher:
            return space | {name: number(name, *limits) for name, limits in TEACHING.items()}
        space["flip"] = choice("flip", FLIPS)
        return space | {name: number(name, 0.0, high) for name, high in AUGMENTATION.items()}

    def _propose(self, trial: "Trial") -> Settings:
        values = {name: suggest(trial) for name, suggest in self._space().items()}
        rounded: dict[str, Any] = {
            name: value if value == getattr(self.settings, name) else float(f"{value:.{DIGITS}g}")
            for name, value in values.items()
        }
        if rounded.get("cutmix", 0) + rounded.get("mixup", 0) > 1:  # possible if the given values widened the ranges
            rounded["mixup"] = 1 - rounded["cutmix"]
        return replace(self.settings, epochs=self.plan.epochs, **rounded)


def check_installed() -> None:
    """Refuse a search without Optuna.

    Raises:
        PipelineError: Optuna is not installed.
    """
    try:
        import optuna  # noqa: F401 - checks that it is installed
    except ImportError as error:
        raise PipelineError(
            f"a search for settings needs Optuna: {INSTALL}, or train without --search-minutes"
        ) from error


def _repair(journal: Path) -> None:
    """Remove an incomplete last line and a stale lock of the journal; safe, because this process locks the folder."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    content = journal.read_bytes() if journal.is_file() else b""
    if content and not content.endswith(b"\n"):
        artifacts.write_bytes(journal, content[: content.rfind(b"\n") + 1])


def _finished(study: "Study") -> list["FrozenTrial"]:
    """Return the completed and pruned trials, in order."""
    from optuna.trial import TrialState

    finished: list[FrozenTrial] = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return finished


def _seconds(study: "Study") -> float:
    return float(sum(trial.user_attrs.get(SECONDS, 0.0) for trial in study.get_trials(deepcopy=False)))


def _say(study: "Study", number: int, proposed: Settings, value: float | None) -> None:
    reached = "ended early" if value is None else f"{value:.2%}"
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in asdict(proposed).items()
        if name != "epochs" and value != getattr(Settings(), name) and not isinstance(value, str)
    )
    print(f"trial {number + 1}: {reached}, best {study.best_value:.2%}; {settings or 'defaults'}", file=sys.stderr)
