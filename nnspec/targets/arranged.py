"""How the PyTorch program is arranged that is emitted for a model, for figures of what it does (see `ir/arrangement.py`)."""

from __future__ import annotations

from nnspec.diagnostics import SpecError
from nnspec.ir.arrangement import Arrangement
from nnspec.ir.graph import Loop, Program, Step, walk
from nnspec.targets.contents import branches_of, does_anything, loops_of, steps_of
from nnspec.targets.file import planned


def arranged(program: Program) -> Arrangement | None:
    """How the classes of a program are arranged; None where none can be written."""
    try:
        planner = planned(program, "torch")
    except SpecError:
        return None
    plans = [*planner.plans, *planner.folded]
    computed = {
        node
        for plan in plans
        for step in steps_of(plan.items)
        if step.results
        for node in step.nodes
    }
    loops = {
        loop for plan in plans for each in loops_of(plan.items) for loop in each.sources
    }
    forks = frozenset(
        branch
        for plan in plans
        for each in branches_of(plan.items)
        if does_anything([each])
        for branch in each.sources
    )
    items = [
        (function.key, item)
        for function in program.functions.values()
        for item in walk(function.structure)
    ]
    return Arrangement(
        frozenset(
            item
            for key, item in items
            if isinstance(item, Step) and (key, item.node) not in computed
        ),
        frozenset(
            item for _, item in items if isinstance(item, Loop) and item not in loops
        ),
        forks,
    )
