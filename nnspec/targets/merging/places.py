"""Where the layers of a body lie: which attributes and lists several places make, on ways that exclude each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import nnspec.targets.merged as merged
from nnspec.targets.contents import branches_of, keys_of, steps_of
from nnspec.targets.merging.traces import Unlike


def require_lists(items: Sequence[merged.Item]) -> None:
    """Raises `Unlike` where traces put unlike layers into one list: it is written as a whole, for all of them.

    Layers in no list may be made in several places, and layers of one loop in several of its branches.
    """
    makers: dict[str, list[merged.Step]] = {}
    for step in steps_of(items):
        if step.constructs:
            makers.setdefault(step.label, []).append(step)
    for steps in makers.values():
        if steps[0].turns and len({step.frozen for step in steps}) > 1:
            raise Unlike
        if len({step.turns for step in steps}) == 1 and not _is_fixed(steps[0]):
            continue
        loops = {tuple(turn.loop for turn in step.turns) for step in steps}
        if len({step.traces for step in steps}) > 1 or len(loops) > 1:
            raise Unlike


def _is_fixed(step: merged.Step) -> bool:
    """Whether a layer lies in a list that is written as a whole."""
    return bool(step.turns) and all(turn.index is not None for turn in step.turns)


def note_marks(items: Sequence[merged.Item]) -> None:
    """Notes the layer of each branch by whose presence it is known which way it went: one that nothing else makes."""
    made = Counter(key for step in steps_of(items) for key in keys_of(step))
    for branch in branches_of(items):
        branch.mark = next(
            (
                item
                for item in branch.then
                if isinstance(item, merged.Step)
                and item.constructs
                and not item.turns
                and made[keys_of(item)[0]] == 1
            ),
            None,
        )
