"""Classes of one block that say the same.

Specialisations for inputs of unlike rank are not laid together, though the code of many is the same: they
are compared once they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnspec.pycode.statements import Class
from nnspec.targets.contents import steps_of
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable


def same_classes(
    plans: Sequence[ClassPlan], target: str
) -> Iterator[tuple[ClassPlan, ClassPlan]]:
    """Pairs of an earlier class of a block and a later one that says the same."""
    if len(plans) < 2:
        return
    kept: list[tuple[ClassPlan, Class]] = []
    for plan in plans:
        written = None if plan.is_entry else _written(plan, target)
        if written is None:
            continue
        same = next((k for k, other in kept if other == written), None)
        if same is not None and _take_nodes(same, plan):
            yield same, plan
        else:
            kept.append((plan, written))


def _written(plan: ClassPlan, target: str) -> Class | None:
    """The class under a name that all have; None where it cannot be written as it is."""
    from nnspec.targets import keras, torch

    name, plan.name = plan.name, "Same"
    try:
        return (
            torch.write_class(plan)
            if target == "torch"
            else keras.write_class(plan, "")
        )
    except Unspellable:
        return None
    finally:
        plan.name = name


def _take_nodes(same: ClassPlan, plan: ClassPlan) -> bool:
    """Notes that the steps of a class stand for the nodes of another, too, if they can be paired."""
    ours, theirs = list(steps_of(same.items)), list(steps_of(plan.items))
    if [step.label for step in ours] != [step.label for step in theirs]:
        return False
    for one, other in zip(ours, theirs, strict=True):
        one.nodes += other.nodes
    return True
