"""The catalogue is complete and sourced; a user's own devices are read like it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.analysis.timing.device import (
    CATALOGUE,
    calibration_path,
    device_names,
    load_device,
    user_folder,
)
from nnspec.cli.main import main
from nnspec.diagnostics import SpecError

NAMES = sorted(path.stem for path in CATALOGUE.glob("*.toml"))
PROMISED = {
    *("h100", "h200", "b200", "a100", "v100", "l4", "rtx4090"),
    *("tpu-v5e", "mi300x", "m4-max", "cpu"),
}
OWN = """\
title = "A device of mine"
memory = "2GB"
bandwidth = { value = "10GB/s", source = "manual" }
launch = "4us"

[peak]
fp32 = "100GFLOP/s"

[sources]
manual = "its manual"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, empty."""
    monkeypatch.setenv("NNSPEC_DEVICES", str(tmp_path / "devices"))
    return tmp_path / "devices"


def test_the_catalogue_holds_what_is_promised() -> None:
    assert set(NAMES) >= PROMISED
    assert device_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_figure_of_the_catalogue_has_its_source(name: str) -> None:
    device = load_device(name)
    assert device.name == name
    stated = device.stated()
    assert {each.source for each in stated.values()} == set(device.sources)
    for text in device.sources.values():
        assert any(character.isdigit() for character in text), "a year or a version"


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_are_of_one_world(name: str) -> None:
    """What no real accelerator of these years breaks: it catches a slipped unit or digit."""
    device = load_device(name)
    assert 10**10 < device.memory.value < 10**13
    assert 10**11 < device.bandwidth.value < 10**13
    assert device.power is None or 50 < device.power.value < 1500
    assert device.launch is None or 10**-7 < device.launch.value < 10**-4
    rates = {key: rate.value for key, rate in device.rates().items()}
    assert all(10**12 < rate < 10**16 for rate in rates.values())
    order = [rates[key] for key in ("fp32", "tf32", "bf16", "fp8") if key in rates]
    assert order == sorted(order)


def test_sparse_rates_did_not_slip_in() -> None:
    """Tensor cores double with each halving of the element; sparsity would double once more."""
    for name in ("h100", "h200", "a100", "l4", "l40s", "mi300x"):
        device = load_device(name)
        assert float(device.rate("bf16") / device.rate("tf32")) == pytest.approx(
            2, rel=0.02
        )
        assert float(device.rate("int8") / device.rate("bf16")) == pytest.approx(
            2, rel=0.03
        )


def test_a_device_of_the_user_is_found_by_path_and_by_name(folder: Path) -> None:
    folder.mkdir()
    folder.joinpath("mine.toml").write_text(OWN)
    folder.joinpath("mine.calibration.toml").write_text("")
    by_name = load_device("mine")
    by_path = load_device(str(folder / "mine.toml"))
    assert by_name == by_path
    assert by_name.memory.value == 2 * 10**9
    assert by_name.bandwidth.source == "manual"
    assert by_name.memory.source == ""
    assert "mine" in device_names()
    assert "mine.calibration" not in device_names()
    assert calibration_path(by_name) == folder / "mine.calibration.toml"


def test_a_device_of_the_user_comes_before_the_catalogue(folder: Path) -> None:
    folder.mkdir()
    folder.joinpath("h100.toml").write_text(OWN)
    assert load_device("h100").title == "A device of mine"
    assert device_names().count("h100") == 1


def test_calibrations_of_the_catalogue_lie_in_the_folder_of_the_user(
    folder: Path,
) -> None:
    assert calibration_path(load_device("h100")) == folder / "h100.calibration.toml"


def test_the_folder_of_the_user_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NNSPEC_DEVICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/there")
    assert user_folder() == Path("/there/nnspec/devices")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert user_folder() == Path("/home/me/.config/nnspec/devices")


def test_a_rate_that_nobody_published_is_an_error() -> None:
    with pytest.raises(SpecError) as raised:
        load_device("v100").rate("bf16")
    assert raised.value.diagnostic.code == "E1104"
    assert "fp32, fp16" in (raised.value.diagnostic.hint or "")


def test_arithmetic_without_products_runs_at_the_rate_of_float32() -> None:
    assert load_device("h100").vector_rate == load_device("h100").rate("fp32")
    assert load_device("tpu-v5e").vector_rate is None


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text("#" * 100_000)
    with pytest.raises(SpecError, match="more than"):
        load_device(str(path))


def test_the_command_shows_figures_and_sources(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["devices", "h100"]) == 0
    page = capsys.readouterr().out
    assert "3.35TB/s" in page
    assert "whitepaper" in page
    assert main(["devices", "h100", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["figures"]["peak.bf16"]["value"] == 989_400_000_000_000
    assert "whitepaper" in shown["figures"]["peak.bf16"]["source"]
    assert main(["devices"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in NAMES)


def test_reading_devices_imports_no_costs() -> None:
    code = (
        "import sys\n"
        "from nnspec.analysis.timing.device import load_device\n"
        "load_device('h100')\n"
        "print(*(name for name in sys.modules if name.startswith('nnspec')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {
        *("nnspec", "nnspec.source", "nnspec.diagnostics", "nnspec.files"),
        "nnspec.records",
        *(
            "nnspec.analysis",
            "nnspec.analysis.timing",
            "nnspec.analysis.timing.device",
            "nnspec.analysis.quantities",
        ),
    }
