"""Small models that the tests of this folder share."""

from __future__ import annotations

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec


def spec_of(text: str, **settings: str) -> Spec:
    (spec,) = load_source(Source("small.nns", text), None, settings)
    return spec


def model(inputs: str, *body: str) -> str:
    lines = [f"  input {line.strip()}" for line in inputs.split(";") if line]
    return "\n".join(["model M {", *lines, *(f"  {line}" for line in body), "}\n"])


RESIDUAL = """
block Unit(x: [B, C, H, W], width: int) {
  y = x -> conv: Conv(width, 3, padding=1, bias=false) -> norm: BatchNorm -> relu
  return relu((x -> side: Conv(width, 1)) + y)
}

model M {
  input image: [B, 3, H, W]
  require H % 2 == 0 and W % 2 == 0
  x = image -> stem: Conv(4, 3, stride=2, padding=1) -> BatchNorm -> relu
  for i in range(2) { x = x -> units: Unit(4 * 2^i) }
  output logits = x -> mean(dim=[2, 3]) -> head: Linear(5)
}
"""

LANGUAGE = """
block Block(x: [B, T, D], heads: int) {
  q, k, v = x -> LayerNorm -> qkv: Linear(3 * D)
    -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  y = attention(q, k, v, causal=true, dropout=0.1) -> rearrange("b h t d -> b t (h d)")
  x = x + (y -> proj: Linear(D) -> Dropout(0.2))
  return x + (x -> LayerNorm -> fc: Linear(2 * D) -> silu -> out: Linear(D))
}

model M(vocab: int = 11, context: int = 12, width: int = 8) {
  input tokens: i64[B, T]
  require T <= context
  wte = Embedding(vocab, width)
  wpe = Embedding(context, width)
  x = wte(tokens) + wpe(arange(T))
  for _ in range(2) { x = x -> blocks: Block(2) }
  output logits = x -> LayerNorm -> Linear(vocab, bias=false, weight=wte.weight)
}
"""

RECURRENT = model(
    "x: [B, T, 3]",
    "h = x -> rnn: LSTM(4, layers=2, bidirectional=true)",
    'output y = h -> gru: GRU(5, returns="last") -> Linear(2)',
)

SHARED = model(
    "a: [B, 4]; b: [B, 4]",
    "same = Linear(4)",
    "output y = same(a) + same(b)",
    "output z = a * b",
)

TOKEN = model(
    "x: [B, T, 4]",
    "cls = Param([1, 1, 4], init=init.normal(std=0.02))",
    "output y = concat([broadcast(cls, [B, 1, 4]), x], dim=1) -> LayerNorm",
)

FROZEN = """
@frozen
block Fixed(x: [B, C, H, W]) {
  return x -> Conv(4, 3, padding=1) -> BatchNorm -> relu
}

model M {
  input x: [B, 2, 4, 5]
  output y = x -> fixed: Fixed -> free: Conv(2, 1)
}
"""
