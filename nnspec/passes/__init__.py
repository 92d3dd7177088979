"""Passes: steps from a program to an equal one, each checked after it has run.

`PASSES` is the table, in the order of the pipeline. They are there for tools (`nnspec ir --after`) and for
targets that want them; the programs in PyTorch and Keras are made from the program as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TypeAlias

from nnspec.ir.graph import Program
from nnspec.ir.verify import VerificationError, verify_program
from nnspec.passes.base import Pass
from nnspec.passes.checkpoint import Checkpoint
from nnspec.passes.dead import Dead
from nnspec.passes.debug import debug_hook
from nnspec.passes.freeze import Freeze
from nnspec.passes.simplify import Simplify

__all__ = ["PASSES", "Hook", "Pass", "PassError", "run_passes", "run_until"]

PASSES: Mapping[str, type[Pass]] = {
    each.name: each for each in (Freeze, Checkpoint, Simplify, Dead)
}

# What sees each pass: its name, the program before and after, and the seconds that it took.
Hook: TypeAlias = Callable[[str, Program, Program, float], None]


class PassError(Exception):
    """A pass left a program that does not hold together: a fault of that pass."""


def run_passes(
    program: Program, passes: Iterable[Pass], hook: Hook | None = None
) -> Program:
    """The program after some passes, types inferred anew and everything checked after each.

    Without a hook, the environment variable NNSPEC_DEBUG (1 to 4) prints what each does.
    """
    seen = hook or debug_hook()
    for each in passes:
        before, start = program, perf_counter()
        program = each.run(before)
        seconds = perf_counter() - start
        if program is not before:
            try:
                verify_program(program)
            except VerificationError as error:
                raise PassError(
                    f"the pass `{each.name}` broke the program: {error}"
                ) from error
        if seen is not None:
            seen(each.name, before, program, seconds)
    return program


def run_until(program: Program, name: str, hook: Hook | None = None) -> Program:
    """The program as it is after the pass of that name. Raises KeyError if there is none such."""
    names = list(PASSES)
    if name not in PASSES:
        raise KeyError(name)
    passes = [PASSES[each]() for each in names[: names.index(name) + 1]]
    return run_passes(program, passes, hook)
