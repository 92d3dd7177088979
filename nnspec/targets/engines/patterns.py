"""Paths of many like modules, written as one: `layers.*.attn.q_proj`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


def folded(values: Mapping[str, Value], known: Iterable[str]) -> dict[str, Value]:
    """Values by patterns of paths, where `*` stands for any number.

    A pattern stands for all paths of `known` that fit it, and only where these have one value; other paths
    stay as they are. `known` holds the paths of `values`, among others.
    """
    fitting: dict[str, set[str]] = {}
    for path in known:
        fitting.setdefault(pattern_of(path), set()).add(path)
    found: dict[str, Value] = {}
    for path, value in values.items():
        pattern = pattern_of(path)
        alike = all(values.get(other) == value for other in fitting[pattern])
        found[pattern if alike else path] = value
    return found


def pattern_of(path: str) -> str:
    """The path with `*` for each number."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))
