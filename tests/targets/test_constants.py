"""A constant that the emitted class takes means there what it means in the spec, or is not taken."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest

from tests.ir.models import spec

pytestmark = pytest.mark.framework

# Each reads constants in a way that a formula cannot always say.
LAYERS = [
    "Linear(make_divisible(1.3 * width))",
    "Linear(half(1.5 * width))",
    "Linear(doubled(width))",
    "Linear(int(width * share))",
    "Linear(isqrt(width))",
    "Linear(len([i for i in range(n)]))",
    "Linear(sum([i * width for i in range(n)]))",
    "Linear(len([i for i in range(n) if i % 2 == 0]) + 1)",
    "Linear(sum([a * b for a, b in zip(sizes, [3, 4])]))",
    "Linear(len(sizes + [n]))",
    "Linear(len(range(0, width, n)))",
    "Linear((int(sqrt(width)) if n > 2 else 3))",
    "Linear([5, 6, 7, 8, 9, 10][n - 1])",
    "Linear(4, bias=any([size > 2 for size in sizes]))",
    "Stacked(n)",
]
TEXT = """
use std.widths (make_divisible)

fn half(n: float) -> int { return int(n / 2) }

fn doubled(n: int) -> int {
  if n > 8 { return 2 * n }
  return n
}

block Stacked(x: [B, D], copies: int) { return stack([x -> parts: Linear(4) for _ in range(copies)], dim=1) }

model Net(width: int = 32, n: int = 3, sizes: list[int] = [1, 2], share: float = 0.5) {
  input x: [B, 8]
  y = x -> first: Linear(width + n + sum(sizes)) -> Dropout(share)
  output z = y -> last: LAYER
}
"""
OTHERS = {"width": "64", "n": "5", "sizes": "[2, 3]", "share": "0.25"}


class Refused(Exception):
    """The class does not take the constant, or not this value of it."""


def built(source: str, **constants: Any) -> dict[str, tuple[int, ...]]:
    names: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source, "emitted", "exec"), names)
    try:
        model = names["net"](device="meta", **constants)
    except (TypeError, ValueError) as error:
        if re.search("unexpected keyword|written for", str(error)):
            raise Refused from error
        raise
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("changed", OTHERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_constant_means_the_same_in_the_class(layer: str, changed: str) -> None:
    text = TEXT.replace("LAYER", layer)
    source = spec(text).source("torch")
    assert built(source)
    wanted = built(spec(text, **{changed: OTHERS[changed]}).source("torch"))
    with suppress(Refused):
        assert built(source, **{changed: eval(OTHERS[changed])}) == wanted
