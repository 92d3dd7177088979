"""Fits recover what made the measurements, say how wrong they are, and are kept beside the device."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from nnspec import load
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.timing.calibration import Sample, fit, least_squares
from nnspec.analysis.timing.calibration_file import (
    Calibration,
    calibration_text,
    read_calibration,
)
from nnspec.analysis.timing.device import calibration_path, load_device
from nnspec.analysis.timing.forecast import Forecast
from nnspec.analysis.timing.kernels import Mode
from nnspec.analysis.timing.latency import Latency
from nnspec.analysis.timing.measurements import (
    Measurement,
    measurements_text,
    read_measurements,
)
from nnspec.analysis.timing.roofline import Factors, Roofline
from nnspec.cli.main import main
from nnspec.diagnostics import SpecError

MODELS = [
    ("vision/resnet.nns:ResNet50", {"B": 1}),
    ("vision/resnet.nns:ResNet50", {"B": 16}),
    ("vision/vit.nns:ViTB16", {"B": 2}),
    ("language/gpt2.nns:GPT2Small", {"B": 1, "T": 128}),
    ("language/gpt2.nns:GPT2Small", {"B": 4, "T": 512}),
    ("vision/unet.nns:UNet64", {"B": 1, "H": 64, "W": 64}),
    ("vision/mobilenet.nns:MobileNet", {"B": 8}),
    ("basic/mlp.nns:DigitMLP", {"B": 4}),
]
AT_ONCE = Factors(Fraction(3, 2), Fraction(3, 2), Fraction(5, 10**6))
IN_TURN = Factors(Fraction(2), Fraction(5), Fraction(3, 10**6), overlap=False)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NNSPEC_DEVICES", str(tmp_path / "devices"))
    return tmp_path / "devices"


@cache
def latencies(factors: Factors | None, mode: Mode = "forward") -> list[Latency]:
    roofline = Roofline(load_device("a100"), factors)
    found: list[Latency] = []
    for name, sizes in MODELS:
        path, _, model = name.partition(":")
        spec = load(f"specs/{path}", model, **sizes)
        found.append(Latency(Analysis(spec.program), roofline, spec.symbols, mode))
    return found


def samples(factors: Factors, noise: float = 0.0, seed: int = 0) -> list[Sample]:
    """Runs that take exactly what the factors say, but for noise of that relative size."""
    draw = random.Random(seed)
    return [
        Sample(
            f"{name} {sizes}",
            latency.work.kernels,
            float(latency.seconds) * (1 + draw.uniform(-noise, noise)),
        )
        for (name, sizes), latency in zip(MODELS, latencies(factors), strict=True)
    ]


# ---- the fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [AT_ONCE, IN_TURN], ids=["at once", "in turn"])
def test_factors_are_recovered(factors: Factors) -> None:
    found = fit(samples(factors), Roofline(load_device("a100")))
    assert found.factors.overlap == factors.overlap
    for name in ("compute", "memory", "launch"):
        wanted = float(getattr(factors, name))
        assert float(getattr(found.factors, name)) == pytest.approx(wanted, rel=1e-6)
    assert found.worst_error < 1e-6


def test_noise_shows_in_the_left_out_error() -> None:
    roofline = Roofline(load_device("a100"))
    quiet = fit(samples(IN_TURN, noise=0.02), roofline)
    noisy = fit(samples(IN_TURN, noise=0.2), roofline)
    assert 0.002 < quiet.mean_error < 0.04
    assert quiet.mean_error < noisy.mean_error <= noisy.worst_error
    assert float(quiet.factors.compute) == pytest.approx(2, rel=0.1)


def test_each_run_is_left_out_once_and_its_error_has_its_sign() -> None:
    runs = samples(IN_TURN)
    slow = Sample(runs[2].name, runs[2].kernels, runs[2].seconds * 2)
    found = fit([*runs[:2], slow, *runs[3:]], Roofline(load_device("a100")))
    errors = dict(found.left_out)
    assert list(errors) == [run.name for run in runs]
    assert errors[slow.name] == pytest.approx(-0.5, abs=0.1)


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(SpecError, match="too few"):
        fit(samples(IN_TURN)[:3], Roofline(load_device("a100")))


# A column of nothing but numbers near 1e-308 has a factor that no float holds (scipy's is inf, too).
parts_of_rows = st.just(0.0) | st.floats(1e-250, 100)
rows_of_numbers = st.lists(st.tuples(*[parts_of_rows] * 3), min_size=4, max_size=12)


def test_least_squares_of_a_tiny_column() -> None:
    rows = [(0.0, 0.0)] * 3 + [(0.0, 4e-264)]
    assert least_squares(rows, [1.0] * 4) == pytest.approx((0, 2.5e263))


@settings(max_examples=200, deadline=None)
@given(rows_of_numbers, st.data())
def test_least_squares_are_those_of_lawson_and_hanson(
    rows: Sequence[tuple[float, ...]], data: st.DataObject
) -> None:
    size = len(rows)
    targets = data.draw(
        st.lists(st.floats(0.1, 100), min_size=size, max_size=size), label="targets"
    )
    scaled = np.array(rows) / np.array(targets)[:, None]
    _, norm = nnls(scaled, np.ones(size))
    found = least_squares(rows, targets)
    assert min(found) >= 0
    rest = np.linalg.norm(scaled @ np.array(found) - 1)
    assert rest <= norm * (1 + 1e-6) + 1e-4


# ---- what is kept -----------------------------------------------------------------------------------


def kept(factors: Factors = IN_TURN, noise: float = 0.05) -> Calibration:
    found = fit(samples(factors, noise), Roofline(load_device("a100")))
    return Calibration({("fp32", "forward"): found})


def write(calibration: Calibration, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = calibration_path(load_device("a100"))
    path.write_text(calibration_text(load_device("a100"), calibration))
    return path


def test_a_calibration_comes_back_as_it_was_kept(folder: Path) -> None:
    calibration = kept()
    write(calibration, folder)
    assert read_calibration(load_device("a100")) == calibration


def test_nothing_is_known_before() -> None:
    assert read_calibration(load_device("a100")).fits == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2039GB/s", "900GB/s", "other figures"),
        ("compute = ", "compute = -", "compute"),
        ("memory = ", "memory = nan #", "memory"),
        ('mode = "forward"', 'mode = "backward"', "mode"),
        ("launch = ", "lunch = ", "launch"),
        ("[[fits]]", "[[fits", "no TOML"),
    ],
)
def test_a_calibration_that_was_edited_is_refused(
    old: str, new: str, said: str, folder: Path
) -> None:
    path = write(kept(), folder)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecError, match=said) as raised:
        read_calibration(load_device("a100"))
    assert raised.value.diagnostic.code == "E1110"


def test_an_estimate_is_an_interval_around_what_was_measured(folder: Path) -> None:
    calibration = kept(noise=0.1)
    for (name, sizes), sample in zip(MODELS, samples(IN_TURN, 0.1), strict=True):
        path, _, model = name.partition(":")
        spec = load(f"specs/{path}", model, **sizes)
        analysis = Analysis(spec.program)
        device = load_device("a100")
        forecast = Forecast(analysis, device, spec.symbols, "forward", calibration)
        estimate = forecast.estimate
        assert estimate is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.seconds <= estimate.high
        assert estimate.low <= Fraction(sample.seconds) <= estimate.high
        assert estimate.low >= forecast.bound.seconds
        training = Forecast(analysis, device, spec.symbols, "training", calibration)
        assert training.estimate is None


# ---- files of measurements ----------------------------------------------------------------------------

MEASURED = [
    Measurement(spec="a.nns:A", sizes={"B": 8, "T": 4}, seconds=0.5),
    Measurement(spec="b.nns", seconds=1e-3, mode="training", policy="mixed_bf16"),
]


@pytest.mark.parametrize("name", ["m.csv", "m.json"])
def test_measurements_come_back_as_they_were_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(measurements_text(name, MEASURED))
    assert read_measurements(path) == MEASURED


# ---- the command --------------------------------------------------------------------------------------


def measured_file(folder: Path, factors: Factors) -> Path:
    rows = ["spec,sizes,seconds"]
    for (name, sizes), run in zip(MODELS, samples(factors, 0.05), strict=True):
        shown = " ".join(f"{key}={size}" for key, size in sizes.items())
        rows.append(f"{Path('specs').resolve()}/{name},{shown},{run.seconds}")
    path = folder / "measured.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_the_command_fits_a_file_and_cost_tells_an_interval(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = measured_file(tmp_path, IN_TURN)
    assert main(["calibrate", "--device", "a100", "--from", str(file)]) == 0
    page = capsys.readouterr().out
    assert "A model that is left out is missed by" in page
    assert str(folder / "a100.calibration.toml") in page
    spec = "specs/language/gpt2.nns:GPT2Small"
    cost = ["cost", spec, "B=2", "T=256", "--device", "a100"]
    assert main(cost) == 0
    page = capsys.readouterr().out
    assert "calibrated" in page
    assert " .. " in page
    assert "worst error on a model that was left out" in " ".join(page.split())
    assert main([*cost, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    told = found["forward"]["calibrated"]
    truth = load("specs/language/gpt2.nns", "GPT2Small", B=2, T=256)
    roofline = Roofline(load_device("a100"), IN_TURN)
    real = Latency(Analysis(truth.program), roofline, truth.symbols, "forward")
    assert told["low_s"] <= float(real.seconds) <= told["high_s"]
    assert 0 < told["left_out_error_mean"] <= told["left_out_error_worst"] < 0.3
    assert found["training"]["calibrated"] is None


def test_a_fit_replaces_that_of_its_own_policy_and_mode_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = measured_file(tmp_path, IN_TURN)
    command = ["calibrate", "--device", "a100", "--from"]
    assert main([*command, str(file)]) == 0
    first = read_calibration(load_device("a100")).fits
    other = tmp_path / "training.csv"
    lines = file.read_text().splitlines()
    rows = [f"{lines[0]},mode", *(f"{line},training" for line in lines[1:])]
    other.write_text("\n".join(rows))
    assert main([*command, str(other)]) == 0
    both = read_calibration(load_device("a100")).fits
    assert both["fp32", "forward"] == first["fp32", "forward"]
    assert ("fp32", "training") in both


def test_settings_before_any_spec_are_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["calibrate", "--device", "cpu", "B=3"]) == 2
    assert "stands before any SPEC" in capsys.readouterr().err


@pytest.mark.framework
def test_this_machine_can_be_calibrated(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "measured.json"
    command = ["calibrate", "--device", "cpu", "--mode", "both", "--seconds", "0.02"]
    runs = [
        *("specs/vision/lenet.nns", "B=32"),
        *("specs/vision/lenet.nns", "B=4"),
        *("specs/basic/mlp.nns:DigitMLP", "B=64"),
        *("specs/basic/mlp.nns:DigitMLP", "B=1"),
        *("specs/vision/digits.nns", "B=32"),
        *("specs/vision/digits.nns", "B=4"),
    ]
    assert main([*command, "--save", str(saved), "--json", *runs]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["mode"] for each in found["fits"]] == ["forward", "training"]
    for each in found["fits"]:
        assert len(each["measurements"]) == 6
        for run in each["measurements"]:
            assert run["seconds"] > run["at_least_s"] > 0
        assert 0 < each["left_out_error_mean"] <= each["left_out_error_worst"]
        assert max(each["compute"], each["memory"]) > 0
    assert len(read_measurements(saved)) == 12
    assert main(["cost", "specs/vision/lenet.nns", "B=16", "--device", "cpu"]) == 0
    assert "calibrated" in capsys.readouterr().out


@pytest.mark.framework
def test_what_does_not_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["calibrate", "--device", "cpu", "--on", "nowhere", "--seconds", "0"]
    assert main([*command, "specs/vision/lenet.nns", "B=1"]) == 1
    said = capsys.readouterr().err
    assert "error[E1112]: `LeNet5` does not run on `nowhere`" in said
