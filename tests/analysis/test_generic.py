"""Closed forms in constants: re-elaborating a spec with other constants gives exactly what its formula says."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.formula.growth import grouped
from nnspec.analysis.formula.notation import Notation
from nnspec.analysis.generic.closed import ClosedForms, closed_forms, is_sum
from nnspec.analysis.generic.names.conditions import Condition, remaining
from nnspec.analysis.generic.tracing.sums import added_up
from nnspec.analysis.setting import Setting
from nnspec.analysis.typical import typical_sizes
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, dim, symbol
from tests.analysis.generic_specs import SAMPLES, Sample
from tests.ir.models import program

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POINTS = 20
SUMS = [name for name in FIGURES if is_sum(name)]

RUNNING = [each.name for each in FIGURES.values() if each.whole is not None]
MEMORY_POINTS = 6

Chance = random.Random


def gpt2(chance: Chance) -> dict[str, Any]:
    heads = chance.randint(1, 6)
    return {
        "vocab": chance.randint(2, 99),
        "context": chance.randint(1, 40),
        "depth": chance.randint(1, 9),
        "width": heads * chance.randint(1, 9),
        "heads": heads,
    }


def vit(chance: Chance) -> dict[str, Any]:
    heads, patch = chance.randint(1, 6), chance.randint(1, 5)
    return {
        "size": patch * chance.randint(1, 6),
        "patch": patch,
        "width": heads * chance.randint(1, 9),
        "depth": chance.randint(1, 9),
        "heads": heads,
        "classes": chance.randint(1, 20),
    }


def llama(chance: Chance) -> dict[str, Any]:
    kv_heads = chance.randint(1, 4)
    heads = kv_heads * chance.randint(1, 4)
    return {
        "vocab": chance.randint(2, 99),
        "width": heads * 2 * chance.randint(1, 5),
        "depth": chance.randint(1, 6),
        "heads": heads,
        "kv_heads": kv_heads,
        "hidden": chance.randint(1, 50),
        "context": chance.randint(1, 40),
    }


def t5(chance: Chance) -> dict[str, Any]:
    heads = chance.randint(1, 5)
    return {
        "vocab": chance.randint(2, 99),
        "width": chance.randint(1, 40),
        "inner": heads * chance.randint(1, 9),
        "hidden": chance.randint(1, 50),
        "depth": chance.randint(1, 6),
        "heads": heads,
    }


def resnet(chance: Chance) -> dict[str, Any]:
    depths = [chance.randint(1, 5) for _ in range(4)]
    return {"depths": depths, "classes": chance.randint(1, 40)}


def convnext(chance: Chance) -> dict[str, Any]:
    depths = [chance.randint(1, 5) for _ in range(4)]
    widths = [chance.randint(1, 30) for _ in range(4)]
    return {"depths": depths, "widths": widths, "classes": chance.randint(1, 40)}


def unet(chance: Chance) -> dict[str, Any]:
    return {
        "channels": chance.randint(1, 9),
        "classes": chance.randint(1, 9),
        "width": chance.randint(1, 40),
        "depth": chance.randint(1, 6),
    }


def mlp(chance: Chance) -> dict[str, Any]:
    return {"features": chance.randint(1, 500)}


MODELS: dict[str, tuple[str, Callable[[Chance], dict[str, Any]]]] = {
    "GPT2Small": ("language/gpt2.nns", gpt2),
    "ViTB16": ("vision/vit.nns", vit),
    "Llama3_8B": ("language/llama.nns", llama),
    "T5Small": ("language/t5.nns", t5),
    "ResNet18": ("vision/resnet.nns", resnet),
    "ResNet50": ("vision/resnet.nns", resnet),
    "ConvNextT": ("vision/convnext.nns", convnext),
    "UNet64": ("vision/unet.nns", unet),
    "RegressionMLP": ("basic/mlp.nns", mlp),
}


def spelled(constants: Mapping[str, Any]) -> dict[str, int]:
    """Constants as formulas name them."""
    found: dict[str, int] = {}
    for name, value in constants.items():
        if isinstance(value, list):
            found |= {f"{name}[{i}]": item for i, item in enumerate(value)}
            found[f"len({name})"] = len(value)
        else:
            found[name] = value
    return found


@functools.cache
def forms_of(name: str, setting: Setting | None = None) -> ClosedForms:
    path, _ = MODELS[name]
    program = nnspec.load(f"{ROOT}/specs/{path}", name).program
    return closed_forms(Analysis(program, setting), SUMS)


@pytest.mark.parametrize("name", MODELS)
def test_formulas_say_what_other_constants_give(name):
    path, draw = MODELS[name]
    forms = forms_of(name)
    chance = random.Random(name)
    for _ in range(POINTS):
        constants = draw(chance)
        given = spelled(constants)
        assert forms.holds(given), constants
        spec = nnspec.load(f"{ROOT}/specs/{path}", name, **constants)
        analysis = Analysis(spec.program)
        sizes = {
            size: chance.randint(1, 3) * step for size, step in steps(spec).items()
        }
        for figure in SUMS:
            found = forms.at(figure, {**forms.constants, **given})
            known = analysis.measured(figure)
            assert found == known, (figure, constants)
            assert found.at(sizes).exactly() == known.at(sizes).exactly()


def memory_forms(program_: Any) -> dict[str, ClosedForms]:
    """What comes and goes in memory, each figure by itself; those that have no formula are left out."""
    found: dict[str, ClosedForms] = {}
    analysis = Analysis(program_)
    for figure in RUNNING:
        forms = closed_forms(analysis, [figure], optional=[figure])
        assert (figure in forms.figures) != (figure in forms.unsaid)
        if not forms.unsaid:
            found[figure] = forms
    return found


def assert_memory(
    forms: Mapping[str, ClosedForms],
    constants: Mapping[str, Any],
    other: Any,
    chance: Chance,
) -> int:
    """At some sizes the formulas give what the program with these constants does; how many of them hold."""
    held = 0
    analysis = Analysis(other)
    for figure, closed in forms.items():
        given = {**closed.constants, **spelled(constants)}
        if not closed.holds(given):
            continue
        held += 1
        known, found = analysis.figure(figure), closed.at(figure, given).value
        multiples = other.assumptions.multiples
        for _ in range(5):
            sizes = {
                name: chance.choice((1, 2, 3, 17, 256)) * multiples.get(name, 1)
                for name in other.symbols
            }
            assert found.at(sizes) == known.at(sizes), (figure, constants, sizes)
    return held


@pytest.mark.parametrize("name", MODELS)
def test_memory_is_what_other_constants_take(name):
    path, draw = MODELS[name]
    load = functools.partial(nnspec.load, f"{ROOT}/specs/{path}", name)
    forms = memory_forms(load().program)
    assert list(forms) == RUNNING
    chance = random.Random(name)
    tried = 0
    while tried < MEMORY_POINTS:
        constants = draw(chance)
        if all(form.holds(spelled(constants)) for form in forms.values()):
            tried += 1
            other = load(**constants).program
            assert assert_memory(forms, constants, other, chance) == len(RUNNING)


def each(constant: str, *values: int) -> list[dict[str, int]]:
    return [{constant: value} for value in values]


SOME = [
    ("GPT2Small", "language/gpt2.nns", each("heads", 2, 3, 4, 6, 8, 16, 24, 96, 384)),
    ("ViTB16", "vision/vit.nns", each("heads", 2, 3, 4, 6, 8, 24, 48, 192)),
    ("BERTBase", "language/bert.nns", each("heads", 2, 3, 6, 8, 16, 32, 64)),
    ("Llama3_8B", "language/llama.nns", each("heads", 16, 64, 128, 256)),
    ("BiLSTMEncoder", "sequence/encoders.nns", each("hidden", 2, 3, 64, 127, 256, 384)),
    ("LSTMEncoder", "sequence/encoders.nns", each("hidden", 2, 13, 255, 256, 512)),
    ("MobileNet", "vision/mobilenet.nns", each("classes", 2, 3, 77)),
    (
        "SwinT",
        "vision/swin.nns",
        [{"window": window, "size": 32 * window} for window in (2, 3, 4, 8)],
    ),
    (
        "SwinT",
        "vision/swin.nns",
        [{"depths": [2, 4, 2, 6]}],
    ),
    (
        "SwinT",
        "vision/swin.nns",
        [{"width": 60, "heads": [3, 2, 8, 10]}],
    ),
    (
        "SwinT",
        "vision/swin.nns",
        [{"heads": [2, 24, 6, 128]}],
    ),
]


@pytest.mark.parametrize(("name", "path", "points"), SOME)
def test_memory_in_some_of_the_constants(name, path, points):
    """A name may divide a number: of `768 // heads` nothing remains where nothing does of `width // heads`."""
    load = functools.partial(nnspec.load, f"{ROOT}/specs/{path}", name)
    analysis = Analysis(load().program)
    asked = list(points[0])
    forms = closed_forms(analysis, RUNNING, asked, optional=RUNNING)
    assert {name.partition("[")[0] for name in forms.names()} == set(asked)
    assert not forms.unsaid
    each = {
        figure: closed_forms(analysis, [figure], asked)
        for figure in ("saved_bytes", "inference_peak", "train_peak")
    }
    chance = random.Random(name)
    for constants in points:
        other = load(**constants).program
        assert assert_memory(each, constants, other, chance) == len(each)


def test_a_loop_that_memory_tells_apart_keeps_its_number():
    text = """
    model M(width: int = 4, depth: int = 3) {
      input x: [B, T, 4]
      for i in range(depth) { x = x -> LSTM(width * (i + 1)) }
      output y = x
    }
    """
    figures = ["parameters", "saved_bytes", "train_peak"]
    forms = closed_forms(Analysis(program(text)), figures)
    reason = {"depth": "what its turns leave in memory adds up to no formula"}
    assert forms.kept == {"saved_bytes": reason, "train_peak": reason}
    assert not forms.fixed
    assert forms.holds({"depth": 5}, "parameters")
    assert not forms.holds({"depth": 5})
    chance = random.Random("growing")
    other = program(text, depth="5", width="7")
    known = Analysis(other).measured("parameters")
    assert forms.at("parameters", {"depth": 5, "width": 7}) == known
    for width in range(2, 9):
        other = program(text, width=str(width))
        known = {name: Analysis(other).figure(name) for name in figures}
        for name, value in known.items():
            found = forms.at(name, {**forms.constants, "width": width}).value
            sizes = {"B": chance.randint(1, 50), "T": chance.randint(1, 50)}
            assert found.at(sizes) == value.at(sizes)


def constants_of(sample: Sample, chance: Chance) -> dict[str, Any]:
    """A draw from the ranges of a sample."""
    return {
        name: [chance.choice(drawn[1]) for _ in range(drawn[0])]
        if isinstance(drawn, tuple)
        else chance.choice(drawn)
        for name, drawn in sample.ranges.items()
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_formulas_are_right_wherever_they_say_that_they_hold(name):
    """Whatever a spec does with its constants: what is not noted as a condition must not matter."""
    sample = SAMPLES[name]
    forms = closed_forms(Analysis(program(sample.text)), SUMS)
    assert set(forms.fixed) == sample.fixed
    chance = random.Random(name)
    tried = held = 0
    while tried < 40:
        constants = constants_of(sample, chance)
        try:
            other = program(sample.text, **{k: str(v) for k, v in constants.items()})
        except SpecErrors:
            continue
        tried += 1
        given = {**forms.constants, **spelled(constants)}
        if not forms.holds(given):
            continue
        held += 1
        analysis = Analysis(other)
        for figure in SUMS:
            assert forms.at(figure, given) == analysis.measured(figure), (
                figure,
                constants,
            )
    assert held >= sample.holding * tried


@pytest.mark.parametrize("name", SAMPLES)
def test_memory_is_right_wherever_formulas_say_that_they_hold(name):
    sample = SAMPLES[name]
    forms = memory_forms(program(sample.text))
    chance = random.Random(name)
    for _ in range(12):
        constants = constants_of(sample, chance)
        try:
            other = program(sample.text, **{k: str(v) for k, v in constants.items()})
        except SpecErrors:
            continue
        assert_memory(forms, constants, other, chance)


@pytest.mark.parametrize("policy", ["mixed_bf16", "int8"])
def test_settings_count_as_in_figures_of_numbers(policy):
    setting = Setting.named(policy=policy, attention="materialised")
    forms = forms_of("GPT2Small", setting)
    path, _ = MODELS["GPT2Small"]
    spec = nnspec.load(f"{ROOT}/specs/{path}", "GPT2Small", depth=3, width=32, heads=4)
    for figure in SUMS:
        found = forms.at(
            figure, {**forms.constants, "depth": 3, "width": 32, "heads": 4}
        )
        assert found == Analysis(spec.program, setting).measured(figure)


FORMULAS = [
    (
        "GPT2Small",
        "parameters",
        "width * (depth * (12 * width + 13) + context + vocab + 2)",
    ),
    (
        "GPT2Small",
        "flops",
        "4 * depth * width * B * T^2 + 2 * width * (12 * depth * width + vocab) * B * T",
    ),
    (
        "ResNet50",
        "flops",
        "4096 * (classes + 106624 * (depths[0] + depths[1] + depths[2] + depths[3]) + 289688) * B",
    ),
    (
        "UNet64",
        "flops",
        "width * (width * (85 * depth + 18) + 2 * (9 * channels + classes)) * B * H * W",
    ),
    (
        "UNet64",
        "parameters",
        "width * (13 * 2^depth + 9 * channels + classes - 9)"
        " + (width^2 * (89 * 4^depth - 62)) // 3 + classes",
    ),
    (
        "UNet64",
        "elementwise",
        "(classes + 44 * width) * B * H * W - 34 * width * (W // 2^depth) * B * H",
    ),
    (
        "Llama3_8B",
        "parameters",
        "width * (depth * (2 * ((width // heads) * kv_heads + width) + 3 * hidden + 2) + 2 * vocab + 1)",
    ),
    ("RegressionMLP", "parameters", "32 * features + 577"),
]


@pytest.mark.parametrize(("name", "figure", "text"), FORMULAS)
def test_formulas_are_what_a_person_would_write(name, figure, text):
    forms = forms_of(name)
    assert Notation().write(grouped(forms.figures[figure].value, forms.symbols)) == text


def test_requirements_make_formulas_shorter():
    forms = forms_of("ViTB16")
    names = str(forms.figures["flops"].value)
    assert "// heads" not in names
    assert "size^2" in names  # size // patch * size // patch * patch^2


def test_what_has_to_stay_says_why():
    forms = closed_forms(Analysis(program(SAMPLES["one_turn"].text)), SUMS)
    because = "the turns of its loop are unlike"
    assert forms.fixed["depth"] == because
    assert forms.names() == ["width"]
    assert not forms.holds({"depth": 3})
    assert forms.holds({"width": 3})


def test_every_other_turn_may_do_something_else():
    path = f"{ROOT}/specs/vision/swin.nns"
    program_ = nnspec.load(path, "SwinT").program
    forms = closed_forms(Analysis(program_), SUMS, ["depths"])
    assert not forms.fixed
    assert not forms.holds({"depths[2]": 5})
    chance = random.Random("swin")
    for _ in range(2):
        depths = [2 * chance.randint(1, 4) for _ in range(4)]
        given = spelled({"depths": depths})
        assert forms.holds(given)
        other = Analysis(nnspec.load(path, "SwinT", depths=depths).program)
        for figure in SUMS:
            found = forms.at(figure, {**forms.constants, **given})
            assert found == other.measured(figure), (figure, depths)


def test_rates_do_not_matter_where_nothing_is_dropped():
    path = f"{ROOT}/specs/vision/swin.nns"
    off = Setting.named(dropout="off")
    program_ = nnspec.load(path, "SwinT").program
    stays = closed_forms(Analysis(program_), ["saved_bytes"], ["depths"])
    assert stays.fixed == {"depths[0]": "a rate is 0 in some turns of its loop"}
    forms = closed_forms(Analysis(program_, off), ["saved_bytes"], ["depths"])
    assert not forms.fixed
    given = spelled({"depths": [4, 2, 4, 2]})
    other = nnspec.load(path, "SwinT", depths=[4, 2, 4, 2]).program
    known = Analysis(other, off).measured("saved_bytes")
    assert forms.holds(given)
    assert forms.at("saved_bytes", {**forms.constants, **given}) == known


def test_a_layer_that_all_turns_use_counts_once():
    forms = closed_forms(Analysis(program(SAMPLES["used_again"].text)), ["parameters"])
    assert forms.fixed == {"depth": "the turns of its loop are unlike"}
    assert not forms.holds({"depth": 2})


def test_layers_that_two_loops_use_count_as_the_longer_one_makes_them():
    text = """
    model M(n: int = 2, m: int = 3) {
      input x: [B, 8]
      pool = [Linear(8) for _ in range(5)]
      for i in range(n) { x = pool[i](x) }
      for i in range(m) { x = pool[i](x) }
      output y = x
    }
    """
    forms = closed_forms(Analysis(program(text)), ["parameters"])
    assert set(forms.fixed) == {"n"}
    for m in range(1, 6):
        if forms.holds({"m": m}):
            known = Analysis(program(text, m=str(m))).measured("parameters")
            assert forms.at("parameters", {**forms.constants, "m": m}) == known
    assert forms.holds({"m": 5})
    assert not forms.holds({"m": 1})


def test_conditions_are_texts_and_decide():
    forms = closed_forms(Analysis(program(SAMPLES["ends"].text)), SUMS)
    assert [str(each) for each in forms.conditions] == ["depth >= 2"]
    assert forms.holds({"depth": 2})
    assert not forms.holds({"depth": 1})
    beyond = closed_forms(Analysis(program(SAMPLES["beyond"].text)), ["flops"])
    assert [str(each) for each in beyond.conditions] == [
        "turn < 5 for each turn from 1 to depth - 1"
    ]
    assert beyond.holds({"depth": 5})
    assert not beyond.holds({"depth": 6})


def test_conditions_that_follow_from_others_are_left_out():
    width, heads = symbol("width"), symbol("heads")
    head = width // heads

    def at_least(size: Dim, bound: int) -> Condition:
        return Condition(">=", size, dim(bound))

    given = [
        at_least(head * heads, 2),
        Condition("!=", head, dim(1)),
        at_least(head, 2),
        at_least(2 * head, 3),
        at_least(head, 5),
        at_least(head * heads, 11),
    ]
    found = remaining(given, Assumptions())
    assert [str(each) for each in found] == [
        "width // heads >= 5",
        "(width // heads) * heads >= 11",
    ]


def test_only_the_constants_that_are_asked_for_are_names():
    path, _ = MODELS["GPT2Small"]
    analysis = Analysis(nnspec.load(f"{ROOT}/specs/{path}", "GPT2Small").program)
    forms = closed_forms(analysis, ["flops"], ["depth"])
    assert forms.figures["flops"].value.symbols() == {"B", "T", "depth"}
    assert forms.names() == ["depth"]


@pytest.mark.parametrize(
    ("figure", "names", "code"),
    [
        ("flops", ["dept"], "E0905"),
        ("flops", ["T"], "E0905"),
        ("flops", ["drop"], "E0905"),
        ("flps", ["width"], "E0904"),
    ],
)
def test_what_cannot_be_is_an_error(figure, names, code):
    path, _ = MODELS["ViTB16"]
    analysis = Analysis(nnspec.load(f"{ROOT}/specs/{path}", "ViTB16").program)
    with pytest.raises(SpecError) as raised:
        closed_forms(analysis, [figure], names)
    assert raised.value.diagnostic.code == code


@pytest.mark.parametrize("power", range(6))
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 7), (3, 9), (2, 3)])
def test_sums_over_turns_are_sums(power, first, last):
    turn, count, width = symbol("turn"), symbol("count"), symbol("width")
    value = 3 * turn**power * width - turn + 5
    found = added_up(value, "turn", first, count)
    assert found is not None
    expected = sum(3 * t**power * 7 - t + 5 for t in range(first, last))
    assert found.at({"count": last, "width": 7}) == expected


@pytest.mark.parametrize("power", range(4))
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 5), (1, 4), (2, 3)])
def test_powers_of_numbers_over_turns_have_sums(power, first, last):
    turn, count, width = symbol("turn"), symbol("count"), symbol("width")
    value = 3 * turn**power * width * dim(2) ** (2 * turn + 1) - width**2 + turn
    found = added_up(value * dim(3) ** turn, "turn", first, count - 1)
    assert found is not None
    expected = sum(
        (3 * t**power * 7 * 2 ** (2 * t + 1) - 49 + t) * 3**t
        for t in range(first, last)
    )
    assert found.at({"count": last + 1, "width": 7}) == expected


def test_what_is_no_power_of_a_number_has_no_sum():
    turn, width, count = symbol("turn"), symbol("width"), symbol("n")
    for value in (width**turn, dim(2) ** (turn * turn), width // turn):
        assert added_up(value * width, "turn", 0, count) is None


def steps(spec: nnspec.Spec) -> dict[str, int]:
    multiples = spec.program.assumptions.multiples
    return {name: multiples.get(name, 1) for name in typical_sizes(spec.program)}
