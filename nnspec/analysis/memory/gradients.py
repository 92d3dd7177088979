"""The backward pass: operations in reverse, each giving back what it kept once it has run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.layout import are_alike, elementwise, is_dense
from nnspec.analysis.memory.machine import (
    Edge,
    Gradients,
    Leaf,
    Machine,
    Record,
    Storage,
    Tensor,
    reached,
)
from nnspec.analysis.memory.operations.pointwise import add
from nnspec.analysis.memory.operations.reductions import REDUCTIONS
from nnspec.analysis.memory.operations.views import sum_to
from nnspec.analysis.memory.rolling import Rolling, Unlike, layout_of
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Path

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Changing


def run_backward(
    machine: Machine,
    roots: list[tuple[Edge, Tensor]],
    elsewhere: Sequence[Tensor] = (),
) -> None:
    """Runs the operations behind some results backward, given a gradient of each. Empties the list.

    Those `elsewhere` wait outside, too.

    Gradients of parameters end in `machine.taken`, those of arguments in their leaves. The order is
    that of PyTorch's engine: the operation that ran last comes first.
    """
    machine.recording = False
    Engine(machine, roots, elsewhere).run()
    machine.mark()


def run_loss(machine: Machine, outputs: list[Tensor]) -> None:
    """Sums all that a model gives, and runs backward from the sum. The list is emptied."""
    total = REDUCTIONS["Tensor.sum"]
    loss: Tensor | None = None
    for place in range(len(outputs)):
        if outputs[place].source is not None:
            term = total(machine, outputs[place])
            loss = term if loss is None else add(machine, loss, term)
            del term
    outputs.clear()
    if loss is not None and loss.source is not None:
        gradient = machine.empty((), loss.dtype)
        roots = [(loss.source, gradient)]
        loss.source = None  # the loss and its gradient stay until all is done
        run_backward(machine, roots)
        del gradient


_Buffer: TypeAlias = list[Tensor | None]
"""The gradients of the results of an operation, as far as they have come."""

FEWEST = 2
"""So many turns have to wait for the same before it is said of all."""


class Engine:
    """The operations that some gradients pass through, and the gradients that wait for them."""

    def __init__(
        self,
        machine: Machine,
        roots: list[tuple[Edge, Tensor]],
        elsewhere: Sequence[Tensor] = (),
    ) -> None:
        self.machine = machine
        self.elsewhere = elsewhere
        # How often each gradient waits, by what it is: in how many places here, and outside.
        self._waiting = Counter(id(each) for each in elsewhere)
        self.records = reached([edge for edge, _ in roots])
        self.buffers: dict[int, list[Tensor | None]] = {}
        self.awaited: dict[int, int] = {}
        self.leaves: dict[int, Leaf] = {}
        for edge, _ in roots:
            self._await(edge)
        for record in self.records:
            for edge in record.edges:
                self._await(edge)
        given = [edge for edge, _ in roots]
        while roots:
            self._deliver(*roots.pop())
        self._accumulate_all(given)

    def _await(self, edge: Edge | None) -> None:
        if isinstance(edge, Leaf):
            if id(edge) not in self.leaves:
                self._changes(None, edge.gradient)
            self.awaited[id(edge)] = self.awaited.get(id(edge), 0) + 1
            self.leaves[id(edge)] = edge

    def run(self) -> None:
        """Every operation, the latest first."""
        self.records.reverse()
        while self.records:
            self._cross(self.records[-1].number)
            record = self.records.pop()
            self.machine.made_behind(record.owner)
            if record.call is not None:
                self._run_call(record)
            else:
                self._run(record)
        self._cross(-1)

    def _cross(self, number: int) -> None:
        """Tells loops which turn comes next, before the operation of a number."""
        crossings = self.machine.crossings
        while crossings and crossings[-1][0] >= number:
            _, loop, turn = crossings.pop()
            loop.crossed(turn, self)

    def state(self, rolling: Rolling, turn: int) -> Hashable:
        """What a turn finds on its way back: the gradients that wait, and how they lie.

        Where as much waits for each turn before it, that is said once, for however many these are.
        """
        groups = Groups()
        here: list[tuple[str, _Buffer]] = []
        before: list[tuple[int, int, _Buffer]] = []
        for place, buffer in self.waiting():
            found = rolling.turn_before(turn, place)
            if found is None:
                here.append((rolling.called(turn, place), buffer))
            else:
                before.append((*found, buffer))
        here.sort(key=lambda pair: pair[0])
        before.sort(key=lambda each: each[:2])
        known = tuple((name, *_laid(buffer, groups)) for name, buffer in here)
        turns: dict[int, list[Hashable]] = {}
        for each, number, buffer in before:
            waits = (number, *_laid(buffer, groups))
            turns.setdefault(each, []).append(waits)
        return known, _said_once(turns, turn - 1)

    def waiting(self) -> Iterator[tuple[Hashable, _Buffer]]:
        """The gradients that wait for operations, by their numbers, and for leaves, by their keys."""
        for record in self.records:
            buffer = self.buffers.get(id(record))
            if buffer is not None:
                yield record.number, buffer
        for leaf in self.leaves.values():
            if leaf.gradient is not None:
                yield leaf.key, [leaf.gradient]

    def _run(self, record: Record) -> None:
        results = _applied(record, self._popped(record))
        record.saved, record.backward = (), None
        many, self.machine.delivered = self.machine.delivered, {}
        for edge, grad in zip(record.edges, results if many else (), strict=False):
            self._deliver_to_many(edge, grad, many)
        self._hand_on(record, results)

    def _deliver_to_many(
        self,
        edge: Edge | None,
        grad: Tensor | None,
        many: Mapping[tuple[int, int], Changing],
    ) -> None:
        """A gradient for what the turn of a loop has made is one, too, for those for which this turn stands."""
        loop = many.get((edge[0].number, edge[1])) if isinstance(edge, tuple) else None
        waits = self.buffers.get(id(edge[0])) if isinstance(edge, tuple) else None
        old = waits[edge[1]] if waits is not None and isinstance(edge, tuple) else None
        if loop is not None and old is not None and grad is not None:
            loop.sums_for_others(old)

    def _run_call(self, record: Record) -> None:
        """A function's gradients are added to those that its arguments have already, inside."""
        assert record.call is not None
        waits = [
            each is not None and self._waiting[id(each)] > 1
            for each in self.buffers.get(id(record), ())
        ]
        grads = self._popped(record) or []
        before = [self._taken(edge) for edge in record.edges]
        self._hand_on(record, record.call(record, grads, before, waits))

    def _hand_on(self, record: Record, results: list[Tensor | None]) -> None:
        """Delivers the gradients that an operation made. What is added to others lives until all are delivered."""
        for place, edge in enumerate(record.edges):
            if edge is None or not self._deliver(edge, results[place]):
                results[place] = None
        results.clear()
        self._accumulate_all(record.edges)

    def _taken(self, edge: Edge | None) -> Tensor | None:
        """The gradient that a value has so far, taken away from it."""
        if isinstance(edge, Leaf):
            found, edge.gradient = edge.gradient, None
            self._changes(found, None)
            return found
        buffer = self.buffers.get(id(edge[0])) if edge is not None else None
        if buffer is None or edge is None:
            return None
        found, buffer[edge[1]] = buffer[edge[1]], None
        self._changes(found, None)
        return found

    def _popped(self, record: Record) -> _Buffer | None:
        """The gradients that wait for an operation, which wait no more."""
        buffer = self.buffers.pop(id(record), None)
        if buffer is not None:
            for place in range(len(buffer)):
                self._changes(buffer[place], None)
        return buffer

    def _changes(self, before: Tensor | None, after: Tensor | None) -> None:
        """Counts that one gradient waits at a place no more, and another one does."""
        if after is not None:
            self._waiting[id(after)] += 1
        if before is not None:
            self._waiting[id(before)] -= 1
            if not self._waiting[id(before)]:
                del self._waiting[id(before)]

    def _deliver(self, edge: Edge, grad: Tensor | None) -> bool:
        """Has a gradient wait where it goes; whether it was added to another one there."""
        if isinstance(edge, Leaf):
            self.awaited[id(edge)] -= 1
            old = edge.gradient
            edge.gradient = new = self._sum(old, grad)
        else:
            record, place = edge
            buffer = self.buffers.setdefault(id(record), [None] * record.results)
            old = buffer[place]
            buffer[place] = new = self._sum(old, grad)
        self._changes(old, new)
        return grad is not None and old is not None

    def _sum(self, old: Tensor | None, new: Tensor | None) -> Tensor | None:
        """What two gradients of one value come to: a new tensor."""
        if old is None or new is None:
            return new if old is None else old
        strides = elementwise(old.shape, [old.placed, new.placed])
        return self.machine.empty(old.shape, old.dtype, strides)

    def _accumulate_all(self, edges: Iterable[Edge | None]) -> None:
        """The parameters among these take their gradients for which no more is awaited."""
        for edge in edges:
            if (
                isinstance(edge, Leaf)
                and edge.is_parameter
                and not self.awaited[id(edge)]
            ):
                self._accumulate(edge)

    def _accumulate(self, leaf: Leaf) -> None:
        """A parameter takes its gradient, or a copy of it where it lies otherwise than the parameter, or waits elsewhere too."""
        grad = leaf.gradient
        leaf.gradient = None
        self._changes(grad, None)
        if grad is None:
            return
        takes = _lies_as(leaf, grad) and id(grad) not in self._waiting
        if not takes and is_dense(leaf.shape, leaf.strides):
            grad = self.machine.empty(leaf.shape, grad.dtype, leaf.strides)
        storage, elements = grad.storage, self.machine.bytes(leaf.shape, grad.dtype)
        del grad
        self._keep(leaf, storage, elements)

    def _keep(self, leaf: Leaf, storage: Storage, elements: Dim) -> None:
        if self.machine.again or leaf.key in self.machine.taken:
            Storage(self.machine, storage.size)
            return
        take(self.machine, leaf.key[0], leaf.key, storage, elements)


def take(
    machine: Machine,
    path: Path,
    key: tuple[Any, ...],
    storage: Storage,
    elements: Dim,
) -> None:
    """Parameters take their gradients, which are so many bytes of a storage.

    Raises `Unlike` where they are views, and a turn that has them may stand for others.
    """
    is_shared = machine.taken.put(key, storage)
    if not is_shared and storage.outside is None and storage.size == elements:
        return
    if any(isinstance(part, int) for part in path) and (
        machine.rolling or machine.changing
    ):
        raise Unlike("gradients of turns are views")
    machine.taken.see(key, elements)


def summed(machine: Machine, path: Path) -> None:
    """Gradients of a call's parameters are added to those that they have: a sum is a view of nothing."""
    for key in machine.taken.views_of(path):
        machine.taken.put(key, Storage(machine, machine.taken.unsee(key)))


def _lies_as(leaf: Leaf, grad: Tensor) -> bool:
    """Whether a gradient lies as its parameter does."""
    return are_alike(leaf.shape, leaf.strides, grad.strides)


def _laid(buffer: _Buffer, groups: Groups) -> Iterator[Hashable]:
    for gradient in buffer:
        yield gradient and layout_of(gradient, groups)


def _said_once(turns: Mapping[int, list[Hashable]], count: int) -> Hashable:
    """What waits for turns, by how far they are from the next one; once, if it is the same for each of so many."""
    looks = {tuple(each) for each in turns.values()}
    if len(turns) == count and count >= FEWEST and len(looks) == 1:
        return looks.pop()
    return tuple((count - turn, *waits) for turn, waits in turns.items())


def _applied(
    record: Record, grads: Sequence[Tensor | None] | None
) -> list[Tensor | None]:
    """The gradients of an operation's inputs, summed over what was stretched."""
    if grads is None or all(grad is None for grad in grads) or record.backward is None:
        return [None] * len(record.edges)
    # Which results have no gradient is for operations of several results to bear.
    run = cast("Callable[..., Gradients]", record.backward)
    made = list(run(*grads, *record.saved))
    made.extend([None] * (len(record.edges) - len(made)))
    for place, shape in enumerate(record.shapes):
        grad = made[place]
        if grad is not None and record.edges[place] is not None:
            made[place] = sum_to(grad, shape)
        else:
            made[place] = None
    return made
