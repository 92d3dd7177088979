"""Passes keep the meaning, leave what holds together, and do what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

import nnspec
from nnspec.analysis.cost import cost
from nnspec.ir.graph import Program, walk
from nnspec.ir.show import show_program
from nnspec.ir.verify import verify_program
from nnspec.passes import PASSES, Pass, PassError, run_passes, run_until
from nnspec.passes.debug import report
from nnspec.passes.rewrite import without_nodes
from tests.ir.models import program

ROOT = Path(__file__).parents[2]


def run(name: str, found: Program) -> Program:
    return run_passes(found, [PASSES[name]()], hook=lambda *_: None)


def operators(found: Program) -> list[str]:
    return [
        node.op.op_name()
        for function in found.functions.values()
        for node in function.nodes
        if node.op is not None
    ]


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize(
    "path", sorted(ROOT.joinpath("specs").glob("*/*.nns")), ids=lambda path: path.stem
)
@pytest.mark.slow
def test_passes_keep_the_figures_of_every_spec(name, path):
    for spec in nnspec.load_all(str(path)):
        after = run(name, spec.program)
        assert cost(after) == cost(spec.program)
        assert run(name, after) is after or show_program(
            run(name, after)
        ) == show_program(after)


def test_dead_takes_out_what_nobody_uses():
    found = program("""
model Net {
  input x: [B, 4]
  a = x -> relu
  b = a * 2
  kept = x -> unused: Linear(3)
  for i in range(2) { c = x -> exp  x = x + 1 }
  output y = x -> Linear(2)
}
""")
    after = run("dead", found)
    assert sorted(operators(after)) == ["Linear", "Linear", "add", "add"]
    names = {item.name for item in walk(after.main.structure) if hasattr(item, "name")}  # type: ignore[attr-defined]
    assert names == {"kept", "x", "y"}
    assert cost(after).parameters == cost(found).parameters


def test_simplify_takes_out_what_does_nothing():
    found = program("""
block Body(x: [B, T, D], rate: float) {
  return x -> Dropout(rate) -> Identity -> reshape([B, T, D]) -> Linear(D)
}
model Net {
  input x: [B, T, 4]
  y = x -> transpose(order=[0, 1, 2]) -> transpose(order=[1, 0, 2]) -> cast(float)
  y = y -> Body(0.0) -> Body(0.5)
  output a = y -> flatten(start=1) -> reshape([T, B, 4])
  output b = x -> Identity
}
""")
    after = run("simplify", found)
    assert sorted(operators(after)) == [
        "Dropout",
        "Linear",
        "Linear",
        "flatten",
        "reshape",
        "transpose",
    ]
    assert after.main.outputs[1].values == after.main.inputs[0].values


def test_a_loop_of_nothing_keeps_its_structure():
    found = program("""
model Net {
  input x: [B, 4]
  for _ in range(3) { x = x -> Identity -> Identity }
  output y = x -> Linear(2)
}
""")
    after = run("simplify", found)
    assert operators(after) == ["Linear"]
    loop = next(item for item in after.main.structure if hasattr(item, "carried"))
    assert loop.carried == {"x": (0, 0, 0, 0)}  # type: ignore[union-attr]


FROZEN = """
block Inner(x: [B, D]) { return x -> fc: Linear(D) }
block Outer(x: [B, D]) { return x -> Inner -> last: Linear(D) }
model Net {
  input x: [B, 4]
  @frozen
  y = x -> body: Outer
  output z = y -> Outer -> relu
}
"""


def test_freeze_reaches_every_layer_inside():
    found = program(FROZEN)
    after = run("freeze", found)
    assert set(after.functions) == {
        "Inner",
        "Inner:frozen",
        "Outer",
        "Outer:frozen",
        "Net",
    }
    for key, function in after.functions.items():
        frozen = [node.marks.frozen for node in function.nodes if node.owns]
        if key != "Net":
            assert set(frozen) == {key.endswith(":frozen")}
    assert cost(after) == cost(found)
    assert cost(found).trainable == cost(found).parameters // 2


def test_a_block_that_is_only_frozen_keeps_its_name():
    found = program("""
@frozen
block Body(x: [B, D]) { return x -> Linear(D) }
model Net { input x: [B, 4]  output y = x -> Body }
""")
    after = run("freeze", found)
    assert list(after.functions) == ["Body", "Net"]
    assert after.functions["Body"].nodes[0].marks.frozen


def test_run_until_runs_those_before():
    seen: list[str] = []
    found = program(FROZEN)
    run_until(found, "simplify", lambda name, *_: seen.append(name))
    assert seen == ["freeze", "checkpoint", "simplify"]
    with pytest.raises(KeyError):
        run_until(found, "no such pass")
    spec = nnspec.load(str(ROOT / "specs/vision/lenet.nns"))
    assert spec.program_after("dead") is spec.program


@dataclass(frozen=True)
class Careless(Pass):
    """Takes out a node that is used."""

    name: ClassVar[str] = "careless"

    def run(self, program: Program) -> Program:
        main = without_nodes(program.main, {0}, {})
        return replace(program, functions={**program.functions, main.key: main})


def test_the_runner_names_a_pass_that_breaks_the_program():
    with pytest.raises(PassError, match="`careless`"):
        run_passes(program(FROZEN), [Careless()])


def test_passes_change_nothing_in_place():
    found = program(FROZEN)
    before = show_program(found)
    for name in PASSES:
        run(name, found)
    assert show_program(found) == before
    verify_program(found)


def test_the_environment_asks_for_reports(monkeypatch, capsys):
    monkeypatch.setenv("NNSPEC_DEBUG", "2")
    run_until(program(FROZEN), "freeze")
    err = capsys.readouterr().err
    assert err.startswith("pass freeze: ")
    assert "3 -> 5 functions" in err
    monkeypatch.setenv("NNSPEC_DEBUG", "nonsense")
    run_until(program(FROZEN), "freeze")
    assert capsys.readouterr().err == ""


def test_each_level_says_more():
    found = program(FROZEN)
    after = run("freeze", found)
    texts = [report(level, "freeze", found, after, 0.001) for level in (1, 2, 3, 4)]
    assert texts[0] == "pass freeze: 1.0 ms\n"
    assert "@frozen" not in texts[1]
    assert "+block Inner:frozen()  @frozen" in texts[2]
    assert show_program(after) in texts[3]
    assert "nothing to do" in report(1, "dead", found, found, 0.0)
