"""Fixtures of the contract tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import KERAS_BACKENDS, KerasWorker


@pytest.fixture(scope="session")
def workers() -> Iterator[dict[str, KerasWorker]]:
    made = {backend: KerasWorker(backend) for backend in KERAS_BACKENDS}
    yield made
    for worker in made.values():
        worker.close()
