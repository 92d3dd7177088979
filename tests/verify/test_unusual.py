"""Specs of which a proof once said something wrong, and how many values it compares of each."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.source import Source

pytestmark = pytest.mark.framework

# Keras runs the uses of one instance in another order; one class serves inputs of three ranks.
RANKS = """
block Trunk(x: [*S, D], hidden: int) {
  h: [*S, hidden] = x -> up: Linear(hidden) -> act: gelu(approximate="tanh")
  return h -> down: Linear(D), h
}

model M {
  input flat: [B, 6]
  input seq: [B, T, 6]
  input deep: [B, T, 2, 6]
  shared = Trunk(8)
  norm = LayerNorm()
  a, ah = shared(flat)
  b, _ = shared(seq)
  c, ch = shared(deep)
  same = norm(b)
  merged = (c -> pooled: mean(dim=2)) + same
  output y = norm(merged) + (a -> unsqueeze(1))
  output hidden = ah
  output both = ch -> top: max(dim=[1, 2])
}
"""

# Models that models use, one of them twice, one of them frozen.
MODELS = """
model Encoder(width: int = 6) {
  input image: [B, 3, 8, 10]
  x = image -> c1: Conv(width, 3, stride=2, padding=1) -> bn: BatchNorm -> r: relu
  x = x -> c2: Conv(2 * width, 3, padding="same", groups=2) -> relu
  output code = x -> flatten -> fc: Linear(7)
  output features = x
}
model M {
  input left: [B, 3, 8, 10]
  input right: [B, 3, 8, 10]
  twin = Encoder(width=4)
  @frozen
  fixed = Encoder(width=2)
  a, fa = twin(left)
  b, fb = twin(right)
  c, _ = fixed(left)
  d = abs(a - b) -> dist: sum(dim=1, keep=true)
  output score = concat([d, c], dim=1) -> Linear(1) -> sigmoid
  output maps = fa * fb
}
"""


# Weights are read before their layer is applied; two moves of axes are one, or none, in Keras; a weight is
# one number; a layer from outside of a loop is applied first in it; two loops go through layers of one list;
# weights exist, and lie behind a return, in some uses alone.
ORDERS = """
block Lookup(x: [B, T, D], entries: int) {
  book = Embedding(entries, D)
  place = argmax(matmul(x, transpose(book.weight)), dim=-1)
  return book(place) + x
}
block Local(x: [B, T, D]) {
  return x -> norm: LayerNorm -> transpose([0, 2, 1]) -> Conv(D, 3, padding=1) -> transpose([0, 2, 1])
}
block Gate(x: [B, T, D], n: int, scaled: bool = false) {
  if scaled { x = x * Param([D], init=init.normal(1.0)) }
  if n > 2 { return tanh(x) }
  return x + Param([D], init=init.normal(1.0))
}
model M(n: int = 2) {
  input x: [B, T, 6]
  temperature = Param([], init=init.constant(0.5))
  local = Local()
  pool = [Linear(6) for _ in range(3)]
  for i in range(n) { x = x + pool[i](local(x)) }
  for i in range(3) { x = tanh(pool[i](x)) }
  x = (x -> Gate(1)) + (x -> Gate(1, scaled=true)) + (x -> Gate(3, scaled=true)) + (x -> Gate(3))
  x = (exp(temperature) * x) -> lookup: Lookup(7)
  table = Embedding(5, 6)
  output y = table(argmax(matmul(x, transpose(table.weight)), dim=-1))
  output z = x
}
"""


@pytest.mark.parametrize(
    ("text", "compared"), [(RANKS, 19), (MODELS, 31), (ORDERS, 43)]
)
def test_every_value_is_compared(text: str, compared: int) -> None:
    (spec,) = load_source(Source("unusual.nns", text), ["M"], {})
    report = spec.verify(backends=("torch",))
    assert report.ok, report.text()
    assert report.compared == compared


UNREAD = """
block Side(x: [B, D]) { return x -> drop: Dropout(0.1) -> tanh }
model M {
  input x: [B, 6]
  z = x -> drop: Dropout(0.1)
  z = z -> side: Side
  output y = x -> used: Side -> Linear(3)
}
"""


def test_layers_without_weights_that_nothing_reads_may_be_left_out() -> None:
    (spec,) = load_source(Source("unusual.nns", UNREAD), ["M"], {})
    report = spec.verify(backends=("torch",))
    assert report.ok, report.text()
