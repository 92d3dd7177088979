"""What the workers share: jobs, and programs of emitted files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

Job = dict[str, Any]


def loaded(path: str) -> Any:
    """The module of a file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
