"""What fine-tuning depends on besides the network and its data."""

from dataclasses import dataclass

from pipeline.documents.quantize_aware import Scheme
from pipeline.errors import PipelineError
from pipeline.training.settings import Settings


@dataclass(frozen=True)
class FineTuning:
    """How a finished network goes on learning.

    Attributes:
        epochs: passes over the training images.
        learning_rate: highest learning rate; cosine decay to 0.
        batch_size: images a step.
        imitation: weight (0-1) of what the network said before, in float, against the labels.
        seed: of order and augmentation.
        scheme: how weights are rounded in quantization-aware training; ``None`` trains in float.

    Raises:
        PipelineError: a value out of its range.
    """

    epochs: int = 5
    learning_rate: float = 2e-4
    batch_size: int = 64
    imitation: float = 0.5
    seed: int = 0
    scheme: Scheme | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.imitation <= 1:
            raise PipelineError(f"imitation must be 0 to 1, got {self.imitation}")
        _ = self.recipe

    @property
    def recipe(self) -> Settings:
        """For batches and augmentation."""
        return Settings(
            epochs=self.epochs, learning_rate=self.learning_rate, batch_size=self.batch_size, seed=self.seed
        )
