"""Loops in loops, whose layers Keras has in flat lists; and names of variables that are names of layers, too."""

from __future__ import annotations

import pytest

from nnspec.targets import emit
from tests.targets.parts import loaded, proven, spec

pytestmark = pytest.mark.framework

BODIES = {
    "no layer": "x = x * 0.5",
    "a layer of each turn": "x = x -> fc: Linear(D) -> tanh",
    "a layer of each turn, and its number": "x = (x -> fc: Linear(D) -> tanh) * (j + 2)",
    "a layer of each turn, and the outer number": "x = (x -> fc: Linear(D)) * (i + 2)",
    "one layer for all turns": "x = x -> one -> tanh",
    "both": "x = x -> fc: Linear(D) -> one -> tanh",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_loop_that_only_runs_another_runs_it_in_each_turn(body: str) -> None:
    loop = f"for i in range(n) {{ for j in range(m) {{ {body} }} }} return x"
    proven(spec(f"one = Linear(D)\n {loop}", "1, 3; 3, 2", "n: int, m: int"))


def test_turns_that_are_the_layers_of_a_flat_list_are_one_loop() -> None:
    body = f"for i in range(n) {{ for j in range(m) {{ {BODIES['a layer of each turn']} }} }} return x"
    found = spec(body, "2, 3; 3, 2", "n: int, m: int")
    proven(found)
    assert "for fc_layer in self.fc:" in emit(found.program, "keras")


NAMES = {
    "of a list in nested loops": (
        "for i in range(n) { for _ in range(n) { g = Param([D], init=init.ones)\n x = x * g } } return x"
    ),
    "of a layer in a list": (
        "for _ in range(n) { unit = x * 0.5\n x = x + (unit -> units: Linear(D)) * unit } return x"
    ),
    "of a size": (
        "width = x * 0.5\n for _ in range(n) { x = x -> Linear(D) } return x + width * shape(x)[1]"
    ),
}


@pytest.mark.parametrize("body", NAMES.values(), ids=NAMES)
def test_a_variable_of_the_spec_keeps_its_name_for_itself(body: str) -> None:
    proven(spec(body, "2; 3", "n: int"))


def test_a_shared_layer_of_a_function_leaves_a_variable_its_name() -> None:
    """The name meant the layer at first, which another name still means."""
    proven(
        loaded(
            "model M {\n  input x: [B, 6]\n  fc = Linear(6)\n  same = fc\n  y = x -> fc\n"
            "  fc = y * 2.0\n  output z = (y -> same) + fc\n}\n"
        )
    )


INNER = """
block Inner(x: [B, D], n: int = 2, f: bool = false) {
  for i in range(n) {
    @frozen
    w = Param([D], init=init.normal(1.0))
    x = x * w
    for _ in range(2) {
      g = Param([D], init=init.normal(1.0))
      x = (x + g) -> fc: Linear(D)
    }
    if f and i == 1 { x = x * Param([D], init=init.normal(1.0)) }
  }
  return x
}
"""


def test_weights_in_lists_of_a_block_in_a_block_have_their_own_paths() -> None:
    """Keras knows the path of a weight once the layer is built in which its own layer is."""
    found = spec(
        "return x -> mix: Inner(n, n == 3) -> Linear(D)", "2; 3", "n: int", INNER
    )
    proven(found)
    alone = spec("for _ in range(n) { x = x * Param([D]) } return x", "2; 3", "n: int")
    proven(alone)
    assert "for i in range(n):" in emit(alone.program, "keras")


COUNTED = {
    "no layer": "for _ in range(i) { x = x * 0.5 }",
    "no layer, and more behind it": "for _ in range(i) { x = x * 0.5 } x = tanh(x)",
    "a layer of each turn": "for j in range(i + 1) { x = x -> fc: Linear(D) }",
    "a number that turns put in": "for w in [i + 1, i + 3] { x = (x -> fc: Linear(D)) * w }",
    "two loops": "for j in range(i) { for _ in range(j) { x = x * 0.5 } x = x -> fc: Linear(D) }",
}


@pytest.mark.parametrize("body", COUNTED.values(), ids=COUNTED)
def test_how_often_a_loop_turns_may_hang_on_the_turn_of_another(body: str) -> None:
    proven(spec(f"for i in range(n) {{ {body} }} return x", "2; 3", "n: int"))
