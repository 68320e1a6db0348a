"""The settings of fine-tuning."""

from dataclasses import dataclass

from pipeline.documents.quantize_aware import Scheme
from pipeline.errors import PipelineError
from pipeline.training.settings import Settings


@dataclass(frozen=True)
class FineTuning:
    """Settings for fine-tuning a finished network.

    Attributes:
        epochs: passes over the training images.
        learning_rate: highest learning rate; cosine decay to 0.
        batch_size: images per step.
        distillation_weight: weight (0-1) of the original network's float probabilities as targets; the labels have the
            rest.
        seed: of order and augmentation.
        scheme: how weights are quantized in quantization-aware training; ``None`` trains in float.

    Raises:
        PipelineError: a value is out of its range.
    """

    epochs: int = 5
    learning_rate: float = 2e-4
    batch_size: int = 64
    distillation_weight: float = 0.5
    seed: int = 0
    scheme: Scheme | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.distillation_weight <= 1:
            raise PipelineError(f"distillation weight must be 0 to 1, got {self.distillation_weight}")
        _ = self.training_settings

    @property
    def training_settings(self) -> Settings:
        """The settings as those of a training, for batches and augmentation."""
        return Settings(
            epochs=self.epochs, learning_rate=self.learning_rate, batch_size=self.batch_size, seed=self.seed
        )
