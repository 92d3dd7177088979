"""Layers of one name on several ways of an `if`: each way has its own, and what all ways share is made for all."""

from __future__ import annotations

import pytest

from nnspec.targets import emit
from tests.targets.parts import proven, spec

pytestmark = pytest.mark.framework

TARGETS = ("torch", "keras")


BOTH = "true; false"
# What the ways make is unlike, has one name, and never exists at once.
APART = {
    "labels": "if a { x = x -> fc: Linear(8) } else { x = x -> fc: Linear(6) -> tanh } return x",
    "instances": (
        "if a { fc = Linear(8)\n x = fc(x) } else { fc = Linear(D, bias=false)\n x = fc(x) -> fc } return x"
    ),
    "kinds": "if a { x = x -> fc: Linear(6) } else { x = x -> fc: LayerNorm } return x",
    "returns": "if a { return x -> fc: Linear(8) } return x -> fc: Linear(6) -> tanh",
    "ifs": "if a { x = x -> fc: Linear(D) } x = tanh(x) if not a { x = x -> fc: Linear(8) } return x",
    "parameters": (
        "if a { w = Param([D], init=init.ones)\n x = x * w }"
        " else { w = Param([1], init=init.ones)\n x = x + w } return x"
    ),
    "blocks": "if a { x = x -> fc: Sub(8) } else { x = x -> fc: Sub(6) -> tanh } return x",
    "behind": (
        "if a { fc = Linear(D)\n x = fc(x) -> fc } else { fc = Linear(D, bias=false)\n x = fc(x) } return fc(x)"
    ),
}
SUB = "block Sub(x: [B, D], k: int) { return x -> Linear(k) }"


@pytest.mark.parametrize("body", APART.values(), ids=APART)
def test_each_way_makes_its_own_layer(body: str) -> None:
    found = spec(body, BOTH, more=SUB)
    proven(found)
    for target in TARGETS:
        assert emit(found.program, target).count("class Part") == 1


NESTED = (
    "if a { x = x -> fc: Linear(8) } else if b { x = x -> fc: Linear(4, bias=false) -> tanh }"
    " else { x = x -> fc: LayerNorm -> relu } return x"
)


def test_ways_inside_of_ways() -> None:
    proven(spec(NESTED, "true, true; false, true; false, false", "a: bool, b: bool"))


# Layers in lists: lists are made as a whole, so the uses get classes of their own.
LISTS = {
    "loops": (
        "if a { for _ in range(2) { x = x -> fc: Linear(8) } }"
        " else { for _ in range(3) { x = x -> fc: Linear(4) -> tanh } } return x"
    ),
    "loops in loops": (
        "if a { for _ in range(2) { for _ in range(2) { x = x -> fc: Linear(D) -> tanh } } }"
        " else { for _ in range(3) { for _ in range(2) { x = x -> fc: Linear(D, bias=false) } } } return x"
    ),
    "a loop and none": (
        "if a { for _ in range(2) { x = x -> fc: Linear(D) -> tanh } }"
        " else { x = x -> fc: Linear(D, bias=false) } return x"
    ),
    "some of a list": (
        "pool = [Linear(D) for _ in range(2)]\n if a { x = pool[0](x) } return pool[1](x)"
    ),
}


@pytest.mark.parametrize("body", LISTS.values(), ids=LISTS)
def test_lists_of_one_name(body: str) -> None:
    proven(spec(body, BOTH))


TURNS = {
    "widths": "x -> fc: Linear(4) -> tanh",
    "no bias": "x -> fc: Linear(D, bias=false)",
}


@pytest.mark.parametrize("other", TURNS.values(), ids=TURNS)
def test_turns_that_make_unlike_layers_of_one_name(other: str) -> None:
    body = (
        f"for i in range(n) {{ if i % 2 == 0 {{ x = x -> fc: Linear(D) }} else {{ x = {other} }} }}"
        " return x"
    )
    proven(spec(body, "3; 2", "n: int"))


SHARED = {
    "on both ways": "if a { x = fc(x) } else { x = fc(x) -> tanh } return x",
    "on both ways and behind": "if a { x = fc(x) } else { x = fc(x) -> tanh } return fc(x)",
    "on one way and behind": "if a { x = fc(x) } return fc(x)",
    "and returned": "if a { return fc(x) } return fc(x) -> tanh -> fc",
}


@pytest.mark.parametrize("body", SHARED.values(), ids=SHARED)
def test_an_instance_from_outside_of_the_ways_is_made_once(body: str) -> None:
    found = spec(f"fc = Linear(D)\n {body}", BOTH)
    proven(found)
    assert emit(found.program, "torch").count("self.fc = nn.Linear") == 1


def test_an_instance_that_some_uses_never_apply_is_not_made_for_them() -> None:
    """The loop that applies it has it made ahead, where the way that leads to it is not known yet."""
    body = "fc = Linear(D)\n for _ in range(n) { if a { x = x -> fc -> tanh } x = tanh(x) }"
    proven(spec(f"{body} return x", "3, true; 2, false", "n: int, a: bool"))


def test_turns_that_share_an_instance_on_their_ways_stay_a_loop() -> None:
    body = "for i in range(n) { if i == 1 { x = fc(x) } x = fc(x) -> tanh } return x"
    found = spec(f"fc = Linear(D)\n {body}", "2; 3", "n: int")
    proven(found)
    assert "for i in range(self.n)" in emit(found.program, "torch")


FROZEN = {
    "alone": "if a { @frozen\n x = x -> norm: BatchNorm } return x",
    "beside one that is not": (
        "if a { @frozen\n x = x -> norm: BatchNorm } else { x = x -> norm: BatchNorm -> tanh } return x"
    ),
    "in a loop": (
        "for i in range(3) { if a { @frozen\n x = x -> norm: BatchNorm } x = x -> fc: Linear(D) } return x"
    ),
}


@pytest.mark.parametrize("uses", ["true; false", "false; true"])
@pytest.mark.parametrize("body", FROZEN.values(), ids=FROZEN)
def test_what_one_way_freezes_keeps_its_statistics(body: str, uses: str) -> None:
    """The other use has no such layer, or trains it."""
    proven(spec(body, uses))


BEHIND = {
    "a choice": "if a { return tanh(x) } if a { x = x * 0.5 } return x * 2.0",
    "a requirement": "if a { return tanh(x) } require n == 2 return x * 2.0",
    "a way inside of a way": (
        "if n > 1 { if a { return tanh(x) } x = x * 0.5 } if a and n > 1 { x = x * 3.0 } return x"
    ),
}


@pytest.mark.parametrize("body", BEHIND.values(), ids=BEHIND)
def test_what_stands_behind_a_return_refuses_no_use_that_ends_there(body: str) -> None:
    proven(spec(body, "a=true, n=3; n=2", "a: bool = false, n: int = 1"))


def test_a_use_that_does_not_end_there_is_refused() -> None:
    found = spec(BEHIND["a requirement"], "true, 3; false, 2", "a: bool, n: int")
    assert "if not a and n != 2:" in emit(found.program, "torch")
