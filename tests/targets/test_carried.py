"""Integers that loops carry from turn to turn (`c = c * 2`): variables of the emitted loops, in constructors and forward passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emit
from tests.targets.comparing import agree
from tests.targets.parts import loaded, proven, spec
from tests.targets.random_specs import random_models

pytestmark = pytest.mark.framework

# What a target refuses, with a reason and a place; it is never a wrong program.
REFUSALS = {"E0602", "E0604"}

BODIES = {
    "a width that grows": (
        "c = D\n for _ in range(n) { c = c * w\n x = x -> fc: Linear(c) -> relu } return x"
    ),
    "behind the loop": (
        "c = w\n for i in range(n) { x = x -> fc: Linear(c)\n c = c + i } return x -> Linear(c)"
    ),
    "two loops": (
        "c = w\n for _ in range(n) { x = x -> down: Linear(c)\n c = c * 2 }\n"
        " for _ in range(n) { c = c // 2\n x = x -> up: Linear(c) } return x"
    ),
    "loops in loops": (
        "c = w\n for _ in range(n) { for _ in range(2) { c = c + 3\n x = x -> a: Linear(c) }\n"
        " c = c // 2\n x = x -> b: Linear(c) } return x"
    ),
    "of each other": (
        "a = w\n b = 1\n for _ in range(n) { x = x -> fc: Linear(a)\n old = a\n a = a + b\n b = old }\n"
        " return x -> Linear(b)"
    ),
    "at most": (
        "c = w\n for _ in range(n) { x = x -> fc: Linear(c)\n c = min(c * 2, 7) } return x"
    ),
    "in the forward pass": (
        "c = w\n for _ in range(n) { x = (x -> fc: Linear(D)) * c\n c = c * 2 } return x + c"
    ),
    "in the forward pass alone": (
        "c = w\n for i in range(n) { x = tanh(x) * c + i\n c = c + i + 1 } return x"
    ),
    "in a condition": (
        "c = w\n for _ in range(n) { x = x -> fc: Linear(D)\n"
        " if c > 4 { x = x -> more: Linear(D) -> relu }\n c = c * 2 } return x"
    ),
    "in one way of a condition": (
        "c = w\n for i in range(n) { if i % 2 == 0 { c = c + 2 }\n x = x -> fc: Linear(c) } return x"
    ),
    "in a list": (
        "c = w\n ws = []\n for _ in range(n) { ws = ws + [c]\n c = c * 2 }\n"
        " for k in ws { x = x -> fc: Linear(k) } return x"
    ),
    "of what the turn is": (
        "c = 1\n for i in range(n) { c = w * (i + 1)\n x = x -> fc: Linear(c) } return x -> Linear(c)"
    ),
    "of a size": (
        "c = w\n for _ in range(n) { x = x -> fc: Linear(c)\n c = shape(x)[1] + 1 } return x -> Linear(c)"
    ),
    "heads": (
        "h = 1\n x = x -> Linear(4 * w)\n for _ in range(n) {\n"
        " q = x -> unsqueeze(1) -> rearrange('b t (h d) -> b h t d', h=h)\n"
        " x = x + (attention(q, q, q) -> rearrange('b h t d -> b t (h d)') -> squeeze(1))\n"
        " h = h * 2 } return x -> Linear(D)"
    ),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_programs_count_along(body: str) -> None:
    text = body.replace("'", '"')
    proven(spec(text, "2, 4; 3, 2; 1, 3", "n: int, w: int"))


PYRAMID = """
model M(width: int = 8, depth: int = 3) {
  input x: [B, 3, H, W]
  c = width
  x = x -> stem: Conv(c, 3, padding=1)
  for _ in range(depth) {
    c = c * 2
    x = x -> down: Conv(c, 3, padding=1) -> relu
  }
  for _ in range(depth) {
    c = c // 2
    x = x -> up: Conv(c, 3, padding=1) -> relu
  }
  output y = x -> head: Conv(c, 1)
}
"""


def test_an_integer_keeps_its_name_and_the_loop_its_number() -> None:
    text = emit(loaded(PYRAMID).program, "torch")
    assert "width: int = 8,\n        depth: int = 3," in text
    for line in (
        "self.down.append(nn.Conv2d(c, 2 * c, 3, padding=1, **options))",
        "c = 2 * c",
        "self.up.append(nn.Conv2d(c, c // 2, 3, padding=1, **options))",
        "self.head = nn.Conv2d(c, c, 1, **options)",
    ):
        assert line in text
    assert "channels" not in text  # they are `c`


def emitted(found: Spec, target: str) -> dict[str, Any]:
    """The names of an emitted program."""
    names: dict[str, Any] = {}
    exec(compile(emit(found.program, target), "emitted.py", "exec"), names)
    return names


def test_a_program_takes_other_numbers() -> None:
    """What was emitted for one model is the other model, too."""
    other = load_source(Source("m.nns", PYRAMID), ["M"], {"width": "3", "depth": "5"})
    parameters = other[0].cost().parameters
    model = emitted(loaded(PYRAMID), "torch")["M"](width=3, depth=5)
    assert sum(each.numel() for each in model.parameters()) == parameters
    assert model(torch.zeros(1, 3, 4, 5)).shape == (1, 3, 4, 5)
    made = emitted(loaded(PYRAMID), "keras")["m"]
    assert made(width=3, depth=5).count_params() == parameters


CHECKED = """
model M(width: int = 8, depth: int = 3) {
  input x: [B, T, width]
  c = width
  for i in range(depth) {
    require c <= 64, "no wider than 64"
    require T <= c * 8
    x = x -> fc: Linear(c)
    if i > 0 { require c % 2 == 0 }
    c = c * 2
  }
  output y = x
}
"""


def test_what_is_required_of_it_is_checked_in_each_turn() -> None:
    made = emitted(loaded(CHECKED), "torch")["M"]
    model = made(width=3, depth=2)
    with pytest.raises(ValueError, match="no wider than 64"):
        made(width=20, depth=4)
    made(width=20, depth=2)
    model(torch.zeros(1, 24, 3))
    with pytest.raises(ValueError, match="T is 25, and has to be at most 24"):
        model(torch.zeros(1, 25, 3))


def test_programs_of_random_specs_equal_their_graphs() -> None:
    compared = 0
    # In the last one, what an integer comes to is too long to be said.
    for seed in (*range(24), 317):
        for found in random_models(seed, counts=True):
            try:
                agree(found)
                emit(found.program, "keras")
            except SpecError as error:
                if error.diagnostic.code not in REFUSALS:
                    raise
                continue
            compared += 1
    assert compared > 12
