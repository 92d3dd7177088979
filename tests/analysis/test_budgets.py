"""Budgets: they are kept or not exactly at their bound, under any name that hides them, in every unit."""

from __future__ import annotations

import pytest

from nnspec.cli.main import main
from nnspec.compiler import check_source, load_source
from nnspec.diagnostics import Severity
from nnspec.source import Source

TEXT = """
model M {{
  input x: [B, 64]
  require {budget}
  output y = x -> Linear(64)
}}
"""
# 64 * 64 + 64 parameters; 2 * 64 * 64 FLOPs a sample.


def codes(budget: str, text: str = TEXT, **settings: str) -> list[str]:
    source = Source("spec.nns", text.format(budget=budget))
    specs, found = check_source(source, None, settings)
    assert not found.errors, found.errors
    every = (each for spec in specs for each in spec.check().diagnostics)
    return [each.code for each in every if each.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        ("cost.parameters <= 4160", True),
        ("cost.parameters < 4160", False),
        ("cost.parameters <= 4159", False),
        ("4160 >= cost.parameters", True),
        ("4.16K > cost.parameters", False),
        ("cost.parameters >= 4160", True),
        ("cost.parameters > 4160", False),
        ("cost.flops(B=2) <= 16384FLOPs", True),
        ("cost.flops(B=2) <= 16383FLOPs", False),
        ("cost.macs(B=1) <= 4.096KMACs", True),
        ("cost.macs(B=1) <= 4.095KMACs", False),
        ('cost.bytes_read(B=1, policy="bf16") <= 8448B', True),
        ('cost.bytes_read(B=1, policy="bf16") < 8.25KiB', False),
        ("cost.intensity(B=1) >= 0.47", True),
        ("cost.intensity(B=1) >= 0.48", False),
        ("cost.flops >= 8192FLOPs", True),  # for every B
    ],
)
def test_a_budget_is_kept_or_not(budget: str, kept: bool) -> None:
    assert codes(budget) == ([] if kept else ["E0910"])


def test_a_budget_may_depend_on_constants_and_settings() -> None:
    text = """
model M(width: int = 64, most: int = 5000) {{
  input x: [B, 64]
  require {budget}
  output y = x -> Linear(width)
}}
"""
    assert codes("cost.parameters <= most", text) == []
    assert codes("cost.parameters <= most", text, width="128") == ["E0910"]
    assert codes("cost.flops <= 1MFLOPs", text) == ["E0911"]
    assert codes("cost.flops <= 1MFLOPs", text, B="3") == []


def test_a_name_of_the_spec_hides_costs() -> None:
    text = "cost = [7]\nmodel M {\n  input x: [B, 4]\n  require cost[0] <= 8\n  output y = x\n}\n"
    (spec,) = load_source(Source("spec.nns", text), None, {})
    assert spec.program.budgets == ()


def test_a_budget_belongs_to_its_own_model() -> None:
    text = """
model Inner {
  input x: [B, 64]
  require cost.parameters <= 1
  output y = x -> Linear(64)
}
model Outer {
  input x: [B, 64]
  output y = x -> Inner
}
"""
    inner, outer = load_source(Source("spec.nns", text), ["Inner", "Outer"], {})
    assert [each.code for each in inner.check().diagnostics] == ["E0910"]
    assert outer.check().diagnostics == ()


def test_check_and_compile_refuse_what_is_over_budget(tmp_path, capsys) -> None:
    path = tmp_path / "m.nns"
    path.write_text(TEXT.format(budget="cost.parameters <= 4K"))
    for command in (["check"], ["compile", "--target", "torch"]):
        assert main([*command, str(path)]) == 1
        captured = capsys.readouterr()
        assert "error[E0910]" in captured.err
        assert captured.out == ""
    assert main(["cost", str(path)]) == 0  # which is how one finds out
