"""Sizes at which to look at a program when nobody says any."""

from __future__ import annotations

from nnspec.ir.graph import Program

BATCH = "B"
# What a free size is tried at: a batch of one, else a length or a width of an image.
TYPICAL = 224


def typical_sizes(program: Program) -> dict[str, int]:
    """For each symbol the greatest size that the model allows, else a common one that it allows."""
    return {name: _typical(program, name) for name in program.symbols}


def _typical(program: Program, name: str) -> int:
    low, high = program.assumptions.bounds.get(name, (1, None))
    multiple = program.assumptions.multiples.get(name, 1)
    wanted = high if high is not None else 1 if name == BATCH else TYPICAL
    found = wanted // multiple * multiple
    return max(found, -(-low // multiple) * multiple)
