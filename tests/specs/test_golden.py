"""The emitted programs, byte for byte.

`pytest tests/specs/test_golden.py --accept-golden` writes them anew; read the difference before it is
committed. Ruff must accept each as it is, with its default settings.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

import nnspec
from nnspec.ops.base import snake_case
from tests.specs.figures import COMPILED, Figures

GOLDEN = Path("tests/golden")
TARGETS: tuple[Literal["torch", "keras"], ...] = ("torch", "keras")


def golden_path(figures: Figures, target: str) -> Path:
    """`GPT2Small` -> `tests/golden/gpt2_small_torch.py`"""
    return GOLDEN / f"{snake_case(figures.model)}_{target}.py"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("figures", COMPILED, ids=str)
def test_emitted_program_is_the_golden_file(
    figures: Figures, target: Literal["torch", "keras"], accept_golden: bool
) -> None:
    source = nnspec.load(figures.path, figures.model).source(target)
    path = golden_path(figures, target)
    if accept_golden:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(source)
    assert path.exists(), f"{path} is missing: run with --accept-golden, and read it"
    assert source == path.read_text()


def test_there_are_no_other_golden_files() -> None:
    expected = {
        golden_path(figures, target) for figures in COMPILED for target in TARGETS
    }
    assert set(GOLDEN.glob("*.py")) == expected


@pytest.mark.parametrize("command", [["format", "--check"], ["check"]], ids=" ".join)
def test_ruff_accepts_them_unchanged(command: list[str]) -> None:
    files = [str(path) for path in sorted(GOLDEN.glob("*.py"))]
    assert files
    run = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", *files]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_resnet_is_no_longer_than_by_hand() -> None:
    """Ours has one class for the block and loops for the stages; so would one written by hand."""
    text = golden_path(
        next(f for f in COMPILED if f.model == "ResNet50"), "torch"
    ).read_text()
    assert len(re.findall(r"^class ", text, re.MULTILINE)) == 2
    assert len(text.splitlines()) <= 110
    assert len(re.findall(r"^ +for ", text, re.MULTILINE)) >= 2
