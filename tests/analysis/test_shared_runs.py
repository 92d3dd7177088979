"""Runs where some sizes are 1: what another run has found already is found once, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest

import nnspec.analysis.memory.bodies as bodies
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.generic.closed import closed_forms
from nnspec.analysis.generic.model import Generic
from nnspec.analysis.generic.names.eligible import asked
from nnspec.analysis.memory import run
from nnspec.analysis.memory.bodies import Bodies
from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.measures import modes
from nnspec.analysis.setting import Setting
from nnspec.ir.dims import Dim, maximum
from nnspec.ir.graph import Loop, Program
from tests.ir.models import program, spec

ATTENTION = """
block Layer(x: [B, T, D], heads: int) {
  q, k, v = x -> qkv: Linear(3 * D) -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  x = x + (attention(q, k, v) -> rearrange("b h t d -> b t (h d)") -> proj: Linear(D))
  return x + (x -> LayerNorm -> up: Linear(4 * D) -> gelu -> down: Linear(D))
}
"""

MODELS = {
    "layers": "input x: [B, 8]\noutput y = x -> Linear(16) -> relu -> Linear(4)",
    "images": (
        "input x: [B, 3, 16, 16]\n"
        "output y = x -> Conv(8, 3, padding=1) -> BatchNorm -> relu -> flatten -> Linear(10)"
    ),
    "places": (
        "input x: [B, T, 8]\nplaces = Embedding(64, 8)\np = places(arange(T))\noutput y = (x + p) -> Linear(4)"
    ),
    "attention": (
        "input x: [B, T, 16]\nfor _ in range(3) { x = x -> layers: Layer(4) }\noutput y = x"
    ),
    "a sequence": "input x: [B, T, 8]\ny = x -> LSTM(16)\noutput z = y -> Linear(4)",
    "turned": "input x: [B, T, 8]\noutput y = x -> transpose -> exp -> reshape([B, T * 8]) -> exp",
    "one axis": "input x: [B, T]\nm = x -> mean(dim=1)\noutput y = x * unsqueeze(m, 1) + softmax(x, dim=1)",
}
OTHERS = (2, 3, 50, 1000)


def model(body: str) -> Program:
    return program(f"{ATTENTION}model M() {{\n{body}\n}}")


def memory() -> list[str]:
    return [each.name for each in FIGURES.values() if each.whole is not None]


def at_sizes(found: Dim, ones: Sequence[str], names: Sequence[str]) -> list[int]:
    """What is found at some sizes, where `ones` are 1."""
    return [
        int(found.at({n: 1 if n in ones else size + at for at, n in enumerate(names)}))
        for size in OTHERS
    ]


def amounts(calls: Calls) -> list[Dim]:
    whole = run.training(calls)
    return [whole.saved, maximum(*whole.peaks)]


@pytest.mark.parametrize("body", MODELS.values(), ids=MODELS)
def test_runs_that_share_what_they_did_come_to_what_each_does_alone(body: str) -> None:
    found = model(body)
    shared = Bodies(found)
    names = found.symbols
    sets = [each for n in range(len(names) + 1) for each in combinations(names, n)]
    for ones in [*sets, *reversed(sets)]:
        how = replace(modes(Setting(), training=True), ones=ones)
        alone = amounts(Calls(found, how, rolls=True))
        beside = amounts(Calls(found, how, bodies=shared, rolls=True))
        for one, other in zip(alone, beside, strict=True):
            assert at_sizes(one, ones, names) == at_sizes(other, ones, names), ones


def test_a_function_that_does_not_meet_a_size_is_not_run_again_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = program(
        "block Own(x: [B, C]) { return x -> Linear(C) -> exp }\n"
        "model M() {\ninput x: [B, 8]\ninput z: [N, 8]\noutput y = x -> Own\noutput w = z -> exp\n}"
    )
    shared, ran = Bodies(found), list[str]()
    forward = Calls._run  # pyright: ignore[reportPrivateUsage]

    def noted(calls: Calls, context: object) -> object:
        ran.append(str(calls.modes.ones))
        return forward(calls, context)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Calls, "_run", noted)
    for ones in ((), ("N",), ("B",), ("B", "N")):
        how = replace(modes(Setting(), training=False), ones=ones)
        run.inference(Calls(found, how, bodies=shared))
    assert ran == ["()", "('B',)"]


def test_the_turns_of_a_loop_are_compared_once_for_all_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[Loop] = []
    alike = bodies.turns_alike

    def counted(function: object, loop: Loop, mattering: object) -> object:
        compared.append(loop)
        return alike(function, loop, mattering)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(bodies, "turns_alike", counted)
    found = program(
        "model M() {\ninput x: [B, T, 8]\nfor _ in range(40) { x = x -> fc: Linear(8) -> exp }\noutput y = x\n}"
    )
    analysis = Analysis(found)
    for name in memory():
        analysis.measured(name)
        for sizes in ({"B": 1}, {"T": 1}, {"B": 1, "T": 1}):
            analysis.where(sizes).measured(name)
    assert len(compared) == 1


NESTED = """
block Inner(x: [B, T, D], hidden: int) {
  return x -> up: Linear(hidden) -> relu -> down: Linear(D)
}
block Outer(x: [B, T, D], hidden: int) { return x + (x -> LayerNorm -> Inner(hidden)) }
model M(width: int = 8, hidden: int = 32, depth: int = 12) {
  input x: [B, T, width]
  for _ in range(depth) { x = x -> layers: Outer(hidden) }
  output y = x
}
"""


@pytest.mark.parametrize("numbers", [{}, {"hidden": 1}, {"hidden": 1, "width": 3}])
def test_what_a_block_meets_in_another_one_counts_for_both(
    numbers: dict[str, int],
) -> None:
    """A figure says nothing of a size where it is 1 that holds for other sizes alone."""
    found = spec(NESTED)
    figures = ["saved_bytes", "inference_peak", "train_peak"]
    forms = closed_forms(Analysis(found.program), figures)
    conditions = [*forms.conditions, *(c for f in figures for c in forms.besides[f])]
    assert not any("hidden" in str(each) for each in conditions)
    sizes = {"B": 5, "T": 7}
    truth = Analysis(spec(NESTED, **numbers).program)
    for name in figures:
        value = forms.figures[name].at({**forms.constants, **numbers, **sizes})
        assert value == truth.measured(name).at(sizes), name


@pytest.mark.parametrize("name", ["saved_bytes", "inference_peak", "backward_peak"])
def test_where_a_constant_is_1_no_amount_speaks_of_it(name: str) -> None:
    found = program(NESTED)
    names = asked(found, None)
    generic = Generic(found, Setting(), names, names, {})
    running = generic._run_alone()  # pyright: ignore[reportPrivateUsage]
    whole = running._found(FIGURES[name])  # pyright: ignore[reportPrivateUsage]
    there = running._at_ones(frozenset({"hidden"}))  # pyright: ignore[reportPrivateUsage]
    at_one = there._found(FIGURES[name])  # pyright: ignore[reportPrivateUsage]
    assert "hidden" in whole.symbols()
    assert "hidden" not in at_one.symbols()
