"""Everything here needs PyTorch, which takes seconds to import even where no test is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if config.getoption("markexpr") == "not framework":
        return True
    return None
