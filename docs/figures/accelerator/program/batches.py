"""Augmented batches, drawn on the device that trains."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - its usual name

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
GRAY, ERASED_AREA, MIXUP_ALPHA = 128, (0.02, 0.25), 0.2
Tensor = Any


class Batches:
    """Augmented batches of the training images, drawn on the device; see ``pipeline.training.augmentation``."""

    def __init__(self, pixels: NDArray[Any], labels: NDArray[Any], settings: dict[str, Any], class_count: int) -> None:
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(DEVICE)
        self.targets = F.one_hot(torch.from_numpy(labels), class_count).float().to(DEVICE)
        self.settings, self.steps = settings, len(pixels) // settings["batch_size"]
        self.height, self.width = pixels.shape[1:3]
        self.margin = min(round(settings["shift"] * min(pixels.shape[1:3])), min(pixels.shape[1:3]) - 1)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of an epoch: float images (B, 3, H, W) in 0-255, shares of the classes (B, C)."""
        size = self.settings["batch_size"]
        order = torch.randperm(len(self.pixels), device=DEVICE)
        for step in range(self.steps):
            rows = order[step * size : (step + 1) * size]
            yield self._mixed(self._alone(self.pixels[rows]), self.targets[rows])

    def _alone(self, x: Tensor) -> Tensor:
        count, margin = len(x), self.margin
        padded = F.pad(x.float(), (margin,) * 4, mode="reflect")
        shift = torch.randint(0, 2 * margin + 1, (2, count, 1), device=DEVICE)
        rows = shift[0] + torch.arange(self.height, device=DEVICE)
        columns = shift[1] + torch.arange(self.width, device=DEVICE)
        flip = torch.rand(count, 1, device=DEVICE) < self.settings["flip"]
        columns = torch.where(flip, columns.flip(1), columns)
        images = torch.arange(count, device=DEVICE)[:, None, None]
        x = padded[images, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if self.settings["random_erasing"]:
            area = torch.empty(count, device=DEVICE).uniform_(*ERASED_AREA)
            erased = torch.rand(count, device=DEVICE) < self.settings["random_erasing"]
            x = torch.where(self._boxes(area * erased), float(GRAY), x)
        return x

    def _boxes(self, area: Tensor) -> Tensor:
        """Return which pixels lie in random boxes of about ``area`` (share of the image, (B,)): bool (B, 1, H, W)."""
        inside = []
        for extent in (self.height, self.width):
            half = torch.round(torch.sqrt(area) * extent / 2)[:, None]
            middle = torch.randint(0, extent, (len(area), 1), device=DEVICE)
            place = torch.arange(extent, device=DEVICE)
            inside.append((place >= middle - half) & (place < middle + half))
        return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]

    def _mixed(self, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Apply CutMix to a share of the images and MixUp to another, with the next image of the batch."""
        count, kind = len(x), torch.rand(len(x), device=DEVICE)
        cut, blended = kind < self.settings["cutmix"], kind >= 1 - self.settings["mixup"]
        if not (self.settings["cutmix"] or self.settings["mixup"]):
            return x, targets
        weight = (~self._boxes(torch.rand(count, device=DEVICE) * cut)).float().expand(-1, -1, *x.shape[2:])
        drawn = np.random.default_rng(int(torch.randint(2**31, ()))).beta(MIXUP_ALPHA, MIXUP_ALPHA, count)
        blend = torch.from_numpy(np.maximum(drawn, 1 - drawn)).float().to(DEVICE)[:, None, None, None]
        weight = torch.where(blended[:, None, None, None], blend, weight)
        share = weight.mean((1, 2, 3))[:, None]
        return torch.round(weight * x + (1 - weight) * x.roll(1, 0)), share * targets + (1 - share) * targets.roll(1, 0)
