"""The explanations of all diagnostic codes, one module for each range of codes.

A new range is a module here with a tuple `EXPLANATIONS`, and its name in `RANGES`. Nothing is imported
until somebody asks for an explanation.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from nnspec.codes.explanation import Explanation

RANGES = (
    "text",
    "syntax",
    "names",
    "arguments",
    "constants",
    "shapes",
    "structure",
    "backends",
    "files",
    "costs",
    "placement",
    "devices",
)


def explanations() -> dict[str, Explanation]:
    """Every explanation by its code, in the order of the codes."""
    found: dict[str, Explanation] = {}
    for name in RANGES:
        module = import_module(f"nnspec.codes.{name}")
        for explanation in cast("tuple[Explanation, ...]", module.EXPLANATIONS):
            found[explanation.code] = explanation
    return dict(sorted(found.items()))
