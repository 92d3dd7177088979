"""Documents that somebody changed: they are refused as a whole, or everything behind takes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from nnspec.analysis.cost import cost
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.ir.json import ProgramError, program_from_json, program_to_json
from nnspec.ir.view import flat_view
from nnspec.ops import OPS
from nnspec.spec import Spec
from nnspec.targets import emit
from tests.ir.models import program

TEXT = """
block Scaled(x: [*S, D], width: int, bias: bool = true) {
  if bias { x = x + 1.0 }
  return x -> fc: Linear(width, bias=bias)
}
model Net(widths: list[int] = [4, 6], drop: float = 0.5) {
  input x: [B, T, 4]
  require T % 4 == 0
  require B < 64, "small"
  require cost.parameters(B=2, T=8) < 1K
  x = x -> Linear(2 * len(widths))
  for i, width in enumerate(widths) { x = x -> blocks: Scaled(width, bias=i == 0) -> relu }
  output y = x -> Dropout(drop)
}
"""
# A block with an `if`, its call, loops and requirements, in one program.
WRITTEN = json.dumps(program_to_json(program(TEXT)))


def document() -> Any:
    """A fresh copy of the whole document."""
    return json.loads(WRITTEN)


# ---- one fault each ---------------------------------------------------------------------------------


def main(data: Any) -> Any:
    """The function of the model."""
    return data["functions"][-1]


def call(data: Any) -> Any:
    """The first node that calls a block."""
    return next(node for node in main(data)["nodes"] if node["callee"])


def layer(data: Any) -> Any:
    """The first layer."""
    return main(data)["nodes"][0]


def item(data: Any, kind: str) -> Any:
    """The first item of a kind in the structure of the model."""
    return next(each for each in main(data)["structure"] if each["kind"] == kind)


def term(data: Any, operator: str) -> Any:
    """The first term of a kind."""
    return next(e for e in data["expressions"] if e.get("operator") == operator)


def scaled(data: Any) -> Any:
    """The symbol that is known to be a multiple."""
    return next(e for e in data["expressions"] if e.get("name") == "T")


def factor(data: Any) -> Any:
    """The first factor of a dim."""
    dims = (e for e in data["expressions"] if e["kind"] == "dim")
    return next(t["factors"][0] for e in dims for t in e["terms"] if t.get("factors"))


CHANGES: list[tuple[str, Callable[[Any], Any]]] = [
    ("`a.b` is no name of a model", lambda d: d.update(name="a.b")),
    ("no name of a block", lambda d: main(d).update(name="é")),
    ("no name of an input", lambda d: main(d)["inputs"][0].update(name="x@0")),
    ("no name of a parameter", lambda d: main(d)["parameters"][0].update(name="2")),
    ("`drop` is given twice", lambda d: main(d)["inputs"][0].update(name="drop")),
    ("kind of `drop`", lambda d: main(d)["parameters"][1].update(kind="result")),
    ("`` is no path", lambda d: layer(d).update(path=[])),
    ("`0.linear` is no path", lambda d: layer(d).update(path=[0, "linear"])),
    ("is no path", lambda d: layer(d).update(path=["linear", -1])),
    ("0 loops for a path of 2", lambda d: call(d).update(loops=[])),
    ("counts turns of a loop", lambda d: call(d).update(loops=[7])),
    ("names a layer and a list", lambda d: call(d).update(path=["blocks"])),
    ("is no comparison", lambda d: item(d, "requirement").update(condition=_term(d))),
    ("argument `width` of .* is missing", lambda d: call(d)["arguments"].pop("width")),
    ("takes no argument `depth`", lambda d: call(d)["arguments"].update(depth=3)),
    ("an operator takes no arg", lambda d: layer(d).update(arguments={"width": 3})),
    ("no field for the terms `depth`", lambda d: layer(d)["terms"].update(depth=_term(d))),
    ("the terms of a call", lambda d: call(d)["terms"].update(width=_term(d))),
    ("`é` is no name of a value", lambda d: item(d, "binding").update(name="é")),
    ("unknown size `Q`", lambda d: item(d, "requirement").update(symbols=["Q"])),
    ("`x y` is no name in a loop", lambda d: item(d, "loop").update(pattern="x y")),
    ("variables of a loop", lambda d: item(d, "loop")["variables"].pop()),
    ("a turn gives", lambda d: item(d, "loop")["iterations"][0]["values"].update(w=3)),
    ("`x` has 0 values in 2 turns", lambda d: item(d, "loop")["carried"]["x"].clear()),
    ("`x` is value 99", lambda d: item(d, "loop")["carried"].update(x=[99])),
    ("divides T by 8", lambda d: scaled(d).update(scale=8)),
    ("has the unknown size T", lambda d: d.update(symbols=["B"])),
    ("`%` divides by 0", lambda d: d["expressions"].append(_remainder(d))),
    ("a power is higher than 16", lambda d: factor(d).update(power=17)),
    ("no kind of terms", lambda d: term(d, "name").update(operator="exec")),
    ("cannot have these arg", lambda d: term(d, "name").update(arguments=["a b"])),
    ("cannot have these arg", lambda d: term(d, "compare")["arguments"].pop()),
    ("cannot have these arg", lambda d: term(d, "call").update(arguments=[3])),
]  # fmt: skip


LISTED = """
model Net(depth: int = 2) {
  input x: [B, 4]
  found = []
  for _ in range(depth) { x = x -> layers: Linear(4)
    found = found + [x] }
  for y in found { x = x + y }
  for i in range(depth) { x = x + found[i] }
  output y = x
}
"""


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("holds value 99", lambda d: term(d, "value").update(arguments=[99])),
        (
            "cannot have these arg",
            lambda d: term(d, "value").update(arguments=["x"]),
        ),
        ("2 lists in 2 turns", lambda d: item(d, "loop")["lists"]["found"].pop()),
        (
            "`a b` is no name in a loop",
            lambda d: item(d, "loop")["lists"].update({"a b": []}),
        ),
    ],
)
def test_how_lists_were_made_is_refused_where_it_cannot_be(message, change):
    data = program_to_json(program(LISTED))
    assert program_to_json(program_from_json(data, OPS)) == data
    change(data)
    with pytest.raises(ProgramError, match=message):
        program_from_json(data, OPS)


def _remainder(data: Any) -> Any:
    """An atom that divides by an empty sum."""
    data["expressions"].append({"kind": "dim", "terms": []})
    place = len(data["expressions"]) - 1
    return {"kind": "%", "arguments": [place, place]}


def _term(data: Any) -> int:
    """The place of some term."""
    return data["expressions"].index(term(data, "name"))


@pytest.mark.parametrize(("message", "change"), CHANGES)
def test_a_changed_document_is_refused(message, change):
    data = document()
    change(data)
    with pytest.raises(ProgramError, match=message):
        program_from_json(data, OPS)


# ---- any fault --------------------------------------------------------------------------------------

ODD = [None, True, False, 0, 1, -1, 7, 10**30, 1.5, "", "x", "B", "a.b", "é", [], {}, ["0"]]  # fmt: skip


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every value of a document, as what it lies in and its key or index."""
    found: list[tuple[Any, Any]] = []
    for key in data if isinstance(data, dict) else range(len(data)):
        found.append((data, key))
        if isinstance(data[key], dict | list):
            found += places(data[key])
    return found


def change(data: Any, random: Random) -> None:
    """Takes something out of a document, puts another part or something odd there, or counts on."""
    known = places(data)
    inside, key = random.choice(known)
    alike = [lies for lies in known if type(lies[0][lies[1]]) is type(inside[key])]
    match random.randrange(4):
        case 0:
            del inside[key]
        case 1 if isinstance(inside[key], int):
            inside[key] += random.choice((-2, -1, 1, 2))
        case 2:
            other, place = random.choice(alike)
            inside[key] = json.loads(json.dumps(other[place]))
        case _:
            inside[key] = random.choice(ODD)


def everything(data: Any) -> bool:
    """Reads a document and does with it what can be done; False if it is refused."""
    try:
        found = program_from_json(data, OPS)
    except ProgramError:
        return False
    spec = Spec(found.name, "net.nns", found)
    uses: list[Callable[[], Any]] = [
        lambda: emit(found, "torch"),
        lambda: emit(found, "keras"),
        lambda: cost(found),
        lambda: spec.figure("memory_train", B=2, T=8),
        lambda: flat_view(found),
        lambda: spec.check(),
    ]
    for use in uses:
        with suppress(SpecError, SpecErrors):
            use()
    return True


def test_what_is_read_can_be_used():
    random = Random(7)
    accepted = 0
    for _ in range(100):
        data = document()
        change(data, random)
        accepted += everything(data)
    assert 5 < accepted < 60
