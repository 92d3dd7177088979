"""U-Net (Ronneberger et al., 2015) by hand: no library that the benchmark installs has it.

Padded convolutions with batch normalisation, as most people build it and as `specs/vision/unet.nns` says.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, cat, nn


def double_convolution(channels: int, width: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with its normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Images `[B, channels, H, W]` to scores `[B, classes, H, W]`."""

    def __init__(
        self, channels: int = 3, classes: int = 2, width: int = 64, depth: int = 4
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        steps = list(pairwise(widths))
        self.first = double_convolution(channels, width)
        self.pool = nn.MaxPool2d(2)
        self.downs = nn.ModuleList(double_convolution(*step) for step in steps)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 2, stride=2)
            for narrow, wide in reversed(steps)
        )
        self.merges = nn.ModuleList(
            double_convolution(2 * narrow, narrow) for narrow, _ in reversed(steps)
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = [self.first(x)]
        for down in self.downs:
            kept.append(down(self.pool(kept[-1])))
        x = kept.pop()
        for up, merge in zip(self.ups, self.merges, strict=True):
            x = merge(cat([kept.pop(), up(x)], dim=1))
        return self.head(x)


__all__ = ["UNet"]
