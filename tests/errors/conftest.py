"""`pytest tests/errors --accept-errors` takes what is said now for what shall be said."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept-errors",
        action="store_true",
        help="write the rendered diagnostics into tests/errors/cases",
    )


@pytest.fixture
def accept_errors(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--accept-errors", default=False))
