"""Which stages a backward pass in halves suits: gradients of inputs first, those of weights later.

`torch.distributed.pipelining` finds where weights meet what depends on the inputs of a stage, and later starts autograd
from there, once for each group of weights that meet in one operation (`get_param_groups` and `stage_backward_weight`).
Two things follow. Weights that meet no such value in their stage get no gradients. And a block that is computed
again is so for the gradients of inputs and for each group. Such stages go back as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from nnspec.analysis.uses import Use, Uses
from nnspec.ir.graph import Program, values_of


def use_of_stage(uses: Uses, still: Set[int]) -> Use:
    """A stage whose inputs need gradients, but for those that are `still`."""
    main = uses.program.main
    values = values_of(main.inputs)
    needs = (v not in still and main.types[v].dtype.is_float for v in values)
    return uses.known(replace(uses.main, needs=tuple(needs)))


def without_gradient(program: Program) -> set[int]:
    """The values of a model's main function that have no gradient."""
    uses = Uses(program)
    return set(program.main.types) - uses.inside(uses.main).needed


def undivided_stages(program: Program, stages: Sequence[Program]) -> tuple[int, ...]:
    """The stages of a program that go back as a whole. The engine does so with the first by itself.

    Of a program with blocks that are computed again these are all, as placement counts them.
    """
    others = range(1, len(stages))
    if program.recomputes_any:
        return tuple(others)
    still = without_gradient(program)
    return tuple(number for number in others if _loses(stages[number], still))


def _loses(stage: Program, still: Set[int]) -> bool:
    """Whether a stage gives what depends on its weights and on no input with a gradient."""
    uses = Uses(stage)
    use = use_of_stage(uses, still)
    mixed = uses.inside(replace(use, frozen=True)).needed
    alone = uses.inside(use).needed - mixed
    return not alone.isdisjoint(values_of(stage.main.outputs))
