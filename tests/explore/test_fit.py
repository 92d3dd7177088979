"""The largest that fits: at the answer the figure keeps the bound, at the next value it does not."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.setting import Setting
from nnspec.cli.main import main
from nnspec.diagnostics import SpecError
from nnspec.explore.fit import Question, fit, grows
from nnspec.ir.dims import Dim, dim, greatest, maximum, minimum, symbol

ROOT = Path(__file__).parents[2]
GPT2 = str(ROOT / "specs/language/gpt2.nns")
UNET = str(ROOT / "specs/vision/unet.nns")
RESNET = str(ROOT / "specs/vision/resnet.nns")


def asked(path: str, name: str, vary: str, limit: int, **settings: str) -> Question:
    return Question(path, name, vary, "flops", Fraction(limit), Setting(), settings)


def flops(path: str, name: str, **settings: Any) -> int:
    found = nnspec.load(path, name, **settings).cost().flops
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("limit", [10**9, 10**12, 10**12 + 1, 3 * 10**15])
def test_a_batch_is_solved_for(limit: int) -> None:
    found = fit(asked(GPT2, "GPT2", "B", limit, T="128", depth="2"))
    each = flops(GPT2, "GPT2", B=1, T=128, depth=2)
    assert found.value == (limit // each or None)
    if found.value is not None:
        assert found.figure == found.value * each <= limit
        assert found.next_figure == (found.value + 1) * each > limit


def test_a_length_stops_at_what_the_model_allows() -> None:
    found = fit(asked(GPT2, "GPT2", "T", 10**15, B="1", context="300"))
    assert (found.value, found.next_value) == (300, None)
    short = fit(asked(GPT2, "GPT2", "T", 10**10, B="1", context="300"))
    assert short.value is not None
    assert flops(GPT2, "GPT2", B=1, T=short.value) <= 10**10
    assert flops(GPT2, "GPT2", B=1, T=short.value + 1) > 10**10


def test_a_size_that_must_divide_is_a_multiple() -> None:
    spec = nnspec.load(UNET, "UNet64")
    name = next(n for n in spec.program.symbols if n != "B")
    factor = spec.program.assumptions.multiples[name]
    others = {n: str(8 * factor) for n in spec.program.symbols if n not in ("B", name)}
    found = fit(asked(UNET, "UNet64", name, 10**12, B="1", **others))
    assert found.value is not None
    assert found.next_value == found.value + factor
    assert found.value % factor == 0
    assert found.figure is not None
    assert found.next_figure is not None
    assert found.figure <= 10**12 < found.next_figure


def test_a_constant_takes_the_values_that_give_a_model() -> None:
    found = fit(asked(GPT2, "GPT2", "width", 10**11, B="1", T="64", depth="2"))
    assert found.value is not None
    assert found.value % 12 == 0  # the width must divide into the heads
    assert flops(GPT2, "GPT2", B=1, T=64, depth=2, width=found.value) <= 10**11
    assert flops(GPT2, "GPT2", B=1, T=64, depth=2, width=found.value + 12) > 10**11
    depth = fit(asked(GPT2, "GPT2", "depth", 10**11, B="1", T="64", vocab="100"))
    per_layer = flops(GPT2, "GPT2", B=1, T=64, vocab=100, depth=2) - flops(
        GPT2, "GPT2", B=1, T=64, vocab=100, depth=1
    )
    rest = flops(GPT2, "GPT2", B=1, T=64, vocab=100, depth=1) - per_layer
    assert depth.value == (10**11 - rest) // per_layer


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (asked(GPT2, "GPT2", "B", 10**9), "E0921"),
        (asked(GPT2, "GPT2", "Q", 10**9, B="1", T="1"), "E0302"),
        (asked(GPT2, "GPT2", "B", 10**9, B="1", T="1"), "E0922"),
        (asked(GPT2, "GPT2", "depth", 10**9, B="1"), "E0921"),
        (asked(RESNET, "ResNet", "depths", 10**9, depths="[1,1,1,1]", B="1"), "E0922"),
    ],
)
def test_what_cannot_be_solved_is_said(question: Question, code: str) -> None:
    with pytest.raises(SpecError) as found:
        fit(question)
    assert found.value.diagnostic.code == code


B, T = symbol("B"), symbol("T")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3 * B * T + 7, True),
        (B * B - B, True),  # by differences
        ((B + 3) // 4 * T, True),
        (maximum(4 * B, 7 * T) + minimum(B, T), True),
        (dim(100) - B, False),
        (B % 4 + T, False),
        (4 * T - (B // 2), False),
    ],
)
def test_growth_is_proven_or_not(value: Dim, expected: bool) -> None:
    spec = nnspec.load(GPT2, "GPT2")
    assert grows(value, "B", spec) is expected


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", f"{GPT2}:GPT2", "T=64", "--on", "bytes_read", "--json"]
    assert main([*arguments, "--memory", "24GiB"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["at_value"] <= 24 * 2**30 < found["at_next"]
    assert main([*arguments, "--device", "h100"]) == 0
    assert json.loads(capsys.readouterr().out)["limit"] == 80 * 10**9
    assert main([*arguments, "--memory", "1KiB"]) == 1
    assert json.loads(capsys.readouterr().out)["value"] is None


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--memory", "24"], 1, "E0923"),
        (["--memory", "-1GB"], 1, "E0923"),
        (["--device", "h1000"], 1, "E1101"),
        ([], 2, "--device or --memory"),
        (["--memory", "1GB", "--device", "h100"], 2, "--device or --memory"),
        (["--memory", "1GB", "--on", "flop"], 1, "E0904"),
    ],
)
def test_wrong_usage(
    options: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"{GPT2}:GPT2", "T=64", *options]) == code
    assert said in capsys.readouterr().err


HALVED = greatest(
    8 * symbol("B") * dim(2) ** (symbol("depth") - symbol("i@3")) + symbol("i@3"),
    "i@3",
    1,
    symbol("B") + symbol("depth"),
)


@pytest.mark.parametrize(
    ("value", "name", "answer"),
    [
        (HALVED * 3 - symbol("T"), "B", True),
        (HALVED, "depth", False),
        (
            greatest(9 - symbol("B") + symbol("i@3"), "i@3", 1, 9 + symbol("T")),
            "B",
            False,
        ),
        (greatest(symbol("i@3") + 1, "i@3", symbol("B"), symbol("T")), "B", False),
        (greatest(symbol("i@3") * 7 // 3 + 1, "i@3", 1, symbol("B")), "B", True),
    ],
)
def test_the_largest_over_turns_grows_with_its_value_and_its_last_turn(
    value: Dim, name: str, answer: bool
) -> None:
    assert grows(value, name, nnspec.load(GPT2, "GPT2")) is answer


def test_amounts_that_read_alike_are_told_in_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.nns"
    path.write_text("model M { input x: [B, 8]\n output y = x -> Linear(8) -> relu }")
    arguments = ["fit", str(path), "--on", "saved_bytes", "--memory"]
    assert main([*arguments, "1GB"]) == 0
    said = capsys.readouterr().out
    assert "B=31,250,000 fits: it takes 1,000,000,000 B of 1,000,000,000 B" in said
    assert "B=31,250,001 would take 1,000,000,032 B" in said
    assert main([*arguments, "100B"]) == 0
    assert "B=3 fits: it takes 96 B of 100 B" in capsys.readouterr().out


def test_a_batch_of_one_is_an_axis_of_one(tmp_path: Path) -> None:
    """Heads of one batch lie so that products need no copy: what fits by the formula for more is not asked."""
    path = tmp_path / "m.nns"
    path.write_text(
        "model M { input x: [B, T, 8]\n"
        ' q = x -> rearrange("b t (h d) -> b h t d", h=2)\n'
        " output y = matmul(q, q -> Linear(4) -> transpose([0, 1, 3, 2])) }"
    )
    one = int(nnspec.load(str(path), B=1, T=9).figure("train_peak"))
    two = nnspec.load(str(path), T=9).figure("train_peak")
    assert isinstance(two, Dim)
    assert one < int(two.at({"B": 1}))

    def found(limit: int) -> Any:
        question = Question(
            str(path), None, "B", "train_peak", Fraction(limit), Setting(), {"T": "9"}
        )
        return fit(question)

    assert (found(one).value, found(one).figure) == (1, one)
    assert (found(one - 1).value, found(one - 1).next_figure) == (None, one)
