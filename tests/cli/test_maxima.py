"""Maxima of many formulas show a person those that are the largest at usual sizes, and count the others."""

import re
from pathlib import Path

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.cli.shown.maxima import maximum
from nnspec.compiler import load_source
from nnspec.ir import dims
from nnspec.ir.dims import Dim, symbol
from nnspec.source import Source

ROOT = Path(__file__).parents[2]
B, T, WIDTH = symbol("B"), symbol("T"), symbol("width")
MODEL = "model M() { input x: [B, T, 8]  output y = x -> Linear(8) }"
PROGRAM = load_source(Source("m.nns", MODEL), None, {})[0].program


def shown(*parts: Dim) -> str | None:
    return maximum(dims.maximum(*parts), PROGRAM, {"width": 8}, str)


def test_the_largest_at_usual_sizes_comes_first():
    assert shown(B, T, dims.dim(7)) == "max(T, 7, B)"


def test_other_values_are_none():
    assert shown(B * T) is None
    assert shown(B, B) is None


@pytest.mark.parametrize("count", [5, 12, 60])
def test_those_that_are_never_the_largest_at_usual_sizes_are_counted(count: int):
    never = [WIDTH * B + T + each * (100 * WIDTH - 900) for each in range(1, count)]
    text = shown(B * T * 100, WIDTH * B + T, *never)
    assert (
        text == f"max({B * T * 100}, ... and {count} more for other sizes: see --json)"
    )


def test_what_is_shown_of_a_model_is_the_maximum_at_usual_sizes():
    """The decoder of T5 takes most where the targets are longer, its encoder where the sources are."""
    spec = nnspec.load(f"{ROOT}/specs/language/t5.nns", "T5Small")
    whole = Analysis(spec.program).figure("train_peak")
    text = maximum(whole, spec.program, {}, lambda part: f"<{part}>")
    assert text is not None
    parts = re.findall("<(.*?)>", text)
    assert 4 < len(parts) < 9
    assert all(part in str(whole) for part in parts)
    for sizes in ({"B": 1, "T": 14, "S": 3584}, {"B": 16, "T": 3584, "S": 224}):
        here = {name: dims.dim(size) for name, size in sizes.items()}
        values = [eval(part.replace("^", "**"), {}, sizes) for part in parts]
        assert max(values) == whole.at(here)


def test_with_sizes_put_in_what_others_exceed_is_left_out():
    text = """
      model M { input x: [B, 3, H, W]  require H >= 8 and W >= 8
        y = x -> Conv(12, 5, stride=3, padding=1) -> relu -> Conv(24, 3, padding=1) -> max_pool(2)
        output z = y -> Conv(4, 1) -> flatten -> mean(dim=1) }
    """
    program = load_source(Source("m.nns", text), None, {})[0].program
    analysis = Analysis(program)
    found = analysis.at("inference_peak", {"H": 64, "W": 96}).value
    assert "max" in str(analysis.figure("inference_peak"))
    assert "max" not in str(found)
    for batch in (2, 7):
        sizes = {"B": batch, "H": 64, "W": 96}
        assert found.at(sizes) == analysis.figure("inference_peak").at(sizes)
