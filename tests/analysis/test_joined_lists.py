"""Lists that loops grow and one operator puts together, as formulas: held against the program made with other numbers."""

from __future__ import annotations

import itertools
import random

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.generic.closed import closed_forms
from nnspec.ir.json import program_from_json, program_to_json
from nnspec.ops import OPS
from tests.ir.models import spec

SUMS = [name for name, figure in FIGURES.items() if figure.whole is None]

MODELS = {
    "each layer reads all before it": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, width]
  features = [x]
  for _ in range(depth) {
    x = concat(features, dim=1) -> fc: Linear(width) -> relu
    features = features + [x]
  }
  output y = concat(features, dim=1) -> head: Linear(10)
}""",
    "a dense block": """
model M(width: int = 4, depth: int = 4) {
  input image: [B, 3, H, W]
  x = image -> Conv(2 * width + 1, 3, padding=1)
  features = [x]
  for _ in range(depth) {
    new = x -> BatchNorm -> relu -> Conv(width, 3, padding=1)
    features = [*features, new]
    x = features -> concat(dim=1)
  }
  output y = x -> global_avg_pool -> Linear(10)
}""",
    "branches of one input": """
model M(width: int = 4, depth: int = 4) {
  input image: [B, 3, H, W]
  x = image -> Conv(width, 3, padding=1)
  branches = []
  for i in range(depth) { branches = branches + [x -> branch: Conv(width + i, 3, padding=1) -> relu] }
  output y = concat([image, *branches, x], dim=1) -> project: Conv(10, 1)
}""",
    "a pyramid": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, 3, T]
  levels = []
  for i in range(depth) {
    x = x -> grow: Conv(width * 2^i, 3, padding=1) -> relu
    levels = [x] + levels
  }
  output y = concat(reversed(levels), dim=1) -> head: Conv(5, 1)
}""",
    "states side by side": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  states = [x]
  for _ in range(depth) {
    x = x + (x -> LayerNorm -> fc: Linear(width) -> gelu)
    states = states + [x]
  }
  output y = stack(states, dim=2) -> mean(dim=2) -> head: Linear(5)
}""",
}


@pytest.mark.parametrize("name", MODELS)
def test_formulas_of_lists_of_any_length_are_what_other_numbers_take(name):
    forms = spec(MODELS[name]).closed_forms(*SUMS)
    assert not forms.fixed
    assert not forms.kept
    chance = random.Random(name)
    for depth, width in itertools.product((1, 2, 3, 4, 5, 9), (1, 2, 3, 4, 7)):
        constants = {"depth": depth, "width": width}
        assert forms.holds(constants) or width == 1
        other = spec(MODELS[name], **constants).program
        for figure in SUMS:
            sizes = {each: chance.choice((1, 2, 3, 40)) for each in other.symbols}
            found = forms.at(figure, constants).at(sizes)
            assert found == Analysis(other).measured(figure).at(sizes), constants


RUNNING = ["saved_bytes", "inference_peak", "backward_peak", "train_peak"]


@pytest.mark.parametrize("name", MODELS)
def test_memory_of_lists_that_are_put_together(name):
    """Gradients come back as parts of one whole, until others are added to them, or to the first turn."""
    forms = spec(MODELS[name]).closed_forms(*RUNNING)
    assert not forms.fixed
    assert not forms.kept
    chance = random.Random(name)
    for depth, width in itertools.product((4, 5, 6, 9, 17), (2, 3, 4, 5, 6, 11)):
        constants = {"depth": depth, "width": width}
        assert forms.holds(constants)
        other = spec(MODELS[name], **constants).program
        for figure in RUNNING:
            found = forms.at(figure, constants)
            known = Analysis(other).measured(figure)
            for _ in range(3):
                sizes = {each: chance.choice((1, 2, 3, 40)) for each in other.symbols}
                assert found.at(sizes) == known.at(sizes), (constants, sizes)


def test_three_turns_of_a_list_are_told_by_the_model_with_more_turns():
    """The second of three is the one that gives the whole gradient back."""
    text = MODELS["states side by side"].replace("states = [x]", "states = []")
    forms = spec(text, depth=3).closed_forms("backward_peak")
    alone = closed_forms(Analysis(spec(text, depth=3).program), ["backward_peak"])
    assert "depth" in alone.fixed
    assert not forms.fixed
    for depth in (3, 4, 9):
        other = Analysis(spec(text, depth=depth).program).figure("backward_peak")
        found = forms.at("backward_peak", {"depth": depth, "width": 4}).value
        assert found.at({"B": 3, "T": 2}) == other.at({"B": 3, "T": 2})


def test_a_long_list_is_written_as_a_short_one_is():
    """What has a variable of its own does not hang on how many tensors there are."""
    text = MODELS["branches of one input"]
    for depth in (4, 40):
        forward = spec(text, depth=depth).source("torch").partition("def forward")[2]
        assert forward.partition("\n\n\n")[0].count(" = ") == 2


UNSAID = {
    "an element as large as all before it": """
model M(depth: int = 4) {
  input x: [B, 3]
  features = [x]
  for _ in range(depth) { features = features + [concat(features, dim=1) -> relu] }
  output y = concat(features, dim=1) -> Linear(2)
}""",
    "two of each turn": """
model M(depth: int = 4) {
  input x: [B, 3]
  features = [x]
  for _ in range(depth) { features = features + [x -> a: Linear(2), x -> b: Linear(3)] }
  output y = concat(features, dim=1) -> Linear(2)
}""",
}


@pytest.mark.parametrize("name", UNSAID)
def test_lists_that_no_formula_says_keep_the_number_of_turns(name):
    forms = spec(UNSAID[name]).closed_forms("flops", "parameters")
    assert "depth" in forms.fixed
    assert forms.figures["flops"].value == spec(UNSAID[name]).figure("flops")


def test_how_lists_were_made_is_written_and_read():
    program = spec(MODELS["a dense block"]).program
    known = [node.lists for node in program.main.nodes if node.lists]
    read = program_from_json(program_to_json(program), OPS)
    assert len(known) == 4
    assert [node.lists for node in read.main.nodes if node.lists] == known
