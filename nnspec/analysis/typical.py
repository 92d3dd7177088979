"""Sizes at which to look at a program when nobody says any."""

from __future__ import annotations

from nnspec.ir.graph import Program

BATCH = "B"
# What a free size is tried at: a batch of one, else a length or a width of an image.
TYPICAL = 224
_AROUND = ((1, 16), (1, 1), (16, 1), (256, 1))


def typical_sizes(program: Program) -> dict[str, int]:
    """For each symbol the greatest size that the model allows, else a common one that it allows."""
    return {name: _typical(program, name) for name in program.symbols}


def sizes_around(program: Program) -> dict[str, tuple[int, ...]]:
    """For each symbol a few sizes that the model allows, from below its typical one to far above."""
    return {name: tuple(sorted(_around(program, name))) for name in program.symbols}


def _around(program: Program, name: str) -> set[int]:
    usual = _typical(program, name)
    wanted = (usual * up // down for up, down in _AROUND)
    return {_allowed(program, name, size) for size in wanted}


def _typical(program: Program, name: str) -> int:
    _, high = program.assumptions.bounds.get(name, (1, None))
    wanted = high if high is not None else 1 if name == BATCH else TYPICAL
    return _allowed(program, name, wanted)


def _allowed(program: Program, name: str, size: int) -> int:
    """A size that the model allows: the size itself, or one near it."""
    low, high = program.assumptions.bounds.get(name, (1, None))
    multiple = program.assumptions.multiples.get(name, 1)
    found = min(size, size if high is None else high) // multiple * multiple
    return max(found, -(-low // multiple) * multiple)
