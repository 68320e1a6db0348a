"""The settings of a training; each one is an option of the command line."""

from dataclasses import dataclass, field, fields
from typing import Any

from pipeline.errors import PipelineError

METAVARS = {int: "N", float: "X", str: "NAME"}


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """The settings that determine a training, apart from its data; ``help`` in the metadata of a field describes it.

    Raises:
        PipelineError: a value is out of its range.
    """

    epochs: int = _setting(200, "passes over the training images")
    model: str = _setting("notes", "notes, resnet8, vgg8, separable or teacher")
    seed: int = _setting(0, "seed of weights, order and augmentation")
    batch_size: int = _setting(128, "images per step, of all replicas together")
    learning_rate: float = _setting(2e-3, "highest learning rate; warm-up before it, cosine decay to 0 after it")
    warmup_epochs: int = _setting(2, "epochs of warm-up")
    weight_decay: float = _setting(0.01, "decoupled weight decay of AdamW")
    dropout: float = _setting(0.25, "share of activations dropped before dense layers")
    label_smoothing: float = _setting(0.1, "share of each target spread over all classes")
    ema_decay: float = _setting(0.0, "decay per step of the averaged weights that are kept; 0: keep the last weights")
    reparam: bool = _setting(default=False, text="train parallel linear branches beside every spatial convolution")
    sam_rho: float = _setting(0.0, "radius of sharpness-aware steps, which take twice the time; 0: plain steps")
    half_side: float = _setting(
        0.0, "share of the epochs, at the beginning, with images of half the side, which take a quarter of the time"
    )
    shift: float = _setting(0.125, "largest shift of an image, as a share of its side")
    flip: float = _setting(0.5, "chance that an image is flipped left to right")
    color: float = _setting(0.0, "largest change of brightness and of contrast, as a share")
    random_erasing: float = _setting(0.0, "chance that a box of an image is replaced by gray")
    cutmix: float = _setting(0.0, "chance that a box of an image comes from another image")
    mixup: float = _setting(0.0, "chance that an image is blended with another")
    teacher_weight: float = _setting(0.7, "weight of the teacher's outputs as targets; the labels have the rest")
    teacher_temperature: float = _setting(2.0, "temperature that softens the teacher's outputs")
    teacher_passes: int = _setting(
        10,
        "number of augmented passes for which the teacher's outputs are computed; 0: only for the plain images and "
        "their mirror images, averaged",
    )
    balance_classes: bool = _setting(default=False, text="weight images so that all classes have the same total weight")
    early_stopping: int = _setting(0, "stop after this many epochs without a better one; 0: never")
    mixed_precision: bool = _setting(default=False, text="compute in bfloat16, keep weights in float32")

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            self._check(name, getattr(self, name) >= 1, "1 or more")
        for name in ("half_side", "flip", "random_erasing", "cutmix", "mixup", "teacher_weight"):
            self._check(name, 0 <= getattr(self, name) <= 1, "0 to 1")
        for name in ("dropout", "label_smoothing", "ema_decay", "shift", "color"):
            self._check(name, 0 <= getattr(self, name) < 1, "0 up to but not including 1")
        for name in ("learning_rate", "teacher_temperature"):
            self._check(name, getattr(self, name) > 0, "more than 0")
        for name in ("warmup_epochs", "weight_decay", "sam_rho", "teacher_passes", "early_stopping", "seed"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("cutmix", self.cutmix + self.mixup <= 1, "at most 1 together with mixup")

    def halves(self, epoch: int) -> bool:
        """Return whether ``epoch`` (from 0) uses images of half the side."""
        return epoch < round(self.half_side * self.epochs)

    def _check(self, name: str, fine: bool, expected: str) -> None:  # noqa: FBT001 - reads well at the calls
        if not fine:
            raise PipelineError(f"{name.replace('_', ' ')} must be {expected}, got {getattr(self, name)}")


def options_of_settings() -> list[tuple[str, dict[str, Any]]]:
    """Return name and ``argparse`` arguments of the option of each setting."""
    options: list[tuple[str, dict[str, Any]]] = []
    for setting in fields(Settings):
        flag, text = f"--{setting.name.replace('_', '-')}", setting.metadata["help"]
        if isinstance(setting.default, bool):
            options.append((flag, {"action": "store_true", "help": text}))
        else:
            kind = type(setting.default)
            text, metavar = f"{text} (default: %(default)s)", METAVARS[kind]
            options.append((flag, {"type": kind, "default": setting.default, "metavar": metavar, "help": text}))
    return options
