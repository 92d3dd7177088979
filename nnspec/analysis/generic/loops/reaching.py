"""Lists of tensors that are laid along an axis: what all of them come to, as one tensor, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.generic.blocks.values import Progression, Unsaid
from nnspec.analysis.generic.loops.gathered import Element, Held, Joined, Listed
from nnspec.ir.dims import ONE, Dim, dim, symbol, total
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, normal_axis
from nnspec.ops.joining import Concat, Stack
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.blocks.constants import Constants

PLACE = "place in a list"
"""The symbol of the place of an element, while sizes are added up over all places."""


@dataclass(frozen=True, slots=True)
class Run:
    """Tensors in a row: of the type in the number `turn`, from `first` to below `stop`."""

    kind: TensorType
    turn: str = ""
    first: int = 0
    stop: Dim = ONE

    def summed(self, size: Dim) -> Dim:
        """A size of theirs, of all together. Raises `Unsaid`."""
        from nnspec.analysis.generic.tracing.sums import added_up

        found = added_up(size, self.turn, self.first, self.stop) if self.turn else size
        if found is None:
            raise Unsaid("sizes of a list")
        return found


Joining: TypeAlias = tuple[Concat, TensorType, Dim]
"""What lays one tensor along an axis, that tensor, and of how many it consists."""


def as_one(
    op: Operator, listed: Listed, result: TensorType, constants: Constants
) -> Joining:
    """A list that an operator puts together, as one tensor of which it does nothing else; `result` as elaborated. Raises `Unsaid`."""
    with constants.collecting() as conditions:
        runs = list(_runs(listed))
    if conditions or not runs:
        raise Unsaid("a list")
    kind = runs[0].kind
    if isinstance(op, Concat):
        axis = normal_axis(op.dim, kind.rank)
        _check_alike(runs, axis)
        reach = total(run.summed(run.kind.shape[axis].generic) for run in runs)
        behind = kind.shape[axis + 1 :]
    elif isinstance(op, Stack):
        axis = normal_axis(op.dim, kind.rank + 1)
        _check_alike(runs, None)
        reach = total(run.summed(ONE) for run in runs)
        behind = kind.shape[axis:]
    else:
        raise Unsaid(op.op_name())
    count = total(run.summed(ONE) for run in runs)
    size = result.shape[axis].value.named(reach)
    whole = kind.with_shape(*kind.shape[:axis], size, *behind)
    return Concat(dim=dim(axis)), whole, count


def in_any_order(term: Term) -> Term:
    """A list with the same elements, in the order in which they were put into it: of what they come to it says as much."""
    match term:
        case Term(kind="call", arguments=("reversed", Term() as inner)):
            return in_any_order(inner)
        case Term(kind="arithmetic", arguments=(sign, Term() as one, Term() as other)):
            return Term("arithmetic", (sign, in_any_order(one), in_any_order(other)))
        case _:
            return term


def _check_alike(runs: list[Run], joined: int | None) -> None:
    """Raises `Unsaid` for lists of unlike types; that sizes are equal is the spec's own matter, but not in turns of any number."""
    first = runs[0].kind
    for run in runs:
        if (run.kind.rank, run.kind.dtype) != (first.rank, first.dtype):
            raise Unsaid("types of a list")
        for axis, size in enumerate(run.kind.shape):
            if axis != joined and run.turn in size.generic.symbols():
                raise Unsaid("sizes of a list")


def _runs(listed: Listed) -> Iterator[Run]:
    """What a list consists of. Raises `Unsaid`."""
    match listed:
        case Progression():
            element = listed.element(dim(0).named(symbol(PLACE)))
            yield Run(_kind(element), PLACE, 0, listed.count.generic)
        case Joined():
            yield from map(Run, map(_kind, listed.before))
            if isinstance(listed.middle, Held):
                yield from _held(listed.middle)
            else:
                yield from _runs(listed.middle)
            yield from map(Run, map(_kind, listed.after))
        case _:
            yield from map(Run, map(_kind, listed))


def _held(held: Held) -> Iterator[Run]:
    """What is in a list before a turn that stands for all: what it was before them, and what those before this one have put into it."""
    yield from _runs(held.start)
    for kind in held.kinds():
        yield Run(kind, held.turn, held.begin, symbol(held.turn))


def _kind(element: object) -> TensorType:
    if not isinstance(element, Element):
        raise Unsaid("no tensor in a list")
    return element.kind
