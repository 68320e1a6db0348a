"""Train a network with the losses, the optimizer and the schedule of ``pipeline.training.learner``."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - its usual name

from .batches import DEVICE
from .network import Network

EVALUATED_AT_ONCE = 1_000
EPSILON = 1e-7
Tensor = Any


class Run:
    """The training of one network; see ``pipeline.training.learner``."""

    def __init__(self, run: dict[str, Any], weights: dict[str, NDArray[np.float32]], steps: int) -> None:
        self.settings = run["settings"]
        self.records: list[dict[str, Any]] = []
        self.network = Network(run["layers"], weights).to(DEVICE, memory_format=torch.channels_last)
        rate, decay = self.settings["learning_rate"], self.settings["weight_decay"]
        parameters = list(self.network.parameters())
        self.optimizer = torch.optim.AdamW(parameters, rate, eps=EPSILON, weight_decay=decay, foreach=True)
        self.averages = [value.detach().clone() for value in self._values()]
        self.steps, self.done, self.loss, self.hits = steps, 0, 0.0, 0.0

    def _values(self) -> list[Tensor]:
        return [*self.network.parameters(), *self.network.buffers()]

    def step(self, x: Tensor, targets: Tensor, taught: Tensor | None) -> None:
        """Learn from one batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.done)
        self.network.train()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.settings["mixed_precision"]):
            logits = self.network(x)
        loss = self._losses(logits, targets, taught).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        decay = min(self.settings["ema_decay"], (1 + self.done) / (10 + self.done))
        torch._foreach_lerp_(self.averages, [value.detach() for value in self._values()], 1 - decay)
        self.done += 1
        self.loss += loss.detach()
        self.hits += (logits.argmax(1) == targets.argmax(1)).float().mean()

    def _losses(self, logits: Tensor, targets: Tensor, taught: Tensor | None) -> Tensor:
        smoothing = self.settings["label_smoothing"]
        losses = F.cross_entropy(logits, targets * (1 - smoothing) + smoothing / targets.shape[1], reduction="none")
        if taught is None:
            return losses
        weight, temperature = self.settings["teacher_weight"], self.settings["teacher_temperature"]
        soft = F.cross_entropy(logits / temperature, F.softmax(taught / temperature, 1), reduction="none")
        return (1 - weight) * losses + weight * temperature**2 * soft

    def rate(self, done: int) -> float:
        """Compute the learning rate after ``done`` steps: warm-up, then cosine decay to 0."""
        total = self.settings["epochs"] * self.steps
        warmup = min(self.settings["warmup_epochs"] * self.steps, total // 2)
        if done < warmup:
            return float(self.settings["learning_rate"] * done / warmup)
        return float(
            self.settings["learning_rate"] * 0.5 * (1 + math.cos(math.pi * (done - warmup) / (total - warmup)))
        )

    def judge(self, pixels: Tensor, labels: Tensor, seconds: float) -> None:
        """Add the record of an epoch that ended."""
        own = [value.detach().clone() for value in self._values()]
        self._assign(self.averages)
        self.network.eval()
        with torch.inference_mode():
            logits = torch.cat([self.network(part.float()) for part in pixels.split(EVALUATED_AT_ONCE)])
        self._assign(own)
        loss, accuracy = float(F.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())
        mean_loss, mean_hits = (float(total) / self.steps for total in (self.loss, self.hits))
        self.records.append(
            {
                "epoch": len(self.records) + 1,
                "seconds": round(seconds, 2),
                "accuracy": mean_hits,
                "loss": mean_loss if math.isfinite(mean_loss) else None,
                "val_accuracy": accuracy,
                "val_loss": loss if math.isfinite(loss) else None,
                "learning_rate": self.rate(self.done),
            }
        )
        self.loss = self.hits = 0.0

    def _assign(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for target, value in zip(self._values(), values, strict=True):
                target.copy_(value)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return path -> averaged weights, in Keras's layout."""
        names = [name for name, _ in (*self.network.named_parameters(), *self.network.named_buffers())]
        found: dict[str, NDArray[np.float32]] = self.network.to_keras(dict(zip(names, self.averages, strict=True)))
        return found
