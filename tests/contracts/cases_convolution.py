"""Cases of convolution: ranks, even and odd sizes, strides, every kind of padding, groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Case, normal
from windows import convolve, each, padded, same_pads, scatter

MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


def conv(
    *shape: int, symbols: str = "", features: int = 4, kernel: Any = 3, **fields: Any
) -> Case:
    def oracle(
        x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None
    ) -> np.ndarray:
        axes = x.ndim - 2
        stride, dilation = (
            each(fields.get("stride", 1), axes),
            each(fields.get("dilation", 1), axes),
        )
        padding = fields.get("padding", 0)
        if padding == "same":
            pads = same_pads(x.shape[2:], weight.shape[2:], stride, dilation)
        elif padding == "causal":
            pads = [((weight.shape[2] - 1) * dilation[0], 0)]
        else:
            entries = [padding] * axes if isinstance(padding, int) else padding
            pads = [(p, p) if isinstance(p, int) else p for p in entries]
        filled = padded(x, pads, MODES[fields.get("padding_mode", "zeros")])
        return convolve(filled, weight, bias, stride, dilation, fields.get("groups", 1))

    options = {"features": features, "kernel": kernel, **fields}
    note = "x".join(map(str, shape[1:]))
    return Case("Conv", options, [normal(*shape, symbols=symbols)], oracle, note)


def transposed(
    *shape: int, symbols: str = "", features: int = 4, kernel: Any = 3, **fields: Any
) -> Case:
    def oracle(
        x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None
    ) -> np.ndarray:
        axes = x.ndim - 2
        names = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        stride, padding, extra, dilation = (
            each(fields.get(name, value), axes) for name, value in names.items()
        )
        groups = fields.get("groups", 1)
        y = scatter(x, weight, stride, padding, extra, dilation, groups)
        return y if bias is None else y + bias.reshape(1, -1, *[1] * axes)

    options = {"features": features, "kernel": kernel, **fields}
    note = "x".join(map(str, shape[1:]))
    return Case(
        "ConvTranspose", options, [normal(*shape, symbols=symbols)], oracle, note
    )


IMAGE = "B _ H W"

CASES = [
    conv(2, 3, 7, 8, symbols=IMAGE, bias=False),
    conv(2, 3, 8, 5, symbols=IMAGE, padding=1),
    conv(2, 3, 8, 7, symbols=IMAGE, padding=1, stride=2, bias=False),
    conv(2, 3, 9, 6, kernel=[3, 2], stride=[1, 2], padding=[1, 0]),
    conv(2, 3, 9, 8, kernel=5, stride=3, padding=2),
    conv(2, 3, 8, 6, symbols=IMAGE, padding=[[1, 0], [0, 2]]),
    conv(2, 3, 8, 7, symbols=IMAGE, padding="same", kernel=2),
    conv(2, 3, 8, 7, symbols=IMAGE, padding="same", stride=2),
    conv(2, 3, 7, 8, padding="same", stride=3, kernel=2),
    conv(2, 3, 7, 10, padding="same", stride=2, kernel=1),
    conv(2, 3, 8, 9, padding="same", dilation=2),
    conv(2, 3, 8, 9, symbols=IMAGE, padding="same", dilation=2, stride=2),
    conv(2, 3, 9, 8, padding=2, dilation=2),
    conv(2, 3, 9, 8, symbols=IMAGE, padding=2, dilation=2, stride=2),
    conv(2, 4, 7, 6, groups=2, features=6, padding=1),
    conv(2, 4, 7, 6, symbols=IMAGE, groups=4, features=4, padding=1, bias=False),
    conv(2, 4, 7, 6, groups=4, features=8, padding=1, stride=[2, 1]),
    conv(2, 4, 9, 10, groups=4, features=4, padding="same", stride=2, kernel=5),
    conv(2, 3, 7, 6, symbols=IMAGE, padding=2, padding_mode="reflect", kernel=5),
    conv(2, 3, 7, 6, padding=1, padding_mode="replicate", stride=2),
    conv(2, 3, 7, 6, symbols=IMAGE, padding=2, padding_mode="circular"),
    conv(2, 3, 7, 6, padding=[[2, 0], [1, 2]], padding_mode="reflect"),
    conv(2, 3, 7, 6, padding="same", padding_mode="replicate", kernel=4),
    conv(2, 3, 9, symbols="B _ T", padding=1),
    conv(2, 3, 8, kernel=4, padding="same", stride=2),
    conv(2, 3, 8, symbols="B _ T", padding="causal", dilation=2),
    conv(2, 3, 9, padding="causal", stride=2, bias=False),
    conv(2, 4, 9, padding=[[1, 3]], groups=4, stride=2),
    conv(2, 3, 8, padding=2, padding_mode="circular"),
    conv(2, 3, 9, dilation=2, stride=2, padding=1, bias=False),
    conv(2, 2, 5, 4, 6, symbols="B _ D H W", features=3, padding=1, stride=2),
    conv(2, 2, 5, 4, 6, features=3, kernel=[2, 3, 1], padding="same", bias=False),
    conv(2, 2, 5, 4, 6, features=2, groups=2, padding=1, padding_mode="replicate"),
    transposed(2, 3, 4, 5, symbols=IMAGE, kernel=4, stride=2, padding=1),
    transposed(2, 3, 5, 4, symbols=IMAGE, kernel=2, stride=2, bias=False),
    transposed(
        2, 3, 5, 4, symbols=IMAGE, kernel=3, stride=2, padding=1, output_padding=1
    ),
    transposed(
        2, 3, 4, 3, kernel=3, stride=[2, 1], padding=[1, 0], output_padding=[1, 0]
    ),
    transposed(2, 3, 4, 3, kernel=5, padding=2),
    transposed(2, 3, 4, 3, kernel=2, stride=3),
    transposed(2, 3, 4, 3, kernel=2, stride=3, output_padding=2),
    transposed(2, 3, 4, 3, symbols=IMAGE, kernel=3, stride=2, output_padding=1),
    transposed(
        2, 4, 4, 5, symbols=IMAGE, groups=2, features=6, kernel=3, stride=2, padding=1
    ),
    transposed(
        2, 4, 5, 4, groups=4, features=4, kernel=4, stride=2, padding=1, bias=False
    ),
    transposed(2, 3, 5, 4, kernel=3, dilation=2, padding=1),
    transposed(
        2, 3, 5, 4, kernel=[3, 2], dilation=2, stride=2, padding=1, output_padding=1
    ),
    transposed(2, 3, 6, symbols="B _ T", kernel=4, stride=2, padding=1),
    transposed(2, 3, 6, kernel=3, stride=2, padding=1, output_padding=1),
    transposed(2, 4, 6, groups=2, kernel=3, stride=2),
    transposed(2, 3, 3, 4, 2, kernel=3, stride=2, padding=1, output_padding=1),
    transposed(2, 2, 3, 4, 2, groups=2, kernel=2, stride=2),
]
