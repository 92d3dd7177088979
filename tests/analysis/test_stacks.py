"""Memory of stacks of recurrent layers as formulas in the number of layers, against stacks of such numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.formula.growth import grouped
from nnspec.analysis.formula.notation import Notation
from nnspec.analysis.generic.closed import ClosedForms, closed_forms
from nnspec.analysis.generic.memory.stacks import Amount, name_bound, same, with_case
from nnspec.analysis.setting import Setting
from nnspec.ir.dims import Dim, dim, maximum, symbol
from tests.ir.models import program

FIGURES = ("saved_bytes", "inference_peak", "backward_peak", "train_peak")
PLAIN = Setting()

ALONE = """
model M(layers: int = {layers}, hidden: int = 5) {{
  input x: [B, T, 7]
  output y = x -> {kind}(hidden, layers=layers{options}) -> head: Linear(1)
}}
"""

KINDS = [
    ("LSTM", ', returns="last"', PLAIN),
    ("LSTM", ", bidirectional=true, dropout=0.2", PLAIN),
    ("LSTM", ', returns="last"', Setting.named(policy="bf16", optimizer="adafactor")),
    ("GRU", "", Setting.named(optimizer="muon")),
    ("GRU", ', returns="last", bidirectional=true', PLAIN),
    ("GRU", ", dropout=0.1", Setting.named(policy="mixed_bf16", optimizer="adam8bit")),
    ("SimpleRNN", ', returns="last", dropout=0.3', Setting.named(dropout="off")),
    ("SimpleRNN", ", bias=false, bidirectional=true", Setting.named(optimizer="sgd")),
]

WITH_OTHERS = {
    "states of all layers": """
        model M(layers: int = 2, hidden: int = 5) {
          input x: [B, T, 7]
          input e: [layers, B, 4]
          h = e -> Linear(hidden)
          y, last = GRU(hidden, layers=layers, returns="all")(x, h)
          output y = y -> Linear(2)
          output z = last -> mean(dim=0)
        }
    """,
    "one on the other": """
        model M(layers: int = 1, hidden: int = 4) {
          input x: [B, T, 7]
          y = x -> a: LSTM(hidden, layers=2 * layers, dropout=0.2) -> LayerNorm
          z = y -> b: GRU(4, layers=layers + 1, bidirectional=true, returns="last")
          output y = z -> Linear(2)
        }
    """,
    "computed again": """
        @checkpoint
        block Encoder(x: [B, T, C], hidden: int, layers: int) {
          return x -> lstm: LSTM(hidden, layers=layers, dropout=0.1) -> LayerNorm
        }
        model M(layers: int = 3, hidden: int = 5) {
          input x: [B, T, 7]
          y = x -> one: Encoder(hidden, layers) -> two: Encoder(hidden, layers)
          output y = y -> Linear(2)
        }
    """,
    "in turns of a loop": """
        model M(layers: int = 2, hidden: int = 5, depth: int = 4) {
          input x: [B, T, 7]
          x = x -> Linear(hidden)
          for _ in range(depth) { x = x + (x -> r: SimpleRNN(hidden, layers=layers)) }
          output y = x -> Linear(2)
        }
    """,
    "behind nothing that is trained": """
        model M(layers: int = 2, hidden: int = 5) {
          input x: [B, T, 7]
          @frozen y = x -> GRU(hidden, layers=layers)
          output y = y -> Linear(2)
        }
    """,
}

SIZES = [{"B": 1, "T": 1}, {"B": 3, "T": 5}, {"B": 2, "T": 300}, {"B": 256, "T": 2}]


def forms_of(
    text: str, figure: str, names: Sequence[str] | None, setting: Setting = PLAIN
) -> ClosedForms:
    """A figure by itself, which has a formula with these names in it."""
    forms = closed_forms(Analysis(program(text), setting), [figure], names)
    assert not forms.fixed
    assert forms.holds({})
    return forms


def assert_exact(
    forms: ClosedForms,
    text: str,
    constants: Mapping[str, int],
    setting: Setting = PLAIN,
    sizes: Sequence[Mapping[str, int]] = SIZES,
) -> bool:
    """Whether the formulas hold for some constants; they then give what the program with these takes."""
    if not forms.holds(constants):
        return False
    other = Analysis(program(text, **constants), setting)
    for figure in forms.figures:
        found = forms.at(figure, {**forms.constants, **constants}).value
        known = other.figure(figure)
        for each in sizes:
            assert found.at(each) == known.at(each), (figure, constants, each)
    return True


@pytest.mark.parametrize(("kind", "options", "setting"), KINDS)
def test_any_number_of_layers(kind, options, setting):
    layers = 3 if "bidirectional" in options else 2
    text = ALONE.format(kind=kind, options=options, layers=layers)
    chance = random.Random(f"{kind}{options}")
    for figure in FIGURES:
        forms = forms_of(text, figure, ["layers"], setting)
        numbers = [*range(layers, 5), chance.randint(5, 30)]
        assert all(assert_exact(forms, text, {"layers": n}, setting) for n in numbers)
        assert_exact(forms, text, {"layers": layers - 1}, setting)


NAMES = {"states of all layers": None, "in turns of a loop": ["layers", "depth"]}


@pytest.mark.parametrize("name", WITH_OTHERS)
def test_among_others(name):
    text = WITH_OTHERS[name]
    chance = random.Random(name)
    for figure in FIGURES:
        forms = forms_of(text, figure, NAMES.get(name, ["layers"]))
        held = 0
        for _ in range(6):
            constants = {each: chance.choice((1, 2, 3, 4, 7)) for each in forms.names()}
            held += assert_exact(forms, text, constants)
        assert held >= 2


def test_two_numbers_of_layers():
    text = """
    model M(one: int = 2, two: int = 3) {
      input x: [B, T, 7]
      input z: [B, U, 6]
      y, h, c = x -> LSTM(5, layers=one, returns="all")
      w = z -> GRU(5, layers=two, dropout=0.1) -> LayerNorm
      output y = w + (h -> mean(dim=0) -> unsqueeze(1))
    }
    """
    sizes = [{"B": 1, "T": 1, "U": 3}, {"B": 3, "T": 5, "U": 1}]
    for figure in FIGURES:
        forms = forms_of(text, figure, None)
        pairs = [(one, two) for one in (2, 3, 5) for two in (2, 3, 4, 6)]
        for one, two in pairs:
            constants = {"one": one, "two": two}
            exact = assert_exact(forms, text, constants, sizes=sizes)
            # The formula says so from as many layers on as the spec has: of fewer nothing is proven.
            assert exact or (figure in ("backward_peak", "train_peak") and two < 3)


def test_what_only_a_layer_between_others_takes_says_so():
    text = ALONE.format(kind="LSTM", options=', returns="last"', layers=2)
    text = text.replace("hidden: int = 5", "hidden: int = 64").replace("T, 7", "T, 32")
    forms = forms_of(text, "backward_peak", ["layers"])
    said = Notation().write(grouped(forms.figures["backward_peak"].value, ["B", "T"]))
    assert "min(1, layers - 2) * (" in said
    assert [str(each) for each in forms.conditions] == ["layers >= 2"]
    above = text.replace("layers: int = 2", "layers: int = 9")
    shorter = forms_of(above, "backward_peak", ["layers"])
    assert "min" not in str(shorter.figures["backward_peak"].value)
    assert not shorter.holds({"layers": 2})


def test_figures_that_have_a_formula_are_given_beside_those_that_have_none():
    text = """
    model M(layers: int = 2) {
      input x: [B, T, 5]
      r = GRU(5, layers=layers)
      output y = r(x) + r(x * 2.0)
    }
    """
    kept = forms_of(text, "saved_bytes", ["layers"])
    assert all(assert_exact(kept, text, {"layers": n}) for n in (2, 3, 8))
    figures = ["parameters", "train_peak"]
    forms = closed_forms(Analysis(program(text)), figures, optional=figures)
    assert list(forms.figures) == ["parameters"]
    assert [each.diagnostic.code for each in forms.unsaid.values()] == ["E0906"]
    assert not forms.conditions


def at(amounts: Sequence[Amount], numbers: Mapping[str, int]) -> Dim:
    return maximum(*(each.said.at(numbers) for each in amounts))


def test_a_case_is_told_from_the_numbers_above_it():
    n, b = symbol("n"), symbol("B")
    general = [Amount(3 * n * b), Amount(40 * b + 7), Amount(dim(50))]
    case = [6 * b, 9 * b + 2, dim(4)]
    found = with_case(general, "n", 2, case, {"n": 3})
    for size in (1, 2, 30):
        there = {"n": 2, "B": size}
        assert at(found, there) == max(int(each.at(there)) for each in case)
        for number in (3, 4, 11):
            above = {"n": number, "B": size}
            assert at(found, above) == at(general, above)


def test_amounts_are_the_same_if_their_largest_is():
    b, t = symbol("B"), symbol("T")
    assert same([b * t, b], [b * t, t], {})
    assert same([2 * b, b + 1], [2 * b], {})
    assert not same([2 * b, t], [2 * b], {})
    assert not same([b + 1], [b], {})


def test_a_name_must_be_as_large_as_a_number_of_layers_asks_for():
    n = symbol("n")
    assert name_bound(n, 4) == ("n", 4)
    assert name_bound(n + 1, 4) == ("n", 3)
    assert name_bound(2 * n, 3) == ("n", 2)
    assert name_bound(3 * n - 1, 5) == ("n", 2)
    assert name_bound(n * symbol("m"), 4) is None
    assert name_bound(n * n, 4) is None
