"""Options and settings that all tests share."""

from __future__ import annotations

import gc
import os

import pytest

# Keras in this process runs on PyTorch, so that one framework is loaded and not two.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Few collections find anything, and each goes through all that the frameworks made.
gc.set_threshold(20_000, *gc.get_threshold()[1:])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept-golden",
        action="store_true",
        help="write what is emitted now as the golden files, instead of comparing with them",
    )


@pytest.fixture
def accept_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--accept-golden"))
