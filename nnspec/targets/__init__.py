"""Emitting programs for PyTorch and Keras."""

from __future__ import annotations

from nnspec.ir.graph import Program
from nnspec.targets.file import Emitted, emit_probed, emit_programs, emitted


def emit(program: Program, target: str) -> str:
    """The program of one variant in a framework's own code."""
    return emit_programs([program], target)


__all__ = ["Emitted", "emit", "emit_probed", "emitted"]
