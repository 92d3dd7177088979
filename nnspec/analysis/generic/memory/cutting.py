"""Slices that leave something of an axis: one that takes all of it from its start makes no view in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Set

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Program
from nnspec.ir.slices import Range
from nnspec.ops.slicing import Slicing


def cuts(program: Program, free: Set[str]) -> Iterator[tuple[Dim, Dim]]:
    """The sizes of axes, and how much a slice takes of each: those that constants decide, each once.

    Sizes that are `free` are never taken to be what happens to make a slice take all.
    """
    found: dict[tuple[str, str], tuple[Dim, Dim]] = {}
    for function in program.functions.values():
        for node in function.nodes:
            if not isinstance(node.op, Slicing):
                continue
            (source,), (result,) = function.node_types(node), function.results(node)
            taken = iter(result.shape)
            for item, size in zip(node.op.items, source.shape, strict=True):
                if not isinstance(item, Range):
                    continue
                length = next(taken)
                names = size.symbols() | length.symbols()
                if names and names.isdisjoint(free) and size.value != length.value:
                    found[size.key, length.key] = size.value, length.value
    yield from found.values()
