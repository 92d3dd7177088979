"""Arithmetic on values alone: for counting, where nobody asks how a size is called in its block."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

kept = True


@contextmanager
def without_twins() -> Generator[None]:
    """Inside, results of arithmetic are values without a generic twin."""
    with _keeping(False):
        yield


@contextmanager
def with_twins() -> Generator[None]:
    """Inside, results of arithmetic have their twins, also while something is counted."""
    with _keeping(True):
        yield


@contextmanager
def _keeping(inside: bool) -> Generator[None]:
    global kept
    outer, kept = kept, inside
    try:
        yield
    finally:
        kept = outer
