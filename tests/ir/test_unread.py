"""Layers that no output hangs on: both programs cannot have the same weights, and it is said."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.source import Source

TEXT = """
block Part(x: [B, C]) {
  y = x -> dead: Linear(3)
  y = x -> alive: Linear(4)
  return y
}
model M(depth: int = 2) {
  input x: [B, 4]
  tied = Linear(4)
  y = x -> tied
  y = x -> Part
  for _ in range(depth) { z = x -> lost: Part }
  y = matmul(y, tied.weight) -> relu
  z = y -> tanh
  output y
}
"""


def codes(target: str, text: str = TEXT) -> list[str]:
    (spec,) = load_source(Source("unread.nns", text), ["M"], {})
    return [
        f"{found.code} {found.message.split('`')[1]}"
        for found in spec.compile_warnings(target)
    ]


def test_layers_that_nothing_reads_are_told_for_keras() -> None:
    assert codes("keras") == ["W0602 dead", "W0602 lost.0"]


@pytest.mark.parametrize("target", ["torch", ""])
def test_pytorch_has_them(target: str) -> None:
    assert codes(target) == []


def test_nothing_is_said_of_layers_that_are_read() -> None:
    text = TEXT.replace("  y = x -> dead: Linear(3)\n", "").replace("z = x", "y = y")
    assert codes("keras", text) == []
