"""nnspec: one description of a neural network, two programs that provably agree.

The public names are loaded when they are first used, so that importing the package
costs nothing. `load` gives one model of a file, `load_all` every one; what can be done
with it are the methods of `Spec`.
"""

from __future__ import annotations

# Not from `typing`: importing the package imports nothing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from nnspec.compiler import load, load_all
    from nnspec.diagnostics import Diagnostic, SpecErrors
    from nnspec.spec import Spec

__version__ = "0.1.0"
__all__ = ["Diagnostic", "Spec", "SpecErrors", "__version__", "load", "load_all"]

_HOMES = {
    "Diagnostic": "nnspec.diagnostics",
    "Spec": "nnspec.spec",
    "SpecErrors": "nnspec.diagnostics",
    "load": "nnspec.compiler",
    "load_all": "nnspec.compiler",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'nnspec' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
