"""Every way in which a program can fail to hold together is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import nnspec
from nnspec.ir.dims import dim, symbol
from nnspec.ir.graph import Binding, Function, Node, Program, Result, Step
from nnspec.ir.types import DType, tensor
from nnspec.ir.verify import VerificationError, verify_program
from nnspec.ops import OPS
from tests.ir.models import program

ROOT = Path(__file__).parents[2]

TEXT = """
block Pair(x: [B, D], width: int) { return x -> fc: Linear(width) -> relu }
model Net { input x: [B, 4]  y = x -> a: Pair(8) -> b: Pair(8)  output z = y -> Linear(2) }
"""


@pytest.mark.parametrize(
    "path", sorted(ROOT.joinpath("specs").glob("*/*.nns")), ids=lambda path: path.stem
)
def test_what_the_compiler_makes_holds_together(path):
    for spec in nnspec.load_all(str(path)):
        verify_program(spec.program)


def changed(found: Program, change) -> Program:
    """The program with its main function changed."""
    main = change(found.main)
    return replace(found, functions={**found.functions, found.entry: main})


def with_node(place: int, **changes):
    def change(main: Function) -> Function:
        nodes: list[Node] = list(main.nodes)
        nodes[place] = replace(nodes[place], **changes)
        return replace(main, nodes=tuple(nodes))

    return change


def with_type(value: int, kind):
    return lambda main: replace(main, types={**main.types, value: kind})


def with_structure(change):
    return lambda main: replace(main, structure=change(main.structure))


CHANGES = {
    "uses value 2 before it is made": with_node(0, inputs=(2,)),
    "value 0 is made twice": with_node(0, outputs=(0,)),
    "value 77 has no type": with_node(0, outputs=(77,)),
    "stands at place 0": with_node(0, id=5),
    "calls `Other`": with_node(0, callee="Other"),
    "2 inputs for 1": with_node(0, inputs=(0, 0)),
    "operator or call": with_node(0, op=OPS["relu"]()),
    "the input `x` is missing": with_node(2, inputs=(None, None)),
    "is no list": with_node(2, inputs=((2,), None)),
    "something else by that path": with_node(2, path=("b",)),
    "read of a weight": with_node(2, weight="bias"),
    r"the result is \[B, 2\], and noted as \[B, 3\]": with_type(
        3, tensor(symbol("B"), 3)
    ),
    "noted as i64": with_type(3, tensor(symbol("B"), 2, dtype=DType.I64)),
    "input `x`": with_type(0, tensor(symbol("B"), 5)),
    "values and types do not match": with_type(9, tensor(1)),
    "take each node once": with_structure(lambda items: items[1:]),
    "does not end with the outputs": with_structure(lambda items: items[:-1]),
    "end with the outputs": with_structure(lambda items: (*items[:-1], Result((0,)))),
    "`q` means value 50": with_structure(lambda items: (Binding("q", 50), *items)),
    "once, in order": with_structure(lambda items: (Step(0), *items)),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_violation_is_noticed(message):
    found = changed(program(TEXT), CHANGES[message])
    with pytest.raises(VerificationError, match=message):
        verify_program(found)


def test_the_table_of_functions_is_checked():
    found = program(TEXT)
    with pytest.raises(VerificationError, match="there is no function `Other`"):
        verify_program(replace(found, entry="Other"))
    backwards = dict(reversed(list(found.functions.items())))
    with pytest.raises(VerificationError, match="does not stand before it"):
        verify_program(replace(found, functions=backwards))
    renamed = {f"{key}2": each for key, each in found.functions.items()}
    with pytest.raises(VerificationError, match="is listed as"):
        verify_program(replace(found, functions=renamed, entry="Net2"))


def test_sizes_are_checked():
    found = program("model Net { input x: [B, 4]  output y = relu(x) }")
    with pytest.raises(VerificationError, match="unknown size B"):
        verify_program(replace(found, symbols=()))
    negative = {value: tensor(dim(-1), 4) for value in found.main.types}
    with pytest.raises(VerificationError, match="negative size"):
        verify_program(changed(found, lambda main: replace(main, types=negative)))
