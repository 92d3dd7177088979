"""What a backward pass in halves does: gradients of inputs first, those of weights later.

`torch.distributed.pipelining` finds where weights meet what depends on the inputs of a stage, and later starts autograd
from there, once for each group of weights that meet in one operation (`get_param_groups` and `stage_backward_weight`).
Two things follow. Weights that meet no such value in their stage get no gradients. And where a block is computed
again, it is so for the gradients of inputs and for each group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

from nnspec.analysis.uses import Site, Use, Uses
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Function, Node, Program, dotted, values_of
from nnspec.ops.convolution import Conv
from nnspec.ops.linear import Linear
from nnspec.ops.normalization import GroupNorm, LayerNorm, RMSNorm
from nnspec.ops.transposed_convolution import ConvTranspose

SINGLE = (Conv, ConvTranspose, GroupNorm, LayerNorm, Linear, RMSNorm)
"""Layers with one operation that takes all their weights and keeps what it was given."""


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


def refuse_lost_gradients(
    programs: Sequence[Program], still: Set[int], schedule: str
) -> None:
    """Raises `SpecError` (E1031) for a stage that gives what depends on its weights and not on its inputs.

    `still` are the values between stages that have no gradient. The first stage goes back as a whole.
    """
    for number, program in enumerate(programs[1:], 1):
        uses = Uses(program)
        use = use_of_stage(uses, still)
        trained = uses.inside(use)
        mixed = uses.inside(replace(use, frozen=True)).needed
        for value in values_of(program.main.outputs):
            if value in trained.needed - mixed:
                raise SpecError(
                    "E1031",
                    f"{schedule} computes no gradients of the weights behind `{trained.names[value]}` in "
                    f"stage {number}: it starts from where they meet what depends on the stage's inputs, "
                    "and they meet nothing there that has a gradient",
                    program.main.location,
                    hint="put them into the first stage or one that uses their values, or choose 1F1B or "
                    "Interleaved1F1B",
                )


def halved_layers(site: Site) -> int:
    """How often gradients of weights are computed in a call that is computed again: once for each layer.

    Raises `SpecError` (E1036) where that is not known.
    """
    inside, node = site.inside, site.node
    if inside.use.key != inside.program.entry:
        raise _unknown(node, "lies in a block that stages call")
    mixed = inside.uses.inside(replace(inside.use, frozen=True)).needed
    if not inside.needed.intersection(node.values()) <= mixed:
        raise _unknown(node, "is given what depends on weights alone")
    _require_single_uses(inside.function, node)
    _require_single_readers(inside.function, inside.needed - mixed, node)
    return sum(1 for _ in _layers(inside.uses, site))


def _layers(uses: Uses, call: Site) -> Iterator[Site]:
    inside = uses.inside(call.use)
    _require_single_uses(inside.function, call.node)
    for site in inside.sites:
        if site.node.callee is not None:
            if uses.program.recomputes(site.node):
                raise _unknown(call.node, "has blocks inside that are computed again")
            yield from _layers(uses, site)
        elif site.node.weight is not None:
            raise _unknown(call.node, "reads weights as values")
        elif site.is_reached and any(map(site.needs, site.weights)):
            if not isinstance(site.node.op, SINGLE):
                why = f"has `{dotted(site.node.path)}` beside linear layers, convolutions and norms"
                raise _unknown(call.node, why)
            if not inside.needed.intersection(site.node.values()):
                raise _unknown(call.node, "has layers whose inputs have no gradient")
            yield site


def _require_single_uses(function: Function, node: Node) -> None:
    """Weights that are used several times have one gradient, which comes through what lies between."""
    nodes = [each for each in function.nodes if each.owns or each.weight is not None]
    for path, count in Counter(each.path for each in nodes).items():
        if count > 1:
            why = f"lies beside uses of `{dotted(path)}`, of which there are several"
            raise _unknown(node, why)


def _require_single_readers(function: Function, values: Set[int], node: Node) -> None:
    """So it is with `values` that depend on weights alone: one operator reads each."""
    several = {
        value
        for maker in function.nodes
        if len(values & set(maker.outputs)) > 1
        for value in maker.outputs
    }
    for value in values:
        readers = [each for each in function.nodes if value in each.values()]
        if value in several or len(readers) != 1 or readers[0].op is None:
            why = "lies beside what depends on weights alone and is used several times"
            raise _unknown(node, why)


def _unknown(node: Node, why: str) -> SpecError:
    return SpecError(
        "E1036",
        f"what processes send each other is not known for `{dotted(node.path)}`, which a schedule with a "
        f"backward pass in halves computes again for each operation that takes weights: it {why}",
        node.location,
        hint="choose 1F1B or Interleaved1F1B, leave out `@checkpoint`, or place the model without a tensor axis",
    )
