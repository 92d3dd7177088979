"""Sizes that a class gives back, and whether what a caller knows of them holds whichever way the class goes.

A block that returns early gives back `C` on one way and `width` on the other. A caller knows what was said on the way
that its call went; where that is not right on the others, its call has to go the same way for all of its constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat
from typing import Any

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Function, Node, values_of
from nnspec.ir.hanging import is_hanging
from nnspec.ir.rename import Renaming
from nnspec.ir.terms import Term
from nnspec.ir.values import as_term
from nnspec.targets.contents import branches_of, loops_of, names_in
from nnspec.targets.merging.agreement import known_by, local
from nnspec.targets.merging.candidates import distinct
from nnspec.targets.merging.traces import Track
from nnspec.targets.plan import ClassPlan, built_in_values, meanings, sizes_in
from nnspec.targets.spelling import NoValue, size_at


def goes_one_way(track: Track, node: Node, callee: Function, plan: ClassPlan) -> bool:
    """Whether what the caller knows of the results of a call holds only for the way that the call went."""
    if not plan.deciding:
        return False
    outside: Renaming | None = None
    if plan.returned is None:
        plan.returned = _said_of_all(plan)
    sizes = _sizes(plan, callee)
    if len(sizes) != len(plan.returned):
        return True  # of another rank than what the class was first planned for
    for own, said in zip(sizes, plan.returned, strict=True):
        if not own.is_constant or own.generic in said or _hangs(own):
            continue
        if not said:
            return True
        outside = outside or _renaming(track, node, callee)
        first, *others = (
            local(track, outside.size(own.value.named(twin))).generic
            for twin in (own.generic, *said)
        )
        if first not in others:
            return True
    return False


def deciding(plan: ClassPlan) -> set[str]:
    """The names that decide which ways the code of a class goes, and how often its loops turn, but for what it calls."""
    found: set[str] = set()
    for branch in branches_of(plan.items):
        found.update(names_in(branch.condition))
    for loop in loops_of(plan.items):
        found.update(names_in(loop.iterable))
    return found


def _hangs(size: Dim) -> bool:
    """Whether a caller cannot say a size, and so knows it by all that it hangs on."""
    return any("@" in atom.symbol or is_hanging(atom) for atom in size.generic.atoms())


def _said_of_all(plan: ClassPlan) -> tuple[tuple[Dim, ...], ...]:
    """For each size that a class gives back, the twins that are right for all functions that it stands for."""
    rows = [_sizes(plan, each) for each in plan.functions]
    if len({len(row) for row in rows}) > 1:
        return tuple(() for _ in rows[0])
    known = [meanings(function) for function in plan.functions]
    return tuple(
        tuple(
            twin
            for twin in distinct([size.generic for size in sizes])
            if all(map(_fits, repeat(twin), known, sizes))
        )
        for sizes in zip(*rows, strict=True)
    )


def _sizes(plan: ClassPlan, function: Function) -> list[Dim]:
    """The sizes of a function's results in the names that its class has."""
    constants = built_in_values(plan, function)
    return [
        known_by(function.settling.of(size), constants)
        for value in values_of(function.outputs)
        for size in function.types[value].shape
    ]


def _fits(twin: Dim, known: Mapping[str, Any], size: Dim) -> bool:
    try:
        return size_at(twin, known) == size.value
    except NoValue:
        return False


def _renaming(track: Track, node: Node, callee: Function) -> Renaming:
    """What the names of a callee are for its caller."""
    sizes: dict[str, Dim] = {}
    terms: dict[str, Term | None] = {}
    for name, value in node.arguments.items():
        if isinstance(value, Dim):
            sizes[name] = value
        else:
            terms[name] = as_term(value)
    sizes |= sizes_in(callee, track.given_types(node))
    return Renaming(sizes, terms, callee)
