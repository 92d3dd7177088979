"""`nnspec cost` as formulas: what it grows with, in constants, and in notations that run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import nnspec
from nnspec.cli.main import main
from tests.analysis import latex

TEXT = """
block Block(x: [B, T, D], heads: int) {
  require D % heads == 0
  q = x -> rearrange("b t (h d) -> b h t d", h=heads)
  y = attention(q, q, q) -> rearrange("b h t d -> b t (h d)") -> proj: Linear(D)
  return x + y
}
model Net(depth: int = 3, width: int = 8, heads: int = 2, drop: float = 0.1) {
  input x: [B, T, 8]
  require T <= 32
  x = x -> stem: Linear(width)
  for _ in range(depth) { x = x -> blocks: Block(heads) }
  output y = x -> head: Linear(5)
}
"""
OTHER = (
    "model Other(width: int = 4) { input x: [B, 3]\n output y = x -> Linear(width) }\n"
)


@pytest.fixture
def said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("net.nns").write_text(TEXT)
    Path("both.nns").write_text(TEXT + OTHER)

    def run(*arguments: str, code: int = 0) -> str:
        assert main(["cost", *arguments]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return run


def test_cost_says_what_grows_with_the_square_and_why(said):
    text = said("net.nns")
    (square,) = [line for line in text.splitlines() if line.startswith("B * T^2 ")]
    assert square.split() == [
        "B",
        "*",
        "T^2",
        "96",
        "83.8",
        "%",
        "blocks.attention",
        "100",
        "%",
    ]
    (rest,) = [line for line in text.splitlines() if line.startswith("B * T ")]
    assert rest.split()[:7] == ["B", "*", "T", "592", "16.2", "%", "blocks.proj"]


def test_growth_is_shown_for_figures_that_are_asked_for(said):
    text = said("net.nns", "--figures", "bytes_read,elementwise", "--depth", "0")
    assert "bytes read grow with" in text
    assert "elementwise operations grow with" in text
    assert "fixed " in text  # the weights are read whatever the sizes are


@pytest.mark.parametrize("sizes", [["B=2", "T=7"], ["B=2"]])
def test_nothing_is_said_of_growth_where_there_is_one_way_or_none(said, sizes):
    given = ["T=7"] if len(sizes) == 1 else sizes
    assert "grow with" not in said("net.nns", *given)


def test_formulas_in_constants(said):
    text = said("net.nns", "--in", "depth,width", "--figures", "parameters,flops")
    assert text.splitlines() == [
        "Net  fp32  in depth, width",
        "",
        "parameters  width * (depth * (width + 1) + 14) + 5",
        "FLOPs       4 * depth * width * B * T^2",
        "            + 2 * width * (depth * width + 13) * B * T",
    ]


def test_what_has_to_stay_is_said(said):
    Path("net.nns").write_text(
        "model Net(stages: int = 3, width: int = 4) {\n  input x: [B, 5]\n  c = width\n"
        "  for _ in range(stages) { x = x -> fc: Linear(c)\n c = c * c }\n  output y = x\n}\n"
    )
    text = said("net.nns", "--in", "all", "--figures", "parameters")
    assert "in width\n" in text
    assert "stages stays 3: the turns of its loop are unlike" in text
    (found,) = json.loads(said("net.nns", "--in", "all", "--json"))
    assert found["holds_where"] == ["stages == 3"]


def test_what_holds_in_each_turn_of_a_sum_is_no_condition(said):
    """The exponent `2 * i * (i - 1) + 1` is never negative, in any turn."""
    Path("net.nns").write_text(
        "model Net(stages: int = 3, width: int = 4) {\n  input x: [B, 5]\n"
        "  for i in range(stages) { x = x -> fc: Linear(width * 2^(i * i)) }\n  output y = x\n}\n"
    )
    text = said("net.nns", "--in", "all", "--figures", "parameters")
    assert "sum(2^(2 * i * (i - 1) + 1) for i in 1..stages - 1)" in text
    assert "holds where" not in text


def test_what_one_figure_needs_is_said_of_it_alone(said):
    Path("net.nns").write_text(
        "model Net(stages: int = 3, width: int = 4) {\n  input x: [B, T, 5]\n"
        "  for i in range(stages) { x = x -> LSTM(width * 2^i) }\n  output y = x\n}\n"
    )
    asked = ("net.nns", "--in", "all", "--figures", "parameters,saved_bytes")
    text = " ".join(said(*asked).split())
    assert "in stages, width" in text
    because = "what its turns leave in memory adds up to no formula"
    assert f"stages stays 3 in saved activations: {because}" in text
    (found,) = json.loads(said(*asked, "--json"))
    assert found["holds_where"] == []
    assert found["holds_where_besides"] == {
        "saved_bytes": ["stages == 3", "B >= 2", "T >= 2"]
    }
    python = said(*asked, "--format", "python")
    assert python.count("stages == 3") == 1


STATES = (
    "model Net {\n  input x: [B, T, 5]\n"
    "  output y = x -> LSTM(16) -> head: Linear(3) -> tanh\n}\n"
)


def test_where_a_size_of_1_lies_otherwise_it_is_said_of_the_figures_that_differ(said):
    Path("net.nns").write_text(STATES)
    asked = ("net.nns", "--figures", "flops,saved_bytes", "--depth", "0")
    text = " ".join(said(*asked).split())
    assert "for B >= 2, T >= 2: saved activations (an axis of one element" in text
    assert ">=" not in said(*asked, "B=1")
    assert ">=" not in said("net.nns", "--figures", "flops", "--depth", "0")
    (found,) = json.loads(said(*asked, "--json"))
    assert found["holds_where"] == {"saved_bytes": ["B >= 2", "T >= 2"]}
    latex = said("net.nns", "--figures", "saved_bytes", "--format", "latex")
    assert "% holds where B >= 2, T >= 2" in latex


def test_formulas_in_constants_say_where_sizes_of_1_differ(said):
    Path("net.nns").write_text(
        STATES.replace("16)", "width)").replace("Net {", "Net(width: int = 16) {")
    )
    asked = ("net.nns", "--in", "all", "--figures", "saved_bytes")
    assert said(*asked).rstrip().endswith("holds where B >= 2, T >= 2")
    assert "holds" not in said(*asked, "B=1")
    names: dict[str, Callable[..., int]] = {}
    exec(said(*asked, "B=1", "--format", "python"), names)
    for width, steps in ((48, 1), (40, 7), (1, 3), (1, 1)):
        known = nnspec.load("net.nns", width=width)
        sizes = {"B": 1, "T": steps}
        wanted = known.figure("saved_bytes", None, **sizes)
        assert names["saved_bytes"](T=steps, width=width) == wanted


def test_functions_are_right_at_sizes_of_1(said):
    Path("net.nns").write_text(STATES)
    names: dict[str, Callable[..., int]] = {}
    exec(said("net.nns", "--figures", "saved_bytes", "--format", "python"), names)
    for sizes in (
        {"B": 1, "T": 1},
        {"B": 1, "T": 7},
        {"B": 5, "T": 1},
        {"B": 3, "T": 4},
    ):
        known = nnspec.load("net.nns").figure("saved_bytes", None, **sizes)
        assert names["saved_bytes"](**sizes) == known


def test_json_holds_formulas_and_what_they_hold_for(said):
    (found,) = json.loads(said("net.nns", "--in", "all", "--json"))
    assert found["parameters"] == "width * (depth * (width + 1) + 14) + 5"
    assert found["constants"] == {"depth": 3, "width": 8, "heads": 2}
    assert found["holds_where"] == []


def test_python_functions_give_what_is_counted(said):
    text = said("net.nns", "--in", "all", "--figures", "all", "--format", "python")
    space: dict = {}
    exec(text, space)
    given = {"B": 3, "T": 7, "depth": 4, "width": 12, "heads": 3}
    spec = nnspec.load("net.nns", depth=4, width=12, heads=3)
    for figure in (
        "parameters",
        "flops",
        "training_flops",
        "elementwise",
        "bytes_read",
    ):
        assert space[figure](**given) == spec.figure(figure, B=3, T=7), figure
    assert space["intensity"](**given) == spec.figure("intensity", B=3, T=7)


def test_functions_of_several_models_are_told_apart(said):
    text = said("both.nns", "--format", "python", "--figures", "parameters")
    space: dict = {}
    exec(text, space)
    assert space["net_parameters"]() == 72 + 3 * 72 + 45
    assert space["other_parameters"]() == 16


def test_latex_reads_back(said):
    text = said(
        "net.nns", "--in", "all", "--format", "latex", "--figures", "flops,parameters"
    )
    equations = dict(line.split(" &= ") for line in text.splitlines() if "&=" in line)
    values = {"B": 2, "T": 7, "depth": 4, "width": 12, "heads": 3}
    spec = nnspec.load("net.nns", depth=4, width=12, heads=3)
    found = equations["\\text{FLOPs}"].removesuffix(" \\\\")
    assert latex.evaluate(found, values) == spec.figure("flops", B=2, T=7)
    assert latex.evaluate(equations["\\text{parameters}"], values) == spec.figure(
        "parameters"
    )


def test_sizes_that_are_given_are_put_in(said):
    text = said(
        "net.nns", "T=10", "--in", "depth", "--figures", "flops", "--format", "text"
    )
    assert text.splitlines()[2] == "FLOPs  (4480 * depth + 2080) * B"


def test_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.nns").write_text(TEXT)
    closed = nnspec.load("net.nns").closed_forms("flops", constants=["depth"])
    assert closed.holds({"depth": 9})
    assert str(closed.at("flops", {"depth": 9}).value) == "288 * B * T^2 + 1360 * B * T"
