"""Which loops can stay loops: those whose turns hand on nothing but what the loop carries.

Layers made in a loop must be appended in the order of its turns, or they could not be found again.
"""

from __future__ import annotations

from collections.abc import Sequence

import nnspec.targets.merged as merged
from nnspec.ir import graph
from nnspec.ir.handed_on import hands_on_by_name
from nnspec.targets.contents import steps_of
from nnspec.targets.merging.traces import Track, Unlike


def rolls(track: Track, loop: graph.Loop) -> bool:
    """Whether a loop hands nothing on but by the names that it carries."""
    if loop.iterable is None and not loop.iterations:
        return True
    named = sum(not variable.startswith("_@") for variable in loop.variables)
    if any(len(iteration.values) < named for iteration in loop.iterations):
        return False
    return hands_on_by_name(track.function, loop)


def require_appended(body: Sequence[merged.Item], depth: int) -> None:
    """Layers of a loop are appended to lists: each turn makes all of them, in order of their numbers.

    Those that only some turns make lie in tables by the number of the turn, in loops that are in no other.
    """
    numbers: dict[str, list[int]] = {}
    for item in body:
        match item:
            case merged.Branch():
                made = [step for step in steps_of([item]) if step.constructs]
                if any(depth != 1 or len(step.turns) != 1 for step in made):
                    raise Unlike
            case merged.Step() if item.constructs:
                fixed = item.turns[depth:]
                if len(fixed) > 1 or any(turn.index is None for turn in fixed):
                    raise Unlike
                for turn in fixed:
                    assert turn.index is not None
                    numbers.setdefault(item.label, []).append(turn.index)
            case _:
                pass
    if any(found != list(range(len(found))) for found in numbers.values()):
        raise Unlike
