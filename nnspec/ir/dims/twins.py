"""Arithmetic on values alone: for counting, where nobody asks how a size is called in its block."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

kept = True


@contextmanager
def without_twins() -> Generator[None]:
    """Inside, results of arithmetic are values without a generic twin."""
    global kept
    outer, kept = kept, False
    try:
        yield
    finally:
        kept = outer
