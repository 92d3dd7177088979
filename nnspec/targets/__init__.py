"""Emitting programs for PyTorch and Keras."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.ir.graph import Program
from nnspec.targets.file import Emitted, emit_probed, emit_programs, emitted


def emit(program: Program, target: str) -> str:
    """The program of one variant in a framework's own code."""
    return emit_programs([program], target)


def emit_all(programs: Sequence[Program], target: str) -> str:
    """One file for several variants."""
    return emit_programs(programs, target)


__all__ = ["Emitted", "emit", "emit_all", "emit_probed", "emitted"]
