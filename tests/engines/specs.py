"""Models that are cut into stages: a chain, tied weights, values that skip stages."""

from __future__ import annotations

from pathlib import Path

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec

ROOT = Path(__file__).parents[2]

MLP = """
model MLP {
  input x: [B, 12]
  for _ in range(3) { x = x -> layers: Linear(16) -> tanh }
  output y = x -> head: Linear(5)
}
"""
MIXED = """
block Layer(x: [B, T, D], heads: int, kv_heads: int) {
  z = x -> norm: LayerNorm
  q = z -> q: Linear(D) -> rearrange("b t (h d) -> b h t d", h=heads)
  k = z -> k: Linear(D // heads * kv_heads) -> rearrange("b t (h d) -> b h t d", h=kv_heads)
  v = z -> v: Linear(D // heads * kv_heads) -> rearrange("b t (h d) -> b h t d", h=kv_heads)
  x = x + (attention(q, k, v, causal=true) -> rearrange("b h t d -> b t (h d)") -> out: Linear(D))
  a, g = x -> norm2: RMSNorm -> both: Linear(4 * D, bias=false) -> split(2)
  return x + ((a * silu(g)) -> down: Linear(D))
}
model Mixed {
  input x: [B, T, 16]
  for _ in range(2) { x = x -> layers: Layer(4, 2) }
  output y = x -> head: Linear(5)
}
"""
SCORES = """
block Layer(x: [B, T, D], bias: [1, 1, T, T], far: [heads, T, T], heads: int) {
  z = x -> norm: LayerNorm
  q = z -> q: Linear(D) -> reshape([B, T, heads, D // heads]) -> transpose([0, 2, 1, 3])
  k = z -> k: Linear(D) -> reshape([B, T, heads, -1]) -> transpose([0, 2, 1, 3])
  v = z -> v: Linear(D, bias=false) -> reshape([B, T, -1, D // heads]) -> transpose([0, 2, 1, 3])
  warmth = Param([heads, 1, 1], init=init.normal(std=0.5))
  scores = matmul(q, transpose(k)) * exp(warmth) + bias + far
  visible = unsqueeze(arange(T), 1) >= unsqueeze(arange(T), 0)
  weights = softmax(where(visible, scores, -1e9), dim=-1)
  y = matmul(weights, v) -> transpose([0, 2, 1, 3]) -> reshape([B, T, D])
  x = x + (y -> out: Linear(D))
  gain = Param([T, 1], init=init.ones)
  return x + ((gain * (x -> up: Linear(6) -> gelu)) -> down: Linear(D))
}
model Scores {
  input x: [B, 6, 16]
  near = Param([1, 1, 6, 6], init=init.normal(std=0.3))
  far = Param([4, 6, 6], init=init.normal(std=0.3)) -> tanh
  for _ in range(2) { x = (x, near, far) -> layers: Layer(4) }
  output y = x -> head: Linear(5)
}
"""
UNET = """
block Double(x: [B, C, H, W], width: int) {
  return x -> conv1: Conv(width, 3, padding=1) -> norm: GroupNorm(2) -> relu -> conv2: Conv(width, 3, padding=1)
}
model UNet(width: int = 4) {
  input image: [B, 3, H, W]
  require H % 4 == 0 and W % 4 == 0
  a = image -> down1: Double(width)
  b = a -> max_pool(2) -> down2: Double(2 * width)
  c = b -> max_pool(2) -> bottom: Double(4 * width)
  x = concat([b, c -> up2: ConvTranspose(2 * width, 2, stride=2)], dim=1) -> merge2: Double(2 * width)
  x = concat([a, x -> up1: ConvTranspose(width, 2, stride=2)], dim=1) -> merge1: Double(width)
  output mask = x -> head: Conv(2, 1)
}
"""
TWICE = """
block Inner(x: [B, D]) { return x -> Linear(D) -> tanh -> Linear(D) }
model M {
  input x: [B, 8]
  inner = Inner()
  output y = inner(inner(x))
}
"""
NESTED = """
block Inner(x: [B, D], width: int) { return x -> Linear(width) -> tanh }
@checkpoint
block Outer(x: [B, D]) {
  for _ in range(2) { x = x -> layers: Inner(D) }
  inner = Inner(D)
  y = x -> mix: Linear(D)
  return inner(inner(x) + inner(y)) -> out: Linear(D)
}
model Nested {
  input x: [B, 8]
  @frozen
  x = x -> first: Inner(8)
  for _ in range(2) { x = x -> outers: Outer }
  outer = Outer()
  output y = outer(outer(x)) -> last: Inner(6)
}
"""
"""Blocks in blocks that are computed again, used several times, frozen, and of several sizes in one class."""
BLOCKS = """
block Layer(x: [B, D]) { return x -> Linear(D) -> tanh }
model Blocks {
  input x: [B, 8]
  for _ in range(5) { x = x -> layers: Layer }
  output y = x
}
"""
LOST = """
block Inner(x: [B, D]) { return x -> Linear(D) -> tanh }
model M {
  input x: [B, 8]
  @frozen
  x = x -> first: Inner
  x = x -> second: Inner -> third: Inner
  output y = x -> Linear(3)
}
"""
NORMS = """
model Norms {
  input x: [B, 6]
  x = x -> Linear(8) -> BatchNorm -> relu
  output y = x -> Linear(3)
}
"""


def spec_of(text: str) -> Spec:
    (spec,) = load_source(Source("spec.nns", text), None, {})
    return spec


def recomputed(text: str) -> str:
    """A text whose block `Layer` is computed again in the backward pass."""
    return text.replace("block Layer", "@checkpoint\nblock Layer")


def deep(text: str) -> str:
    """A text with twice as many layers, so that later stages have some."""
    return text.replace("range(2)", "range(4)")


def gpt2() -> Spec:
    """GPT-2 with its tied embeddings, made small."""
    from nnspec.compiler import load

    return load(
        str(ROOT / "specs/language/gpt2.nns"),
        "GPT2",
        depth=2,
        width=16,
        heads=4,
        vocab=40,
        context=16,
    )


def llama(**constants: int) -> Spec:
    """Llama with its grouped queries, made small."""
    from nnspec.compiler import load

    small = {"depth": 2, "width": 16, "heads": 4, "kv_heads": 2, "hidden": 24}
    given = {**small, "vocab": 40, "context": 16, **constants}
    return load(str(ROOT / "specs/language/llama.nns"), "Llama", **given)


def translator() -> Spec:
    """The original Transformer, with its encoder, made small and without dropout."""
    from nnspec.compiler import load

    path = str(ROOT / "specs/language/transformer.nns")
    small = {"vocab": 40, "width": 16, "heads": 2, "hidden": 24}
    return load(path, "Transformer", depth=1, drop=0.0, **small)


def bert() -> Spec:
    """BERT, made small, without dropout."""
    from nnspec.compiler import load

    small = {"vocab": 40, "context": 8, "segments": 40, "width": 16, "hidden": 24}
    path = str(ROOT / "specs/language/bert.nns")
    return load(path, "BERT", depth=2, heads=4, drop=0.0, **small)


def t5() -> Spec:
    """T5 with its relative biases, made small, without dropout."""
    from nnspec.compiler import load

    path = str(ROOT / "specs/language/t5.nns")
    small = {"vocab": 40, "width": 16, "inner": 24, "hidden": 32}
    return load(path, "T5", depth=2, heads=4, drop=0.0, **small)


def swin() -> Spec:
    """Swin with its tables of biases in windows that shift, made small, without paths that are dropped."""
    from nnspec.compiler import load

    path = str(ROOT / "specs/vision/swin.nns")
    small = {"size": 64, "width": 8, "window": 2, "classes": 6, "drop_path": 0.0}
    return load(path, "Swin", depths=[2, 1, 1, 1], heads=[2, 4, 4, 4], **small)


def even(spec: Spec, stages: int) -> list[int]:
    """The stage of each node: as many nodes in each stage."""
    count = len(spec.program.main.nodes)
    return [place * stages // count for place in range(count)]
