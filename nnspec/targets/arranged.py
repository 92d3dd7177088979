"""How the PyTorch program is arranged that is emitted for a model, for figures of what it does (see `ir/arrangement.py`)."""

from __future__ import annotations

from nnspec.diagnostics import SpecError
from nnspec.ir.arrangement import Arrangement, saving
from nnspec.ir.graph import Loop, Program, Step, walk
from nnspec.targets.contents import branches_of, does_anything, loops_of, steps_of
from nnspec.targets.file import planned


def arranged(program: Program) -> Arrangement | None:
    """How the classes of a program are arranged; None where none can be written."""
    try:
        planner = planned(program, "torch")
    except SpecError:
        return None
    bodies = [plan.items for plan in (*planner.plans, *planner.folded)]
    steps = [step for items in bodies for step in steps_of(items) if step.results]
    computed = {node for step in steps for node in step.nodes}
    loops = [loop for items in bodies for loop in loops_of(items)]
    branches = [branch for items in bodies for branch in branches_of(items)]
    forks = [each.sources for each in branches if does_anything([each])]
    carried = {loop: frozenset(each.carried) for each in loops for loop in each.sources}
    left_out: set[Step] = set()
    unread: dict[str, set[int]] = {}
    written_out: set[Loop] = set()
    for function in program.functions.values():
        for item in walk(function.structure):
            if isinstance(item, Step) and (function.key, item.node) not in computed:
                left_out.add(item)
                unread.setdefault(function.key, set()).add(item.node)
            elif isinstance(item, Loop) and item not in carried:
                written_out.add(item)
    return Arrangement(
        frozenset(left_out),
        frozenset(written_out),
        saving(program, forks, unread),
        carried,
    )
