"""Programs as JSON: nothing is lost, and what a stranger sends is refused with a place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import nnspec
from nnspec.analysis.cost import cost
from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.ir.json import (
    ProgramError,
    program_from_json,
    program_schema,
    program_to_json,
)
from nnspec.ir.show import show_program
from nnspec.ops import OPS
from nnspec.source import Source
from nnspec.targets import emit

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SPECS = sorted(ROOT.joinpath("specs").glob("*/*.nns"))

EVERYTHING = """
block Scaled(x: [*S, D], factor: float, first: bool = true, extra: [*S, D] = none) {
  if first { x = x -> Linear(D, init=init.normal(std=factor)) }
  return x * factor
}
block Choose(xs: list[[B, D]], widths: list[int], act: fn, body: block) {
  y = concat(xs, dim=-1)
  for _, width in enumerate(widths) { y = y -> steps: Linear(width) -> act }
  return y -> body
}
model Everything(widths: list[int] = [4, 6], drop: float = 0.5, name: str = "é") {
  input x: [B, 8]
  input ids: i64[B, T]
  require T <= 64 and T % 4 == 0
  require cost.parameters <= 2.5K, "small"
  require 3MiB > cost.bytes_read(B=2, T=8, policy="bf16")
  embed = Embedding(10, 8)
  y = ids -> embed -> mean(dim=1)
  a = concat([x[:, 4:], x[:, :4]], dim=1)
  output first = [x, y, a] -> choose: Choose(widths, relu, Linear(3, ...))
  for width in [max(i, 1) for i in range(2)] { x = x -> more: Scaled(0.1, first=width == 1) }
  output second = x -> Dropout(drop) -> Linear(10, bias=false, weight=embed.weight)
  output third = where(x > 0, x, -1e30)
  @frozen
  @device("gpu0")
  w = x -> Linear(2)
  output fourth = w
}
"""


def read(text: str) -> Any:
    (spec,) = load_source(Source("everything.nns", text), None, {})
    return spec


def there_and_back(program: Any) -> Any:
    """The program after JSON, which must say the same once more."""
    written = json.dumps(program_to_json(program), allow_nan=False)
    found = program_from_json(json.loads(written), OPS)
    assert json.dumps(program_to_json(found), allow_nan=False) == written
    return found


def conforms(program: Any) -> bool:
    """Whether the JSON of a program is as the schema says."""
    data = json.loads(json.dumps(program_to_json(program)))
    jsonschema.validate(data, program_schema())
    return True


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_survives(path):
    for spec in nnspec.load_all(str(path)):
        found = there_and_back(spec.program)
        assert cost(found) == cost(spec.program)
        assert show_program(found) == show_program(spec.program)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_code_stays_the_same(path):
    program = nnspec.load_all(str(path))[0].program
    found = there_and_back(program)
    assert conforms(program)
    for target in ("torch", "keras"):
        assert emission(found, target) == emission(program, target)


def emission(program: Any, target: str) -> str:
    """The emitted code, or why there is none."""
    try:
        return emit(program, target)
    except SpecError as error:
        return f"{error.diagnostic.code}: {error}"


def test_every_kind_of_value_survives():
    found = there_and_back(read(EVERYTHING).program)
    assert conforms(found)
    assert show_program(found) == show_program(read(EVERYTHING).program)
    assert found.assumptions == read(EVERYTHING).program.assumptions


def test_infinities_and_twins_survive():
    spec = read("""
model Bounds(width: int = 4, low: float = -inf, sizes: list[int] = [1, 2]) {
  input x: [B, 4]
  output y = clip(x, low=low, high=inf) -> Linear(2 * width + len(sizes))
}
""")
    found = there_and_back(spec.program)
    (linear,) = [node for node in found.main.nodes if node.owns]
    assert linear.op is not None
    features = linear.op.features  # pyright: ignore[reportAttributeAccessIssue]
    assert int(features) == 10
    assert "width" in str(features.generic)
    values = {parameter.name: parameter.value for parameter in found.main.parameters}
    assert values["low"] == float("-inf")


def test_locations_keep_their_text():
    found = there_and_back(read(EVERYTHING).program)
    location = found.main.nodes[0].location
    assert str(location).startswith("everything.nns:")
    assert location.source.text == EVERYTHING


def test_the_published_schema_is_this_one():
    written = ROOT.joinpath("docs/program.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == program_schema(), (
        "write it anew: nnspec ir --schema > docs/program.schema.json"
    )


# ---- what a stranger sends ----------------------------------------------------------------------

LINE = "model Net { input x: [B, 4]  output y = x -> Linear(2) -> relu }"
CHANGES = [
    (("version",), 2, "version: "),
    (("format",), "other", "format: "),
    (("entry",), "Nothing", "no function `Nothing`"),
    (("name",), 3, "name: "),
    (("surprise",), 1, "surprise: "),
    (("expressions", 0), {"kind": "code"}, r"expressions\[0\]"),
    (("expressions", 0), {"kind": "opaque", "term": 7}, r"expressions\[0\]: .* 7 is no term"),
    (("expressions", 0), {"kind": "//", "arguments": [1, 1]}, r"expressions\[0\]"),
    (("expressions", 0), {"kind": "symbol", "name": "B", "scale": 0}, r"scale"),
    (("functions", 0, "nodes", 0, "op", "name"), "os.system", "no operator named"),
    (("functions", 0, "nodes", 0, "op", "fields", "features"), "64", "features"),
    (("functions", 0, "nodes", 0, "op", "fields", "danger"), 1, "danger"),
    (("functions", 0, "nodes", 0, "op", "fields", "init"),
     {"kind": "record", "type": "subprocess", "fields": {}}, "no record `subprocess`"),
    (("functions", 0, "nodes", 0, "op", "fields", "init"),
     {"kind": "record", "type": "init.normal", "fields": {"std": 1, "mean": 2}}, "cannot be"),
    (("functions", 0, "nodes", 0, "inputs"), [9, None], "uses value 9 before"),
    (("functions", 0, "nodes", 0, "inputs"), [], "0 inputs for"),
    (("functions", 0, "nodes", 0, "outputs"), [0], "made twice"),
    (("functions", 0, "nodes", 1, "callee"), "Net", "operator or call"),
    (("functions", 0, "nodes", 0, "location", "end"), 10**9, "outside of source"),
    (("functions", 0, "nodes", 0, "location", "source"), 5, "no source 5"),
    (("functions", 0, "nodes", 0, "terms"), {"features": 0}, "no term before"),
    (("functions", 0, "types", 1, "dtype"), "f8", "f8"),
    (("functions", 0, "types", 1, "shape"), [], "noted as"),
    (("functions", 0, "structure"), [], "structure"),
    (("symbols",), [], "unknown size B"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), CHANGES)
def test_what_is_no_program_is_refused(place, value, message):
    data = copy.deepcopy(program_to_json(read(LINE).program))
    inner: Any = data
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    with pytest.raises(ProgramError, match=message) as found:
        program_from_json(data, OPS)
    assert isinstance(found.value, ValueError)


@pytest.mark.parametrize("data", [None, [], "text", {}, 3])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(ProgramError):
        program_from_json(data, OPS)


def test_deep_nesting_is_refused():
    data = program_to_json(read(LINE).program)
    value: Any = 1
    for _ in range(5000):
        value = {"kind": "tuple", "items": [value]}
    data["functions"][0]["parameters"] = [
        {
            "name": "p",
            "value": value,
            "default": None,
            "has_default": False,
            "kind": "list",
        }
    ]
    with pytest.raises(ProgramError):
        program_from_json(data, OPS)
