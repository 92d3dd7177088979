"""Annotations are carried through the program; those without effect are told, not swallowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nnspec
from nnspec.cli.main import main
from nnspec.diagnostics import Severity
from nnspec.ir.graph import Marks, Program, dotted
from nnspec.ir.json import program_from_json, program_to_json
from nnspec.ir.show import show_program
from nnspec.ir.unheeded import unheeded
from nnspec.ir.view import flat_view
from nnspec.ops import OPS
from nnspec.spec import Target
from tests.ir.models import spec

ROOT = Path(__file__).parents[2]

TEXT = """
@checkpoint
block Layer(x: [*S, D]) {
  x = x -> inner: Linear(D)
  @device("gpu2")
  x = x -> outer: Linear(D)
  return x
}
fn twice(x: [*S, D]) {
  x = x -> one: Linear(4)
  return x -> two: Linear(4)
}
@device("gpu0")
model Marked {
  input x: [B, 4]
  @checkpoint
  shared = Linear(4)
  @device("gpu1")
  for i in range(2) {
    @checkpoint
    x = x -> layers: Layer -> relu
    @frozen
    @checkpoint
    x = x -> layers_frozen: Linear(4)
  }
  @frozen
  @device("cpu")
  x = x -> a: Linear(4) -> b: Linear(4)
  x = x -> shared -> plain: Linear(4)
  @checkpoint
  output y = twice(x)
}
"""


def marks_by_path(program: Program, key: str) -> dict[str, Marks]:
    function = program.functions[key]
    return {dotted(node.path): node.marks for node in function.nodes if node.owns}


def test_marks_stand_where_they_were_written() -> None:
    program = spec(TEXT).program
    assert program.main.marks == Marks(device="gpu0")
    assert program.functions["Layer"].marks == Marks(checkpoint=True)
    found = marks_by_path(program, "Marked")
    assert found == {
        **{f"layers.{i}": Marks(checkpoint=True, device="gpu1") for i in range(2)},
        **{f"layers_frozen.{i}": Marks(True, True, "gpu1") for i in range(2)},
        "a": Marks(frozen=True, device="cpu"),
        "b": Marks(frozen=True, device="cpu"),
        "shared": Marks(checkpoint=True),
        "plain": Marks(),
        "one": Marks(checkpoint=True),
        "two": Marks(checkpoint=True),
    }
    inner = marks_by_path(program, "Layer")
    assert inner == {"inner": Marks(), "outer": Marks(device="gpu2")}


def test_marks_of_operations_without_weights() -> None:
    program = spec(TEXT).program
    (relus) = [n for n in program.main.nodes if n.op and n.op.op_name() == "relu"]
    assert {node.marks for node in relus} == {Marks(checkpoint=True, device="gpu1")}


def test_marks_are_shown() -> None:
    text = show_program(spec(TEXT).program)
    lines = text.splitlines()
    (head,) = [line for line in lines if line.startswith("model Marked")]
    assert head.endswith('  @device("gpu0")')
    (block,) = [line for line in lines if line.startswith("block Layer")]
    assert block.endswith("  @checkpoint")
    (layer,) = [line for line in lines if "# layers_frozen.1" in line]
    assert layer.endswith('  @frozen  @checkpoint  @device("gpu1")')
    (plain,) = [line for line in lines if "# plain" in line]
    assert plain.endswith("# plain")


def test_marks_survive_json() -> None:
    program = spec(TEXT).program
    written = json.dumps(program_to_json(program))
    assert '{"frozen": true, "checkpoint": true, "device": "gpu1"}' in written
    found = program_from_json(json.loads(written), OPS)
    assert show_program(found) == show_program(program)
    assert marks_by_path(found, "Marked") == marks_by_path(program, "Marked")


def test_marks_of_what_stands_in_one_another_add_up() -> None:
    graph = flat_view(spec(TEXT).program)
    found = {
        data["path"]: data["marks"]
        for _, data in graph.nodes(data=True)
        if data["path"]
    }
    assert found["layers.0.inner"] == Marks(checkpoint=True, device="gpu1")
    assert found["layers.0.outer"] == Marks(checkpoint=True, device="gpu2")
    assert found["a"] == Marks(frozen=True, device="cpu")
    assert found["plain"] == Marks(device="gpu0")


# ---- what has no effect ---------------------------------------------------------------------------


def test_each_annotation_without_effect_is_told_once() -> None:
    found = spec(TEXT).compile_warnings()
    assert [warning.code for warning in found] == ["W0601", "W0601"]
    assert {warning.severity for warning in found} == {Severity.WARNING}
    assert [warning.message.split()[0] for warning in found] == [
        "`@checkpoint`",
        "`@device`",
    ]
    assert all(warning.location and warning.hint for warning in found)


@pytest.mark.parametrize("target", ["torch", "keras"])
def test_the_emitted_program_says_so(target: Target) -> None:
    source = spec(TEXT).source(target)
    assert "Without effect here: @checkpoint, @device." in source


BLOCK = """
@checkpoint
block Layer(x: [*S, D]) { return x -> Linear(D) }
@device("gpu0")
model M { input x: [B, 4]
  output y = x -> Layer }
"""


def test_programs_act_on_checkpointed_blocks() -> None:
    source = spec(TEXT).source("torch")
    assert "from torch.utils.checkpoint import checkpoint\n" in source
    assert "recomputed(self.layers[0], x)" in source
    source = spec(TEXT).source("keras")
    assert "keras.remat(" in source
    assert 'Layer(4, recompute=True, name="layers' in source
    for target in ("torch", "keras"):
        (warning,) = spec(BLOCK).compile_warnings(target)
        assert warning.message.startswith("`@device`")
        assert spec(BLOCK).compile_warnings(target, placed=True) == ()


@pytest.mark.parametrize("target", ["torch", "keras"])
def test_the_program_is_the_same_without_device(target: Target) -> None:
    bare = spec(BLOCK.replace('@device("gpu0")\n', ""))
    assert unheeded(bare.program, target) == {}
    assert bare.compile_warnings(target) == ()
    said = "\nWithout effect here: @device."
    wanted = spec(BLOCK).source(target)
    assert said in wanted
    assert bare.source(target) == wanted.replace(said, "")


def test_compile_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "marked.nns"
    path.write_text(TEXT)
    assert main(["compile", str(path), "--target", "torch"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("warning[W0601]") == 2
    assert printed.out.startswith('"""')
    assert main(["compile", str(path), "--target", "keras", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    codes = [warning["code"] for warning in json.loads(printed.out)["warnings"]]
    assert codes == ["W0601", "W0601"]


def test_no_spec_of_ours_has_such_annotations() -> None:
    for path in sorted(ROOT.joinpath("specs").glob("*/*.nns")):
        for found in nnspec.load_all(str(path)):
            assert found.compile_warnings() == ()
