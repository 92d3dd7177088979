"""Training a budget: time, energy and the utilisation that they assume, against what others have published."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from nnspec import load
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.setting import Setting
from nnspec.analysis.timing.calibration import Fit
from nnspec.analysis.timing.calibration_file import Calibration
from nnspec.analysis.timing.device import load_device
from nnspec.analysis.timing.forecast import Forecast
from nnspec.analysis.timing.roofline import Factors
from nnspec.analysis.timing.training import Budget, Training, read_budget, training
from nnspec.cli.main import main
from nnspec.cli.shown.durations import joules_text, seconds_text
from nnspec.diagnostics import SpecError


@pytest.fixture(autouse=True)
def no_calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSPEC_DEVICES", str(tmp_path / "devices"))


def forecast_of(
    name: str,
    device: str,
    policy: str = "mixed_bf16",
    calibration: Calibration | None = None,
    **sizes: int,
) -> Forecast:
    path, _, model = name.partition(":")
    spec = load(f"specs/{path}", model, **sizes)
    analysis = Analysis(spec.program, Setting.named(policy=policy))
    return Forecast(
        analysis, load_device(device), spec.symbols, "training", calibration
    )


def gpt2(**options: Any) -> Training:
    forecast = forecast_of("language/gpt2.nns:GPT2Small", "h100", B=8, T=1024)
    return training(forecast, read_budget("tokens", "300B", **options))


def test_the_formula() -> None:
    """FLOPs a token x tokens / (devices x peak x utilisation), and watts x devices x seconds."""
    found = gpt2(devices="64", mfu="40%")
    flops_a_step = 3 * 8 * 291_648_307_200
    assert found.samples_a_step == 8 * 1024
    assert found.flops == Fraction(flops_a_step * 300 * 10**9, 8192)
    assert found.seconds == found.flops / (64 * 9894 * 10**11 * Fraction(2, 5))
    assert found.joules == found.seconds * 64 * 700
    assert found.steps == -(-300 * 10**9 // (8192 * 64))
    assert (found.basis, found.mfu) == ("given", Fraction(2, 5))


def test_twice_the_devices_take_half_the_time_and_as_much_energy() -> None:
    one, two = gpt2(devices="32", mfu="0.4"), gpt2(devices="64", mfu="0.4")
    assert one.seconds == 2 * two.seconds
    assert one.joules == two.joules


def test_without_more_the_roofline_says_what_can_be_reached_at_best() -> None:
    forecast = forecast_of("language/gpt2.nns:GPT2Small", "h100", B=8, T=1024)
    found = training(forecast, Budget("tokens", Fraction(8192)))
    assert found.basis == "bound"
    assert found.steps == 1
    assert found.seconds == forecast.bound.seconds
    assert found.low is None


def test_a_calibration_gives_the_utilisation_and_an_interval() -> None:
    fit = Fit(
        Factors(Fraction(2), Fraction(3), Fraction(1, 10**5)),
        (("a", 0.25), ("b", -0.1)),
    )
    known = Calibration({("mixed_bf16", "training"): fit})
    name = "language/gpt2.nns:GPT2Small"
    forecast = forecast_of(name, "h100", calibration=known, B=8, T=1024)
    found = training(forecast, Budget("tokens", Fraction(8192)))
    estimate = forecast.estimate
    assert estimate is not None
    assert found.basis == "calibrated"
    assert found.seconds == estimate.seconds
    assert (found.low, found.high) == (estimate.low, estimate.high)
    assert estimate.low == estimate.seconds / Fraction(5, 4)
    assert estimate.high == estimate.seconds / Fraction(3, 4)


@pytest.mark.parametrize(
    ("model", "hours"), [("Llama3_8B", 1_300_000), ("Llama3_70B", 6_400_000)]
)
def test_published_trainings_lie_above_the_bound(model: str, hours: int) -> None:
    """GPU hours on H100-80GB for 15T tokens, from Meta's model card of Llama 3 (April 2024)."""
    forecast = forecast_of(f"language/llama.nns:{model}", "h100", B=1, T=8192)
    found = training(forecast, read_budget("tokens", "15T"))
    assert found.seconds / 3600 < hours
    needed = found.flops / (hours * 3600 * forecast.peak)
    assert 0.1 < needed < found.mfu


def test_images_are_counted_by_the_batch_and_seen_each_epoch() -> None:
    forecast = forecast_of("vision/resnet.nns:ResNet50", "a100", "mixed_fp16", B=256)
    budget = read_budget("images", "1.28M", epochs="90", devices="8")
    found = training(forecast, budget)
    assert (found.input, found.samples_a_step) == ("image", 256)
    assert found.steps == 56_250
    assert found.flops == Fraction(forecast.flops, 256) * 1_280_000 * 90


def test_the_input_that_counts_can_be_named() -> None:
    forecast = forecast_of("language/t5.nns:T5Small", "h100", B=2, S=32, T=16)
    for name, size in (("source", 64), ("target", 32)):
        found = training(forecast, read_budget("tokens", "1M", per=name))
        assert (found.input, found.samples_a_step) == (name, size)
    with pytest.raises(SpecError, match="2 inputs of tokens"):
        training(forecast, read_budget("tokens", "1M"))


def test_a_device_without_power_has_no_energy() -> None:
    forecast = forecast_of("language/gpt2.nns:GPT2Small", "tpu-v5e", B=8, T=128)
    assert training(forecast, read_budget("tokens", "1B")).joules is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Fraction(0), "0 ns"),
        (Fraction(231, 10**5), "2.31 ms"),
        (Fraction(1, 10**9), "1.00 ns"),
        (Fraction(999, 10**3), "999 ms"),
        (Fraction(9999, 10**6), "10.0 ms"),
        (Fraction(61), "1.02 min"),
        (Fraction(86400 * 3), "3.00 days"),
        (Fraction(86400 * 365 * 10**40), "1.00e40 years"),
        (Fraction(1, 10**20), "1.00e-11 ns"),
    ],
)
def test_times_are_shown_with_three_digits(amount: Fraction, text: str) -> None:
    assert seconds_text(amount) == text


def test_sizes_beyond_any_float_still_have_times(
    capsys: pytest.CaptureFixture[str],
) -> None:
    net = "specs/vision/digits.nns"
    command = ["cost", net, "B=10^400", "--device", "h100", "--images", "1M"]
    assert main([*command, "--per", "image"]) == 0
    assert "e384 years" in capsys.readouterr().out
    assert main([*command, "--per", "image", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert isinstance(found["forward"]["at_least_s"], str)


def test_energies_are_shown_with_three_digits() -> None:
    assert joules_text(Fraction(3_600_000_000)) == "1.00 MWh"
    assert joules_text(Fraction(500)) == "500 J"


def test_the_command_tells_time_energy_and_utilisation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = "specs/language/gpt2.nns:GPT2Small"
    command = ["cost", spec, "B=8", "T=1024", "--policy", "mixed_bf16", "--depth", "0"]
    asked = [*command, "--device", "h100", "--devices", "64", "--tokens", "300B"]
    assert main(asked) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "tokens 300B 572,205 steps" in page
    assert "of the roofline, which no run reaches" in page
    assert "time at least 1.5" in page
    assert main([*asked, "--mfu", "0.4", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["budget"]["mfu_basis"] == "given"
    assert found["budget"]["seconds"] == pytest.approx(10_116, rel=1e-3)
    assert found["budget"]["joules"] == pytest.approx(10_116 * 64 * 700, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--tokens 1B", "--tokens says something only with --device"),
        ("--mfu 0.4", "--mfu says something only with --device"),
        ("--device h100 --devices 8", "--devices says something only with --tokens"),
        ("--device h100 --epochs 3", "--epochs says something only with --tokens"),
        ("--device h100 --tokens 1 --images 1", "not both"),
        ("--device h100 --figures flops", "not figures, formulas or CSV"),
        ("--device h100 --csv", "not figures, formulas or CSV"),
    ],
)
def test_options_that_would_do_nothing_are_usage_errors(
    options: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cost", "specs/basic/mlp.nns:DigitMLP", "B=1", *options.split()]
    assert main(command) == 2
    assert said in " ".join(capsys.readouterr().err.split())
