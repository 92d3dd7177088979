"""Specs that use their constants in every way that the language has, and constants to try them with.

Each has the names that cannot be generic, and the least part of the constants that its formulas must hold for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """`ranges` are the values to draw constants from, lists of a length by a pair (length, range)."""

    text: str
    ranges: Mapping[str, Any]
    fixed: frozenset[str] = frozenset()
    holding: float = 1.0


DENSE = Sample(
    """
    block Layer(x: [B, C], growth: int) {
      return concat([x, x -> norm: LayerNorm -> Linear(4 * growth) -> relu -> Linear(growth)], dim=1)
    }
    model M(depth: int = 6, growth: int = 8, first: int = 16) {
      input x: [B, 12]
      x = x -> stem: Linear(first)
      for _ in range(depth) { x = x -> layers: Layer(growth) }
      output y = x -> head: Linear(3)
    }
    """,
    {"depth": range(1, 9), "growth": range(1, 9), "first": range(1, 20)},
)

ENDS = Sample(
    """
    block Layer(x: [B, C], width: int, norm: bool) {
      if norm { x = x -> norm: LayerNorm }
      return x -> fc: Linear(width)
    }
    model M(depth: int = 5, width: int = 8, out: int = 3) {
      input x: [B, 12]
      for i in range(depth) {
        x = x -> layers: Layer(out if i == depth - 1 else width, norm=(i > 0))
      }
      output y = x
    }
    """,
    {"depth": range(1, 9), "width": range(1, 30), "out": range(1, 9)},
    holding=0.8,
)

ONE_TURN = Sample(
    """
    model M(depth: int = 7, special: int = 4, width: int = 8) {
      input x: [B, width]
      for i in range(depth) {
        x = x -> a: Linear(width)
        if i == special { x = x -> b: Linear(width) }
      }
      output y = x
    }
    """,
    {"depth": range(1, 9), "special": range(10), "width": range(1, 9)},
    frozenset({"depth", "special"}),
    holding=0.0,
)

BEYOND = Sample(
    """
    model M(depth: int = 3, width: int = 8) {
      input x: [B, width]
      for i in range(depth) {
        x = x -> a: Linear(width)
        if i >= 5 { x = x -> b: Linear(2 * width) -> c: Linear(width) }
      }
      output y = x
    }
    """,
    {"depth": range(1, 12), "width": range(1, 9)},
    holding=0.3,
)

BY_TURN = Sample(
    """
    block Layer(x: [B, C], hidden: int) { return x + (x -> Linear(hidden) -> Linear(C)) }
    model M(depth: int = 4, width: int = 8, step: int = 3) {
      input x: [B, width]
      for i in range(depth) { x = x -> layers: Layer((i + 1) * step + i * i) }
      output y = x
    }
    """,
    {"depth": range(1, 12), "width": range(1, 9), "step": range(1, 5)},
)

POWERS = Sample(
    """
    model M(stages: int = 4, width: int = 8) {
      input x: [B, 5]
      for i in range(stages) { x = x -> fc: Linear(width * 2^i) -> norm: LayerNorm }
      output y = x -> head: Linear(3)
    }
    """,
    {"stages": range(1, 8), "width": range(1, 9)},
)

MULTIPLIED = Sample(
    """
    block Down(x: [B, C], inner: int) {
      y = x -> down: Linear(3 * C) -> norm: LayerNorm
      return y + (y -> enter: Linear(inner) -> relu -> leave: Linear(3 * C))
    }
    model M(stages: int = 4, width: int = 4, inner: int = 5) {
      input x: [B, 7]
      x = x -> stem: Linear(2 * width)
      for i in range(stages) { x = x -> down: Down((i + 2) * inner) }
      output y = x -> head: Linear(3)
    }
    """,
    {"stages": range(1, 6), "width": range(1, 9), "inner": range(1, 5)},
)

OTHER_POWERS = Sample(
    """
    model M(stages: int = 4, width: int = 3, growth: int = 2) {
      input x: [B, 5]
      for i in range(stages) {
        x = x -> wide: Linear(width * 3^i + i * 2^(i + 1) + 1)
        x = x -> narrow: Linear(growth * 2^(2 * i))
      }
      output y = x -> head: Linear(growth)
    }
    """,
    {"stages": range(1, 6), "width": range(1, 5), "growth": range(1, 5)},
    holding=0.7,
)

LISTS = Sample(
    """
    model M(widths: list[int] = [4, 8, 6], repeats: list[int] = [1, 2, 3], classes: int = 5) {
      input x: [B, 7]
      for width, repeat in zip(widths, repeats) {
        x = x -> enter: Linear(width)
        for _ in range(repeat) { x = x + (x -> inner: Linear(2 * width) -> outer: Linear(width)) }
      }
      output y = x -> head: Linear(classes)
    }
    """,
    {"widths": (3, range(1, 20)), "repeats": (3, range(1, 6)), "classes": range(1, 9)},
)

NESTED = Sample(
    """
    block Stage(x: [B, C], depth: int, wide: int) {
      for j in range(depth) { x = x + (x -> up: Linear(wide + j) -> down: Linear(C)) }
      return x -> grow: Linear(C + wide)
    }
    model M(stages: int = 3, depth: int = 2, wide: int = 4) {
      input x: [B, 6]
      for i in range(stages) { x = x -> stages: Stage(depth + i, wide) }
      output y = x
    }
    """,
    {"stages": range(1, 6), "depth": range(1, 6), "wide": range(1, 9)},
)

SHARED = Sample(
    """
    model M(depth: int = 4, width: int = 8) {
      input x: [B, width]
      layer = Linear(width)
      tie = Linear(2 * width)
      for _ in range(depth) { x = layer(x) + (x -> own: Linear(width)) }
      output y = tie(x)
      output z = tie(x)
    }
    """,
    {"depth": range(1, 9), "width": range(1, 9)},
)

CHOICES = Sample(
    """
    block Layer(x: [B, C], width: int) {
      y = x -> fc: Linear(width)
      if C != width { x = x -> fit: Linear(width, bias=false) }
      return x + y
    }
    model M(a: int = 4, b: int = 4, c: int = 6, least: int = 2) {
      input x: [B, a]
      x = x -> one: Layer(b)
      x = x -> two: Layer(c)
      x = x -> three: Linear(max(least, c // 2), bias=(c > 3))
      output y = x -> four: Linear(min(a, b) + 2 * c // 3)
    }
    """,
    {"a": range(1, 7), "b": range(1, 7), "c": range(1, 7), "least": range(1, 9)},
    holding=0.05,
)

FLOATS = Sample(
    """
    model M(width: int = 16, ratio: float = 0.25, squares: int = 9, depth: int = 2) {
      input x: [B, width]
      x = x -> a: Linear(int(width * ratio) + 1)
      x = x -> b: Linear(ceil(width / 3))
      x = x -> c: Linear(isqrt(squares)) -> Dropout(0.1 * depth / (depth + 1))
      for _ in range(depth) { x = x -> d: Linear(width) }
      output y = x
    }
    """,
    {"width": range(4, 40), "squares": range(9, 10), "depth": range(1, 5)},
    frozenset({"squares"}),
)

COLLECTED = Sample(
    """
    model M(depth: int = 3, width: int = 4, heads: int = 2) {
      input x: [B, width]
      found = []
      for i in range(depth) {
        x = x -> layers: Linear(width)
        found = found + [x]
      }
      y = concat(found, dim=1)
      output y = concat([y -> heads: Linear(width + k) for k in range(heads)], dim=1)
    }
    """,
    {"depth": range(1, 5), "width": range(1, 9), "heads": range(2, 3)},
    frozenset({"heads"}),
)

COUNTED_ALONG = Sample(
    """
    model M(depth: int = 3, more: int = 2, width: int = 4) {
      input x: [B, width]
      passed = []
      widths = []
      n = 0
      for i in range(depth) {
        x = x -> layers: Linear(width)
        passed = passed + [x]
        n = n + 1
      }
      for i in range(more) {
        x = x -> wide: Linear(max(n, 4))
        widths = widths + [width + i]
      }
      for y in passed { x = x -> again: Linear(width) }
      for w in widths { x = x -> head: Linear(w) }
      output y = x -> last: Linear(len(passed))
    }
    """,
    {"depth": range(2, 5), "more": range(1, 4), "width": range(1, 9)},
    frozenset({"depth", "more"}),
    holding=0.02,
)

GATHERED = Sample(
    """
    model M(depth: int = 4, more: int = 3, width: int = 4) {
      input x: [B, 3]
      first = []
      last = [x]
      later = []
      for i in range(depth) {
        x = x -> layers: Linear(width * 2^i)
        first = first + [x]
        last = [x, *last]
        if i > 0 { later = later + [x] }
      }
      for i, y in enumerate(last) { x = concat([x, y], dim=1) -> back: Linear(shape(y)[1] + i) }
      sides = []
      for y, i in zip(reversed(first), range(depth)) {
        y = y -> side: Linear(width + more * i)
        sides = [y] + sides
      }
      for y in sides { x = (x -> fit: Linear(shape(y)[1], bias=false)) + y }
      for y in later { x = x -> again: Linear(shape(y)[1] + more) }
      output y = x
    }
    """,
    {"depth": range(1, 7), "more": range(1, 5), "width": range(1, 7)},
    holding=0.6,
)

INDEXED = Sample(
    """
    model M(depth: int = 3, more: int = 2, width: int = 4) {
      input x: [B, width]
      kept = [x]
      for i in range(depth) {
        x = x -> layers: Linear(width * 2^(i + 1))
        kept = kept + [x]
      }
      for i in range(depth) {
        y = kept[depth - 1 - i]
        x = (x -> back: Linear(shape(y)[1])) + y
      }
      for i in reversed(range(depth)) {
        x = concat([x, kept[i]], dim=1) -> again: Linear(shape(kept[-1 - i])[1] + more)
      }
      for y in kept[::-1] { x = x -> once: Linear(shape(y)[1] + more) }
      output y = x -> head: Linear(more)
    }
    """,
    {"depth": range(1, 7), "more": range(1, 5), "width": range(1, 7)},
    holding=0.6,
)

SHRINKING = Sample(
    """
    model M(depth: int = 3, width: int = 4) {
      input x: [B, width]
      for i in range(depth) { x = x -> fc: Linear(width * 2^(5 - i)) -> relu }
      x = x -> mid: Linear(3)
      for _ in range(depth) { x = concat([x, x], dim=1) }
      output y = x -> head: Linear(2)
    }
    """,
    {"depth": range(1, 9), "width": [1, 3, 5]},
    holding=0.9,
)

CUT = Sample(
    """
    model M(a: int = 4, b: int = 4, c: int = 2, d: int = 3, e: int = 2, width: int = 4) {
      input x: [B, width]
      short = []
      few = []
      both = []
      same = []
      far = []
      for _ in range(a) {
        x = x -> one: Linear(width)
        short = (short + [x])[:5]
      }
      for _ in range(b) {
        x = x -> two: Linear(width)
        if len(few) < 5 { few = few + [x] }
      }
      for _ in range(c) {
        x = x -> three: Linear(width)
        both = both + [x]
      }
      for _ in range(c) {
        both = both + [(x -> four: Linear(width))]
      }
      z = x
      for _ in range(d) {
        x = x -> five: Linear(width)
        same = same + [z]
      }
      for i in range(e) {
        x = x -> ten: Linear(width + i)
        far = far + [x]
      }
      for i in range(e) { x = x -> eleven: Linear(shape(far[max(1 - i, 0)])[1]) }
      for y in short { x = x -> six: Linear(width) }
      for y in few { x = x -> seven: Linear(width) }
      for y in both { x = x -> eight: Linear(width) }
      output y = x
      output z = concat(same, dim=1) -> nine: Linear(width)
    }
    """,
    {
        "a": range(3, 5),
        "b": range(3, 5),
        "c": range(1, 3),
        "d": range(2, 4),
        "e": range(2, 4),
        "width": range(1, 7),
    },
    frozenset({"a", "b", "c"}),
    holding=0.0,
)

HALVED = Sample(
    """
    block Down(x: [B, C, H], width: int) {
      return x -> conv: Conv(width, 3, stride=2, padding=1, bias=false) -> norm: BatchNorm -> relu
    }
    model M(depth: int = 3, more: int = 2, width: int = 4, channels: int = 5) {
      input x: [B, channels, H]
      require H % 2^depth == 0
      coarser = []
      x = x -> stem: Conv(width, 3, padding=1)
      for i in range(depth) {
        coarser = [x] + coarser
        x = (x -> down: Down(width * 2^(i + 1))) + (x -> max_pool(2) -> fit: Conv(width * 2^(i + 1), 1))
      }
      for y in coarser {
        x = concat([y, (x -> up: ConvTranspose(more, 2, stride=2))], dim=1) -> merge: Conv(shape(y)[1], 1)
      }
      output y = x -> mean(dim=2) -> head: Linear(more)
    }
    """,
    {
        "depth": range(1, 6),
        "more": range(1, 5),
        "width": range(1, 7),
        "channels": range(1, 5),
    },
)

IMAGES = Sample(
    """
    block Down(x: [B, C, H, W], width: int, kernel: int) {
      return x -> conv: Conv(width, kernel, stride=2, padding=kernel // 2) -> norm: BatchNorm -> relu
    }
    model M(size: int = 32, width: int = 4, kernel: int = 3, groups: int = 2, classes: int = 5) {
      input image: [B, 3, size, size]
      x = image -> one: Down(width, kernel) -> two: Down(width * groups, kernel)
      x = x -> mix: Conv(width * groups, 1, groups=groups)
      output y = x -> mean(dim=[2, 3]) -> head: Linear(classes)
      output z = image -> resize([size * 2, size + 3]) -> max_pool(2)
    }
    """,
    {
        "size": range(8, 40),
        "width": range(1, 9),
        "kernel": range(1, 6),
        "groups": range(1, 4),
        "classes": range(1, 9),
    },
    # A kernel of 1 leaves out every other cell, and others read all.
    holding=0.7,
)

SEQUENCES = Sample(
    """
    model M(width: int = 8, layers: int = 2, heads: int = 2, vocab: int = 11) {
      input tokens: i64[B, T]
      require width % heads == 0
      x = tokens -> embed: Embedding(vocab, width)
      for _ in range(layers) {
        y = x -> lstm: LSTM(width)
        q = y -> rearrange("b t (h d) -> b h t d", h=heads)
        x = x + (attention(q, q, q) -> rearrange("b h t d -> b t (h d)"))
      }
      output y = x -> head: Linear(vocab)
    }
    """,
    {
        "width": range(2, 13),
        "layers": range(1, 5),
        "heads": range(1, 4),
        "vocab": range(2, 9),
    },
)

STRETCHED = Sample(
    """
    model M(a: int = 4, b: int = 4, one: int = 1, width: int = 8) {
      input x: [B, a, width]
      input y: [B, b, width]
      z = x + y
      z = z * (y[:, :1] -> unsqueeze(1) -> rearrange("b n m d -> b (n m) d", n=one))
      p = matmul(unsqueeze(x, 1), transpose(unsqueeze(y, 1)))
      output z = where(z > 0, z, 0.0) -> fc: Linear(width)
      output w = p
    }
    """,
    {"a": range(1, 4), "b": range(1, 4), "one": range(1, 2), "width": range(1, 9)},
    frozenset({"one"}),
    holding=0.1,
)

RULES = Sample(
    """
    model M(width: int = 6, taken: int = 4, layers: int = 2, parts: int = 3) {
      input x: [B, T, width]
      y = x[..., :taken] -> fc: Linear(width)
      z = y -> lstm: LSTM(3 * width, layers=layers)
      a, b, c = z -> split(parts, dim=-1)
      z = a * b + c
      output y = z -> norm: LayerNorm -> out: Linear(width)
    }
    """,
    {
        "width": range(3, 13),
        "taken": range(1, 9),
        "layers": range(1, 4),
        "parts": range(3, 4),
    },
    frozenset({"parts"}),
    holding=0.6,
)

CHECKPOINTED = Sample(
    """
    block Layer(x: [B, C], wide: int) {
      return x + (x -> norm: LayerNorm -> up: Linear(wide) -> gelu -> down: Linear(C))
    }
    @checkpoint
    block Stage(x: [B, C], depth: int, wide: int) {
      for _ in range(depth) { x = x -> layers: Layer(wide) }
      return x
    }
    @checkpoint
    block Plain(x: [B, C], depth: int) {
      x = x -> enter: Linear(2 * C)
      for _ in range(depth) { x = x -> fc: Linear(2 * C) -> relu }
      return x -> leave: Linear(C) -> exp
    }
    model M(depth: int = 6, more: int = 5, width: int = 6, wide: int = 7) {
      input x: [B, 3]
      x = x -> stem: Linear(width)
      x = x -> one: Stage(depth, wide)
      x = x -> two: Plain(more)
      output y = x -> three: Stage(depth + 1, 2 * wide) -> head: Linear(2)
    }
    """,
    {
        "depth": range(2, 12),
        "more": range(2, 12),
        "width": range(2, 9),
        "wide": range(2, 9),
    },
)

STACKED = Sample(
    """
    model M(width: int = 6, layers: int = 3, hidden: int = 5) {
      input x: [B, T, width]
      y = x -> lstm: LSTM(hidden, layers=layers, bidirectional=true)
      z = x -> gru: GRU(width, layers=layers + 1, returns="last")
      w = y -> rnn: SimpleRNN(width, layers=layers, bias=false)
      output y = w -> out: Linear(width)
      output z = z -> head: Linear(2)
    }
    """,
    {"width": range(1, 9), "layers": range(1, 7), "hidden": range(1, 9)},
    holding=0.7,
)

ALTERNATING = Sample(
    """
    block Layer(x: [B, C], wide: int, shift: int) {
      y = x -> roll([shift], dim=[1]) -> up: Linear(wide)
      if shift > 0 { y = y -> relu -> more: Linear(wide) }
      return x + (y -> gelu -> down: Linear(C))
    }
    model M(depth: int = 6, more: int = 5, width: int = 6, wide: int = 7) {
      input x: [B, 3]
      x = x -> stem: Linear(width)
      for i in range(depth) { x = x -> one: Layer(wide, shift=2 if i % 2 == 1 else 0) }
      for i in range(more) { x = x -> two: Layer(wide + i // 2, shift=(i + 1) % 2) }
      output y = x -> head: Linear(2)
    }
    """,
    {
        "depth": range(2, 12),
        "more": range(2, 12),
        "width": range(2, 9),
        "wide": range(2, 9),
    },
    holding=0.1,
)

USED_AGAIN = Sample(
    """
    model M(depth: int = 1, more: int = 2, turns: int = 7, width: int = 6) {
      input x: [B, width]
      layer = Linear(width)
      pair = Linear(2 * width)
      for _ in range(depth) { x = x -> layer -> relu }
      for i in range(more) { x = x -> own: Linear(width) -> exp }
      for i in range(turns) {
        if i % 2 == 0 { x = x -> pair -> relu -> slim: Linear(width) }
        else { x = x -> layer -> gelu }
      }
      output y = x
    }
    """,
    {
        "depth": range(1, 4),
        "more": range(1, 5),
        "turns": range(2, 12),
        "width": range(2, 9),
    },
    frozenset({"depth"}),
    holding=0.1,
)

RATES = Sample(
    """
    model M(depth: int = 1, more: int = 3, width: int = 6) {
      input x: [B, width]
      x = x -> stem: Linear(width)
      for i in range(depth) { x = x + (x -> fc: Linear(width) -> Dropout(0.1 * i / depth)) }
      for i in range(more) { x = x + (x -> up: Linear(width) -> Dropout(0.2 * i / more)) }
      output y = x -> Dropout(0.1 * (more - 1))
    }
    """,
    {"depth": range(1, 5), "more": range(1, 6), "width": range(2, 9)},
    holding=0.5,
)

DIVIDING = Sample(
    """
    block Heads(x: [B, T, C], heads: int) {
      q, k, v = x -> qkv: Linear(3 * C) -> rearrange("b t (k h d) -> k b h t d", k=3, h=heads)
                  -> unstack(dim=0)
      return attention(q, k, v) -> rearrange("b h t d -> b t (h d)") -> out: Linear(C)
    }
    model M(heads: int = 4, more: int = 3, width: int = 24) {
      require width % more == 0
      input x: [B, T, 36]
      input y: [B, T, width]
      x = (x + (x -> one: Heads(heads))) -> two: Heads(3 * heads)
      y = y -> up: Linear(2 * width) -> three: Heads(2 * more)
      output z = y -> wide: Linear(24) -> four: Heads(heads)
      output x = x
    }
    """,
    {"heads": range(2, 5), "more": range(2, 7), "width": range(4, 37)},
    holding=0.3,
)

SUMMED = Sample(
    """
    model M(a: int = 6, b: int = 10, c: int = 3, heads: int = 4) {
      input x: [B, T, a]
      input z: [B, T, b]
      require (a + b) % heads == 0
      x = concat([x, z], dim=-1)
      q, k, v = x -> qkv: Linear(3 * (a + b))
        -> rearrange("b n (k h d) -> k b h n d", k=3, h=heads) -> unstack(dim=0)
      x = x + (attention(q, k, v) -> rearrange("b h n d -> b n (h d)") -> proj: Linear(a + b))
      output y = x -> norm: LayerNorm -> head: Linear(c)
    }
    """,
    {
        "a": range(2, 13),
        "b": range(2, 13),
        "c": range(2, 9),
        "heads": range(2, 7),
    },
)

GATHERED = Sample(
    """
    model M(widths: list[int] = [4, 5, 6], more: int = 2) {
      input x: [B, T, 7]
      doubled = [2 * w + more for w in widths]
      parts = [x -> Linear(w) -> relu for w in doubled]
      joined = concat(parts, dim=2) + (x -> Linear(sum(doubled)))
      for w in widths { joined = joined -> Linear(w) -> gelu }
      output y = joined -> out: Linear(sum(widths) + max(widths)) -> Linear(sum([w for w in widths if w > 3]))
    }
    """,
    {"widths": (3, range(1, 9)), "more": range(1, 5)},
    holding=0.1,
)

SAMPLES = {
    name.lower(): sample
    for name, sample in globals().items()
    if isinstance(sample, Sample)
}
