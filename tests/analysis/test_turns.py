"""Loops of many turns that are alike: a few turns stand for all, and nothing else changes."""

from __future__ import annotations

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.memory import run
from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.frame import Frame
from nnspec.analysis.memory.machine import Tensor
from nnspec.analysis.memory.measures import modes
from nnspec.analysis.memory.rolling import Unlike
from nnspec.analysis.memory.turns import FEWEST, turns_alike
from nnspec.analysis.setting import Setting
from nnspec.ir.dims import Dim, maximum
from nnspec.ir.graph import Function, Loop, Node, Program
from tests.ir.models import program

DEPTH = 4 * FEWEST

STACK = """
block Layer(x: [B, C], hidden: int) {
  y = x -> norm: LayerNorm -> up: Linear(hidden) -> gelu -> drop: Dropout(0.1) -> down: Linear(C)
  return x + y
}
"""

ALIKE = {
    "a stack": "for _ in range(N) { x = x -> layers: Layer(16) }",
    "operators": "for _ in range(N) { x = x -> fc: Linear(8) -> relu -> norm: LayerNorm }",
    "one layer for all": "own = Linear(8)\nfor _ in range(N) { x = own(x) -> tanh }",
    "a layer that is used behind": (
        "own = Linear(8)\nfor _ in range(N) { x = own(x) -> tanh }\nx = own(x)"
    ),
    "own and shared": (
        "own = Linear(8)\nfor _ in range(N) { x = own(x) + (x -> fc: Linear(8)) }"
    ),
    "a value for all": (
        "m = x -> mask: Linear(8)\nfor _ in range(N) { x = (x -> fc: Linear(8)) * m }"
    ),
    "two that are carried": (
        "y = x\nfor _ in range(N) {\n  z = x\n  x = (y -> a: Linear(8)) + x\n  y = z -> b: Linear(8) -> relu\n}"
    ),
    "in the loop, nobody reads it": (
        "for _ in range(N) {\n  _ = x -> unread: Linear(8)\n  x = x -> a: Linear(8) -> relu\n}"
    ),
    "the last one differs": (
        "for i in range(N) { x = x -> fc: Linear(8 if i < N - 1 else 3) }"
    ),
    "the first ones differ": (
        "for i in range(N) {\n  if i < 3 { x = x -> extra: Linear(8) }\n  x = x -> fc: Linear(8)\n}"
    ),
    "a loop in a block": (
        "x = x -> Stage(N)\nx = x -> Linear(4) -> Stage(N)\nx = x -> Stage(N)"
    ),
    "loops in a loop": (
        "for _ in range(N) {\n  x = x -> a: Linear(8)\n  for _ in range(N) { x = x -> b: Linear(8) -> relu }\n}"
    ),
    "two loops": (
        "for _ in range(N) { x = x -> a: Layer(4) }\nfor _ in range(N) { x = x -> b: Layer(5) }"
    ),
    "computed again": "for _ in range(N) { @checkpoint x = x -> layers: Layer(16) }",
    "a block with a loop is computed again": "@checkpoint x = x -> Stage(N)\nx = x -> Linear(4)",
    "behind a block with a loop that is computed again": (
        "x = x -> a: Linear(8) -> exp\n@checkpoint x = x -> Stage(N)\nx = x -> exp"
    ),
    "a loop of blocks is computed again": "@checkpoint x = x -> Layers(N)\nx = x -> exp",
    "a loop and more is computed again": "@checkpoint x = x -> More(N)",
    "loops in a loop are computed again": "@checkpoint x = x -> Nested(N)\nx = x -> exp",
    "a loop is computed again in a loop": "for _ in range(N) { @checkpoint x = x -> Stage(N) }",
    "frozen": "for _ in range(N) { @frozen x = x -> layers: Layer(16) }",
    "frozen at first": (
        "@frozen x = x -> Layer(4)\nfor _ in range(N) { x = x -> layers: Layer(16) }"
    ),
    "another layer in the middle": (
        "for i in range(N) {\n  x = x -> fc: Linear(8)\n  if i == 21 { x = x -> extra: Linear(8) -> exp }\n}"
    ),
    "without weights": "for _ in range(N) { x = x -> relu -> exp }",
}

UNLIKE = {
    "a layer of the middle is used behind": (
        "own = [Linear(8) for _ in range(N)]\n"
        "for each in own { x = each(x) -> relu }\nx = own[20](x)"
    ),
    "layers in turn": (
        "a = Linear(8)\nb = Linear(8)\n"
        "for i in range(N) { if i % 2 == 0 { x = a(x) -> relu } else { x = b(x) -> relu } }"
    ),
    "layers there and back": (
        "own = [Linear(8) for _ in range(N)]\n"
        "for i in range(N) { x = own[i](x) + own[N - 1 - i](x) }"
    ),
    "results that are collected": (
        "all = []\nfor _ in range(N) {\n  x = x -> fc: Linear(8)\n  all = all + [x]\n}\nx = concat(all, dim=1)"
    ),
    "sizes that grow": "for i in range(N) { x = x -> fc: Linear(8 + i) }",
    "few turns": "for _ in range(9) { x = x -> fc: Linear(8) }",
}

STAGE = """
block Layers(x: [B, C], count: int) {
  for _ in range(count) { x = x -> Layer(2 * C) }
  return x
}
block More(x: [B, C], count: int) {
  x = x -> Linear(3 * C)
  for _ in range(count) { x = x -> norm: LayerNorm -> fc: Linear(3 * C) -> gelu }
  return x -> Linear(2) -> exp
}
block Nested(x: [B, C], count: int) {
  for _ in range(count) {
    x = x -> a: Linear(C)
    for _ in range(count) { x = x -> b: Linear(C) -> relu }
    x = x -> exp
  }
  return x
}
block Stage(x: [B, C], count: int) {
  for _ in range(count) { x = x + (x -> fc: Linear(C) -> relu) }
  return x
}
"""


def stack(body: str, count: int = DEPTH) -> Program:
    text = f"model M(N: int = {count}) {{\ninput x: [B, 8]\n{body}\noutput last = x\n}}"
    return program(STACK + STAGE + text)


def amounts(found: Program, *, rolls: bool, training: bool) -> list[Dim]:
    """What is kept, and the peaks of a forward and a backward pass."""
    calls = Calls(found, modes(Setting(), training=training), rolls=rolls)
    if not training:
        return [maximum(*run.inference(calls))]
    whole = run.training(calls)
    return [whole.saved, maximum(*whole.peaks)]


def at_sizes(found: list[Dim]) -> list[int]:
    return [int(each.at({"B": size})) for each in found for size in (1, 2, 7, 300)]


def loops(found: Program) -> list[tuple[Function, Loop]]:
    return [
        (function, item)
        for function in found.functions.values()
        for item in function.structure
        if isinstance(item, Loop)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("body", ALIKE.values(), ids=ALIKE)
def test_a_few_turns_stand_for_all(body: str, training: bool) -> None:
    found = stack(body)
    assert all(turns_alike(*each, set()) is not None for each in loops(found))
    rolled = amounts(found, rolls=True, training=training)
    run_out = amounts(found, rolls=False, training=training)
    assert at_sizes(rolled) == at_sizes(run_out)


@pytest.mark.parametrize("body", UNLIKE.values(), ids=UNLIKE)
def test_turns_that_are_unlike_are_run_one_by_one(body: str) -> None:
    found = stack(body)
    assert [turns_alike(*each, set()) for each in loops(found)] == [None]


def test_what_is_left_but_not_kept_is_not_multiplied() -> None:
    found = stack(
        "y = x\nfor _ in range(N) {\n  x = x -> a: Linear(8)\n  y = y -> b: Linear(8)\n}\n"
        "output best = argmax(y, dim=1)"  # through which no gradient comes
    )
    with pytest.raises(Unlike):
        amounts(found, rolls=True, training=True)
    analysis = Analysis(found)
    saved, _ = amounts(found, rolls=False, training=True)
    assert analysis.figure("saved_bytes") == saved


def test_the_work_does_not_grow_with_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Node] = []
    evaluated = Frame._evaluated  # pyright: ignore[reportPrivateUsage]

    def counting(frame: Frame, node: Node) -> list[Tensor]:
        ran.append(node)
        return evaluated(frame, node)

    monkeypatch.setattr(Frame, "_evaluated", counting)
    counts: list[int] = []
    for count in (DEPTH, 10 * DEPTH):
        ran.clear()
        amounts(stack(ALIKE["a stack"], count), rolls=True, training=True)
        counts.append(len(ran))
    assert counts[0] == counts[1] < DEPTH
