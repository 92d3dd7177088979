"""The programs in `examples/` do what they say."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.framework


def output_of(program: str) -> str:
    """What an example prints."""
    command = [sys.executable, f"examples/{program}"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def number(pattern: str, text: str) -> float:
    """The number that stands at the group of a pattern."""
    match = re.search(pattern, text)
    assert match is not None, text
    return float(match[1])


def test_digits_are_learned_and_carried_over() -> None:
    text = output_of("train_digits.py")
    assert number(r"in PyTorch: ([\d.]+)%", text) >= 97
    assert number(r"in Keras: +([\d.]+)%", text) >= 97
    same, total = re.findall(r"(\d+) of (\d+) predictions", text)[0]
    assert same == total == "450"
    assert number(r"difference of a logit: (\S+)", text) < 1e-4


def test_an_operator_is_added() -> None:
    text = output_of("add_operator.py")
    assert "torch.fft.fft2(x).real" in text
    assert number(r"difference of the two programs: (\S+)", text) < 1e-5
