"""An emitted class with other values of its constants against the model that the spec is for these values.

What a constructor takes means there what it means in the spec; what it cannot mean, the class has built in or refuses.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emitted
from nnspec.verify.build import import_source
from nnspec.verify.samples import draw_inputs
from nnspec.verify.sizes import choices
from tests.targets.comparing import TOLERANCE, fill
from tests.targets.random_specs import random_spec

pytestmark = pytest.mark.framework


@dataclass(frozen=True)
class Case:
    """A model, the constants that its class takes, and other values of all: for these the class has to be the other model."""

    text: str
    taken: str
    others: Mapping[str, list[str]]


CASES = {
    "a list that a comprehension and loops go through": Case(
        """
model Net(early: list[list[int]] = [[24, 1], [8, 2]], late: list[list[int]] = [[12, 2], [6, 1]]) {
  input x: [B, 24]
  depths = [depth for _, depth in early + late]
  y = x -> stem: Linear(early[0][0])
  for i, (width, depth) in enumerate(early) {
    for j in range(depth) { y = y -> first: Linear(width) -> DropPath(0.1 * (sum(depths[:i]) + j)) }
  }
  for i, (width, depth) in enumerate(late) {
    for j in range(depth) { y = y -> second: Linear(width) -> DropPath(0.1 * (sum(depths[:len(early) + i]) + j)) }
  }
  output z = y
}
""",
        "",
        {
            "early": ["[[24, 3], [8, 2], [8, 1]]", "[[24, 1], [9, 2]]"],
            "late": ["[[12, 1], [6, 1]]"],
        },
    ),
    "stages of which each has its literal depth": Case(
        """
block DenseLayer(x: [B, C], growth: int) { y = x -> norm: BatchNorm -> relu -> fc: Linear(growth)
  return concat([x, y], dim=1) }
block DenseStage(x: [B, C], depth: int, growth: int) {
  for _ in range(depth) { x = x -> layers: DenseLayer(growth) }
  return x
}
block Transition(x: [B, C]) { return x -> norm: BatchNorm -> fc: Linear(C // 2) }
model Net(depths: list[int] = [2,3,1], growth: int = 4, classes: int = 5) {
  input x: [B, 7]
  x = x -> stem: Linear(2 * growth)
  for i, depth in enumerate(depths) {
    if i > 0 { x = x -> transition: Transition }
    x = x -> stages: DenseStage(depth, growth)
  }
  output y = x -> norm: BatchNorm -> head: Linear(classes)
}
""",
        "classes",
        {"growth": ["3", "6"], "classes": ["7"], "depths": ["[2, 3]", "[1, 1, 1]"]},
    ),
    "a width that grows in a block in a block": Case(
        """
block Stage(x: [B, C], depth: int, growth: int) {
  for _ in range(depth) { x = concat([x, x -> fc: Linear(growth)], dim=1) }
  return x
}
block Outer(x: [B, C], n: int) {
  x = x -> Stage(2, n)
  return x -> Linear(5) }
model Net(depth: int = 3, growth: int = 4, w: int = 6) {
  input x: [B, 7]
  x = x -> a: Linear(w) -> Outer(growth)
  output y = x -> head: Linear(3)
}
""",
        "",
        {"growth": ["3", "6"], "w": ["5"]},
    ),
    "a width that doubles in a block": Case(
        """
block Stage(x: [B, C], depth: int) {
  for _ in range(depth) { x = x -> fc: Linear(2 * shape(x)[1]) }
  return x
}
model Net(depth: int = 2, w: int = 3) {
  input x: [B, 7]
  x = x -> a: Linear(w) -> s: Stage(depth)
  y = x -> t: Stage(1)
  output y = y -> head: Linear(w)
}
""",
        "",
        {"depth": ["1", "3"], "w": ["5"]},
    ),
    "a block that goes both ways": Case(
        """
block Stage(x: [B, C], wide: bool, w: int) {
  if wide { x = x -> fc: Linear(2 * w) } else { x = x -> gc: Linear(w) }
  return x
}
model Net(wide: bool = true, w: int = 3) {
  input x: [B, 7]
  x = x -> a: Linear(w) -> s: Stage(wide, w) -> t: Stage(not wide, w)
  output y = x -> head: Linear(w)
}
""",
        "w",
        {"wide": ["false"], "w": ["5"]},
    ),
    "an early return that a literal leads to": Case(
        """
block B1(x: [B, C], w: int, s: int) { if s != 1 or w != C { return x -> p: Linear(w) }
  return x + (x -> q: Linear(w)) }
model Net(w: int = 4, n: int = 3, s: int = 2) {
  input x: [B, 7]
  for i in range(n) { x = x -> b: B1(w, (s if i == 0 else 1)) }
  x = x -> e: B1(4, 1)
  output y = x -> d: Linear(w)
}
""",
        "s",
        {"w": ["5", "7"], "n": ["2"], "s": ["1"]},
    ),
    "an early return in a block in a block": Case(
        """
block B1(x: [B, C], w: int, s: int) { if s != 1 or w != C { return x -> p: Linear(w) }
  return x + (x -> q: Linear(w)) }
block Outer(x: [B, C], w: int) { x = x -> b: B1(w, 1)
  return x -> l: Linear(3) }
model Net(w: int = 4, v: int = 5) {
  input x: [B, 7]
  x = x -> e: B1(4, 1)
  x = x -> f: Linear(w) -> o: Outer(4)
  x = x -> g: Linear(v) -> p: Outer(5)
  output y = x -> d: Linear(w)
}
""",
        "",
        {"w": ["5", "7"], "v": ["4", "6"]},
    ),
    "a size that decides": Case(
        """
block Part(x: [B, C], w: int) { if C > 4 { x = relu(x) }
 return x }
model Net(w: int = 6) {
  input x: [B, 7]
  x = x -> a: Linear(w) -> Part(3)
  output y = x -> d: Linear(2)
}
""",
        "w",
        {"w": ["5", "3", "8"]},
    ),
    "sizes that decide alike": Case(
        """
block Part(x: [B, C], w: int) { if C > w { x = tanh(x) } else { x = x + 1 }
 return x }
model Net(w: int = 6) {
  input x: [B, 7]
  x = x -> a: Linear(w) -> Part(5)
  x = x -> b: Linear(9) -> Part(4)
  output y = x -> d: Linear(2)
}
""",
        "w",
        {"w": ["5", "3", "8"]},
    ),
    "blocks with loops, in loops and for literals": Case(
        """
block Inner(x: [B, C], n: int, w: int) {
  for i in range(n) { x = x -> f: Linear(C + i * w) }
  return x }
block Mid(x: [B, C], ns: list[int], w: int) {
  for n in ns { x = x -> i: Inner(n, w) }
  return x + (x -> o: Linear(shape(x)[1])) }
model Net(ns: list[int] = [2, 1], w: int = 3) {
  input x: [B, 7]
  x = x -> a: Mid(ns, w)
  x = x -> b: Mid([1, 2], 2)
  x = x -> d: Mid([1, 2, 3], w)
  output y = x -> c: Linear(w)
}
""",
        "",
        {"ns": ["[1, 2]", "[3]"], "w": ["4"]},
    ),
    "functions with a loop, a condition and a float": Case(
        """
fn wide(v: int, by: float) -> int { return max(1, int(v * by)) }
fn mixed(x: [B, C], on: bool, n: int) -> [B, _] {
  for _ in range(n) { x = x -> f: Linear(C + 1) }
  return (x -> g: Linear(C) if on else x) }
model Net(w: int = 5, by: float = 1.5, on: bool = true, n: int = 2) {
  input x: [B, 7]
  x = x -> a: Linear(wide(w, by)) -> mixed(on, n)
  output y = x -> c: Linear(w)
}
""",
        "w",
        {"w": ["3", "8"], "by": ["0.5"], "on": ["false"], "n": ["1"]},
    ),
    "integers that loops in loops carry": Case(
        """
model Net(ws: list[int] = [4, 6, 5], n: int = 2, f: float = 0.5) {
  input x: [B, 7]
  c = ws[0]
  d = 0
  for i, w in enumerate(ws) { d = d + w
    for _ in range(n) { x = x -> l: Linear(c) -> Dropout(f * d / 100)
      c = c + w }
    x = x -> m: Linear(d) }
  output y = x -> k: Linear(c + d)
}
""",
        "ws n f",
        {"ws": ["[1, 2, 3]", "[2, 2]"], "n": ["1"], "f": ["0.1"]},
    ),
    "two lists side by side": Case(
        """
block R(x: [B, C, T], ch: int, ds: list[int], k: int = 3) {
  for d in ds { y = x -> relu -> cv: Conv(ch, k, dilation=d, padding=d * (k - 1) // 2)
   x = x + y }
  return x }
model Net(ch: int = 4, ks: list[int] = [3, 5], ds: list[list[int]] = [[1, 2], [1, 3]], k: int = 3) {
  input x: [B, 4, 12]
  x = x -> i: Conv(ch, 1)
  for k, d in zip(ks, ds) { x = x -> r: R(ch, d, k) }
  output y = x -> o: Conv(2, k, padding=k // 2)
}
""",
        "ch ks ds k",
        {
            "ch": ["5"],
            "ks": ["[5, 3]", "[1, 3]"],
            "ds": ["[[1, 1], [2, 2]]", "[[1], [2]]"],
            "k": ["5"],
        },
    ),
    "a network that goes down and up": Case(
        """
block Double(x: [B, C, H, W], w: int) { return x -> a: Conv(w, 3, padding=1) -> relu -> b: Conv(w, 3, padding=1) }
model Net(w: int = 3, depth: int = 2, cap: int = 8) {
  input x: [B, 3, 16, 16]
  skips = []
  for i in range(depth) { x = x -> down: Double(min(w * 2^i, cap))
    skips = skips + [x]
    x = max_pool(x, 2) }
  x = x -> mid: Double(min(w * 2^depth, cap))
  for i in range(depth) {
    x = x -> up: ConvTranspose(w * 2^(depth - 1 - i), 2, stride=2)
    x = concat([x, skips[depth - 1 - i]], dim=1) -> dec: Double(w * 2^(depth - 1 - i)) }
  output y = x -> o: Conv(2, 1)
}
""",
        "w cap",
        {"w": ["4"], "depth": ["1", "3"], "cap": ["100", "3"]},
    ),
    "conditions, and a literal call": Case(
        """
block FF(x: [B, T, D], m: int, gated: bool) { h = x -> up: Linear(m * D) -> gelu
  if gated { h = h * (x -> gate: Linear(m * D)) }
  return h -> down: Linear(D) }
model Net(d: int = 8, m: int = 2, gated: bool = true, n: int = 2, tail: bool = false) {
  input x: [B, T, 6]
  x = x -> e: Linear(d)
  for i in range(n) { x = x + (x -> ff: FF(m, gated)) }
  x = x -> last: FF(4, false)
  if tail { x = x -> t: Linear(d) }
  for i in range(n) { if i % 2 == 0 { x = x -> ev: Linear(d + i) } else { x = x -> od: Linear(d) } }
  output y = x -> o: Linear(m)
}
""",
        "d m gated",
        {
            "d": ["16"],
            "m": ["4"],
            "gated": ["false"],
            "n": ["1", "3"],
            "tail": ["true"],
        },
    ),
    "lists of constants for a block": Case(
        """
block P(x: [B, C], ws: list[int]) {
  for i in range(len(ws)) { if i > 0 { x = x -> m: Linear(ws[i-1]) }
   x = x -> l: Linear(ws[i]) }
  return x }
model Net(w: int = 4, v: int = 5, us: list[int] = [3, 2]) {
  input x: [B, 7]
  x = x -> o: P([w, 3, v]) -> p: P(us + [w]) -> q: P(us[1:])
  output y = x -> d: Linear(2)
}
""",
        "",
        {"w": ["5", "1"], "v": ["4", "6"], "us": ["[2, 3]", "[1, 2, 3]"]},
    ),
    "a function that multiplies a list": Case(
        """
fn prod(a: list[int]) -> int { p = 1
  for v in a { p = p * v }
  return p }
model Net(a: list[int] = [2, 3], b: list[int] = [2, 2]) {
  input x: [B, 7]
  x = x -> i: Linear(prod(a))
  for v in b { x = x -> m: Linear(v * prod(a)) }
  output y = x -> k: Linear(prod(b) + len(a))
}
""",
        "a b",
        {"a": ["[3, 4]", "[2, 1, 5]"], "b": ["[1, 3]"]},
    ),
    "slices of a list": Case(
        """
model Net(ws: list[int] = [4, 5, 6], k: int = 1) {
  input x: [B, 7]
  for w in ws[:k] { x = x -> a: Linear(w) }
  for i, w in enumerate(ws[k:]) { x = x -> b: Linear(w + i) }
  output y = x -> c: Linear(sum(ws[k:]) + len(ws) + max(ws))
}
""",
        "ws k",
        {"ws": ["[3, 2, 1]", "[3, 9]"], "k": ["2"]},
    ),
    "a number from a size that grew": Case(
        """
block S(x: [B, C], n: int) {
  for i in range(n) { x = concat([x, x], dim=1) }
  return x }
model Net(w: int = 4, n: int = 2, eps: float = 0.001) {
  input x: [B, 7]
  x = x -> a: Linear(w) -> s: S(n)
  output y = x / sqrt(shape(x)[1] + w) + eps
}
""",
        "eps",
        {"w": ["6"], "n": ["1"], "eps": ["0.1"]},
    ),
}


class Refused(Exception):
    """The class does not take the constant, or not this value of it."""


def loaded(text: str, **settings: str) -> Spec:
    """The model of a text, for these values of its constants."""
    return load_source(Source("net.nns", text), ["Net"], settings)[0]


def classes(spec: Spec) -> Any:
    """The names of a model's program."""
    return import_source(emitted(spec.program, "torch").source)


def values(spec: Spec) -> dict[str, Any]:
    """The constants of a model, as Python has them."""
    return {each.name: _plain(each.value) for each in spec.program.main.parameters}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        return [_plain(item) for item in items]
    return value if isinstance(value, bool | float | str) else int(value)


def taken(program: Any) -> set[str]:
    """The constants that the class of a model takes."""
    return set(inspect.signature(program.Net).parameters) - {"device", "dtype"}


def built(program: Any, given: Mapping[str, Any], changed: str) -> nn.Module:
    """The class for these constants. Raises `Refused`."""
    known = taken(program)
    if changed not in known:
        raise Refused
    own = {name: value for name, value in given.items() if name in known}
    try:
        return program.Net(**own, dtype=torch.float64)
    except ValueError as error:
        if re.search("written for", str(error)):
            raise Refused from error
        raise


def same(model: nn.Module, other: Spec) -> None:
    """Asserts that a module is that of another model: its layers, and what it computes with equal weights."""
    wanted = classes(other).Net(
        **{k: v for k, v in values(other).items() if k in taken(classes(other))},
        dtype=torch.float64,
    )
    assert list(parts(model)) == list(parts(wanted))
    for each in (model, wanted):
        each.eval()
        fill(each)
    for sizes in choices(other.program, dict(other.symbols)):
        inputs = [torch.from_numpy(x) for x in draw_inputs(other.program, sizes, 0)]
        with torch.no_grad():
            for one, two in zip(
                results(model, inputs), results(wanted, inputs), strict=True
            ):
                assert one.shape == two.shape
                assert torch.allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE)


def parts(model: nn.Module) -> Iterator[tuple[str, str]]:
    """The layers of a module, and its weights with their shapes."""
    for name, layer in model.named_modules():
        yield name, f"{type(layer).__name__}({layer.extra_repr()})"
    for name, weight in model.state_dict().items():
        yield name, str(tuple(weight.shape))


def results(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """What a module computes."""
    found = model(*inputs)
    return [found] if isinstance(found, Tensor) else list(found)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_class_with_other_values_is_the_other_model(case: Case) -> None:
    spec = loaded(case.text)
    program = classes(spec)
    assert taken(program) == set(case.taken.split())
    compared: set[str] = set()
    for name, texts in case.others.items():
        for text in texts:
            other = loaded(case.text, **{name: text})
            try:
                model = built(program, values(other), name)
            except Refused:
                continue
            same(model, other)
            compared.add(name)
    assert compared == taken(program)


# Of the first three, classes took constants and were other models for other values; those of the others take some.
SEEDS = (27, 63, 101, 0, 1, 2, 7, 8, 16, 20, 36, 37, 43, 47, 51, 55, 80, 84, 90)


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_of_random_specs_with_other_values_are_the_other_models(
    seed: int,
) -> None:
    text = random_spec(seed, counts=seed % 2 == 1)
    program = classes(loaded(text))
    for name in sorted(taken(program)):
        for value in {"k": ["5", "7"], "deep": ["3", "1"], "on": ["false"]}[name]:
            other = loaded(text, **{name: value})
            with suppress(Refused):
                same(built(program, values(other), name), other)
