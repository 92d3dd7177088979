"""Runs an emitted file, unchanged, in this process."""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from nnspec.verify.subject import Subject

_numbers = itertools.count()


def build(spec: Subject, target: Literal["torch", "keras"], **options: Any) -> Any:
    """The model of a spec, built by the code that is emitted for it.

    `options` go to the emitted function that builds it (`device` and `dtype` in PyTorch).
    """
    from nnspec.targets import emitted

    made = emitted(spec.program, target)
    module = import_source(made.source)
    return getattr(module, made.factory)(**options)


def import_source(source: str, **names: Any) -> ModuleType:
    """The module of a source text: written to a file of its own and imported under a new name.

    `names` are there when it runs. The file stays for as long as the process, since tracers and tracebacks read it again.
    """
    name = f"nnspec_emitted_{next(_numbers)}"
    path = _folder() / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    # Serialisation and tracing look classes up by the name of their module.
    sys.modules[name] = module
    vars(module).update(names)
    found.loader.exec_module(module)
    return module


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="nnspec-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
