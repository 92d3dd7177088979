"""Constants that loops divide from turn to turn: formulas for multiples, held against the program made with other numbers."""

from __future__ import annotations

import random

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.formula.growth import grouped
from nnspec.analysis.formula.notation import NOTATIONS
from nnspec.analysis.generic.closed import is_sum
from nnspec.diagnostics import SpecErrors
from tests.ir.models import spec

SUMS = [name for name in FIGURES if is_sum(name)]
RUNNING = ["saved_bytes", "inference_peak", "backward_peak", "train_peak"]

DECODER = """
model M(width: int = 64, depth: int = 4, latent: int = 10) {
  input z: [B, latent, 4, 4]
  x = z -> stem: Conv(width, 3, padding=1)
  for i in range(depth) {
    x = x -> up: ConvTranspose(width // 2^i, 4, stride=2, padding=1) -> norm: BatchNorm -> relu
  }
  output y = x -> head: Conv(3, 1)
}"""

REQUIRED = """
model M(width: int = 64, depth: int = 4) {
  input x: [B, 4, width]
  require width % 2^depth == 0
  for i in range(depth) { x = x -> fc: Linear(width // 2^i) -> relu }
  output y = x -> head: Linear(3)
}"""

AUTOENCODER = """
model M(width: int = 64, depth: int = 4) {
  input x: [B, width]
  for i in range(depth) { x = x -> down: Linear(width // 2^(i + 1)) -> relu }
  for i in range(depth) { x = x -> up: Linear(width // 2^(depth - 1 - i)) -> relu }
  output y = x
}"""

HALVED = """
model M(width: int = 64, depth: int = 3, more: int = 2) {
  input x: [B, T, width]
  for i in range(depth) { x = x -> a: Linear(shape(x)[2] // 2) -> relu }
  for i in range(more) { x = x -> b: Linear(shape(x)[2] // 2) -> relu }
  output y = x -> Linear(width // 2)
}"""

IMAGE = """
model M(size: int = 64, width: int = 3, depth: int = 4, latent: int = 5) {
  input image: [B, 3, size, size]
  x = image
  for i in range(depth) { x = x -> Conv(width * 2^i, 3, stride=2, padding=1) -> relu }
  output y = x -> flatten -> Linear(latent)
}"""

UNET = """
model M(width: int = 32, depth: int = 4) {
  input image: [B, 3, H, W]
  require H % 2^depth == 0 and W % 2^depth == 0
  x = image -> Conv(width, 3, padding=1)
  skips = []
  for i in range(depth) {
    x = x -> Conv(width // 2^i, 3, padding=1) -> relu
    skips = skips + [x]
    x = x -> max_pool(2, stride=2)
  }
  for i in range(depth) {
    C = width // 2^(depth - 1 - i)
    x = x -> up: ConvTranspose(C, 2, stride=2)
    x = concat([x, skips[-1 - i]], dim=1) -> Conv(C, 3, padding=1) -> relu
  }
  output y = x -> Conv(2, 1)
}"""

HEADS = """
block Attend(x: [B, T, C], heads: int, width: int) {
  q, k, v = x -> qkv: Linear(3 * width) -> rearrange("b t (k h d) -> k b h t d", k=3, h=heads)
    -> unstack(dim=0)
  return attention(q, k, v) -> rearrange("b h t d -> b t (h d)") -> out: Linear(width)
}
model M(width: int = 48, depth: int = 4, heads: int = 2) {
  input x: [B, T, width]
  for i in range(depth) { x = x -> at: Attend(heads, width // 2^i) }
  output y = x
}"""

THIRDS = """
model M(widths: list[int] = [54, 81], depth: int = 4) {
  input x: [B, T, widths[0]]
  for i in range(depth) {
    x = x -> fc: Linear(2 * widths[0] // 3^i) -> relu -> out: Linear(widths[1] // 3^i)
  }
  output y = x
}"""

PYRAMID = """
model M(start: int = 3, alpha: int = 20, depth: int = 5) {
  input x: [B, T, start]
  for i in range(depth) { x = x -> fc: Linear(start + alpha * (i + 1) // depth) -> relu }
  output y = x
}"""


def multiples(base: int, most: int):
    return lambda chance: chance.randint(1, 4) * base ** chance.randint(0, most)


def between(low: int, high: int):
    return lambda chance: chance.randint(low, high)


# The constants to draw, and the figures of memory that have a formula in all of them.
MODELS = {
    "decoder": (
        DECODER,
        {
            "width": multiples(2, 6),
            "depth": between(1, 6),
            "latent": between(1, 9),
        },
        RUNNING,
    ),
    "required": (
        REQUIRED,
        {"width": multiples(2, 6), "depth": between(1, 6)},
        RUNNING,
    ),
    "autoencoder": (
        AUTOENCODER,
        {"width": multiples(2, 6), "depth": between(1, 6)},
        RUNNING,
    ),
    "halved": (
        HALVED,
        {"width": multiples(2, 8), "depth": between(1, 5), "more": between(1, 4)},
        [],
    ),
    "image": (
        IMAGE,
        {
            "size": multiples(2, 6),
            "width": between(1, 5),
            "depth": between(1, 6),
            "latent": between(1, 4),
        },
        RUNNING,
    ),
    "unet": (UNET, {"width": multiples(2, 6), "depth": between(1, 6)}, RUNNING),
    "heads": (
        HEADS,
        {
            "width": multiples(2, 6),
            "depth": between(1, 5),
            "heads": between(1, 4),
        },
        ["inference_peak"],
    ),
    "thirds": (
        THIRDS,
        {
            "widths[0]": multiples(3, 5),
            "widths[1]": multiples(3, 5),
            "depth": between(1, 5),
        },
        ["saved_bytes", "inference_peak"],
    ),
    "pyramid": (
        PYRAMID,
        {
            "start": between(1, 9),
            "alpha": lambda chance: chance.randint(1, 5) * chance.randint(1, 8),
            "depth": between(1, 9),
        },
        RUNNING,
    ),
}


def made(text: str, numbers: dict[str, int]):
    """The program with these constants, those of the one list as its elements are called."""
    plain = {name: str(value) for name, value in numbers.items() if "[" not in name}
    items = [value for name, value in numbers.items() if "[" in name]
    if items:
        plain["widths"] = str(items)
    return spec(text, **plain).program


@pytest.mark.parametrize("name", MODELS)
def test_formulas_of_multiples_are_what_other_numbers_count(name):
    text, draws, running = MODELS[name]
    forms = spec(text).closed_forms(*SUMS, *running)
    assert not forms.fixed
    assert not forms.kept
    chance = random.Random(name)
    held = dict.fromkeys(forms.figures, 0)
    for _ in range(300):
        numbers = {constant: draw(chance) for constant, draw in draws.items()}
        given = {**forms.constants, **numbers}
        holding = [figure for figure in held if forms.holds(given, figure)]
        if not holding or min(held[figure] for figure in SUMS) > 24:
            continue
        try:
            other = made(text, numbers)
        except SpecErrors:
            continue
        analysis = Analysis(other)
        multiples = other.assumptions.multiples
        sizes = {
            each: chance.choice((2, 3, 40)) * multiples.get(each, 1)
            for each in other.symbols
        }
        for figure in holding:
            found, known = forms.at(figure, given), analysis.measured(figure)
            same = found.at(sizes).exactly() == known.at(sizes).exactly()
            assert same, (figure, numbers, sizes)
            held[figure] += 1
    assert min(held[figure] for figure in SUMS) >= 20
    assert all(held[figure] >= 5 for figure in running)


def test_what_constants_are_multiples_of_is_a_condition():
    forms = spec(DECODER).closed_forms("parameters", "state")
    assert [*map(str, forms.conditions)] == ["width % 2^(depth - 1) == 0"]
    assert not forms.holds({"width": 24, "depth": 5})
    assert forms.holds({"width": 24, "depth": 4})


def test_what_a_spec_requires_is_none():
    assert not spec(REQUIRED).closed_forms(*SUMS).conditions
    text = REQUIRED.replace("width % 2^depth", "width % 2^(depth - 2)")
    forms = spec(text).closed_forms("parameters")
    assert [*map(str, forms.conditions)] == ["width % 2^(depth - 1) == 0"]


def test_constants_that_are_no_multiples_have_sums_that_go_through_the_turns():
    forms = spec(DECODER, width=25).closed_forms(*SUMS)
    assert not forms.fixed
    assert not forms.kept
    assert "sum(" in str(forms.figures["parameters"].value)
    for width, depth in ((8, 4), (27, 4), (40, 3), (64, 5), (33, 6), (9, 1)):
        numbers = {**forms.constants, "width": width, "depth": depth}
        assert forms.holds(numbers)
        other = Analysis(spec(DECODER, width=width, depth=depth).program)
        for figure in SUMS:
            found, known = forms.at(figure, numbers), other.measured(figure)
            assert found.at({"B": 3}).exactly() == known.at({"B": 3}).exactly()


def test_memory_of_constants_that_are_no_multiples_has_the_number_of_turns():
    forms = spec(DECODER, width=25).closed_forms("saved_bytes")
    assert forms.fixed.keys() == {"depth"}
    for width in (8, 27, 40, 64):
        other = Analysis(spec(DECODER, width=width).program)
        found = forms.at("saved_bytes", {**forms.constants, "width": width})
        assert found.at({"B": 3}) == other.measured("saved_bytes").at({"B": 3})


def test_the_last_turn_may_leave_something():
    forms = spec(DECODER, width=20).closed_forms(*SUMS)
    assert not forms.fixed
    conditions = forms.conditions_of("parameters")
    assert [*map(str, conditions)] == ["depth >= 2", "width % 2^(depth - 2) == 0"]
    for width, depth in ((20, 4), (28, 4), (40, 5), (56, 5), (24, 3), (6, 2), (24, 4)):
        numbers = {**forms.constants, "width": width, "depth": depth}
        assert forms.holds(numbers)
        other = Analysis(spec(DECODER, width=width, depth=depth).program)
        for figure in SUMS:
            found, known = forms.at(figure, numbers), other.measured(figure)
            assert found.at({"B": 3}).exactly() == known.at({"B": 3}).exactly()


@pytest.mark.parametrize(
    ("text", "figure", "said"),
    [
        (
            REQUIRED,
            "elementwise",
            "(16 * width + 12 - 8 * (width // 2^(depth - 1))) * B",
        ),
        (
            HALVED.replace("-> Linear(width // 2)", "-> relu"),
            "training_flops",
            "(3 * width^2 - 4 * (width // 2^(depth + more))^2) * B * T",
        ),
        (
            PYRAMID,
            "elementwise",
            "(alpha * (depth + 1) + 2 * depth * start) * B * T",
        ),
    ],
)
def test_formulas_are_fit_to_read(text, figure, said):
    forms = spec(text).closed_forms(figure)
    formula = grouped(forms.figures[figure].value, forms.symbols)
    assert NOTATIONS["text"].write(formula) == said


def test_one_of_two_factors_is_enough():
    text = """
model M(width: int = 24, many: int = 3, depth: int = 3) {
  input x: [B, width]
  for i in range(depth) { x = x -> fc: Linear(many * width // 2^i) -> relu }
  output y = x
}"""
    forms = spec(text).closed_forms("parameters")
    assert [*map(str, forms.conditions)] == ["width % 2^(depth - 1) == 0"]
    for width, many, depth in ((24, 5, 4), (8, 2, 1), (16, 3, 5)):
        numbers = {"width": width, "many": many, "depth": depth}
        assert forms.holds(numbers)
        other = Analysis(spec(text, **numbers).program)
        assert forms.at("parameters", numbers) == other.measured("parameters")
