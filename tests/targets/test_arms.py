"""Layers of one name on several ways of an `if`: each way has its own, and what all ways share is made for all."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emit

pytestmark = pytest.mark.framework

TARGETS = ("torch", "keras")


def spec(body: str, uses: str, parameters: str = "a: bool", more: str = "") -> Spec:
    """A model that applies one block several times, with these arguments."""
    lines = [
        f"  x = x -> part{i}: Part({use})" for i, use in enumerate(uses.split(";"))
    ]
    text = (
        f"{more}\nblock Part(x: [B, D], {parameters}) {{\n  {body}\n}}\n"
        "model M {\n  input x: [B, 6]\n" + "\n".join(lines) + "\n  output y = x\n}\n"
    )
    return load_source(Source("arms.nns", text), ["M"], {})[0]


def proven(found: Spec) -> None:
    report = found.verify(backends=("torch",))
    assert report.ok, report.text()


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
