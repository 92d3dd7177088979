"""What a program costs in short: its parameters and its FLOPs (see `figures` for everything else)."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.analysis.analysis import Analysis
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Program
from nnspec.records import dataclass


@dataclass(frozen=True)
class Cost:
    """The figures of a whole model. A value that depends on a symbol is a `Dim`, else an int."""

    name: str
    parameters: int | Dim
    trainable: int | Dim
    flops: int | Dim
    macs: int | Dim


def cost(program: Program, symbols: Mapping[str, Size] | None = None) -> Cost:
    """Parameters, FLOPs and MACs of a program, with what is known of its symbols put in."""
    analysis = Analysis(program)
    names = ("parameters", "trainable", "flops", "macs")
    figures = (plain(analysis.figure(name), symbols or {}) for name in names)
    return Cost(program.name, *figures)


def plain(value: Dim, symbols: Mapping[str, Size]) -> int | Dim:
    """A figure with what is known put in: an int where nothing stays open."""
    found = value.at(symbols)
    return int(found) if found.is_constant else found
