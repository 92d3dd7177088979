"""One run of a function on the machine, with the variables that its emitted code has.

How long a value lives in a Python program depends on where it is written: a result that is read once
stands inside the expression that reads it, and goes when that is done; a variable lives until it is
written again or the function returns. The frame makes the emitter's choices (`nnspec.targets.writing`), as
far as memory depends on them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from nnspec.analysis.memory.deferring import Deferred, Left, let_go
from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.lowered import Evaluation, NoRule
from nnspec.analysis.memory.machine import Leaf, Machine, Storage, Tensor, needs
from nnspec.analysis.memory.rolling import Found, Rolling, layout_of, source_of
from nnspec.analysis.memory.variables import Expression, Variables
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Node,
    Path,
    Result,
    Step,
    nodes_in,
    values_of,
)
from nnspec.ir.types import TensorType
from nnspec.pycode.expressions import Module
from nnspec.pycode.inlining import (
    VARIABLE,
    Extent,
)
from nnspec.pycode.pending import Pending

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Changing
    from nnspec.analysis.generic.memory.laid import Laid
    from nnspec.analysis.memory.bodies import Written
    from nnspec.analysis.memory.calls import Calls


class Frame:
    """A function that is being run."""

    def __init__(
        self,
        calls: Calls,
        machine: Machine,
        function: Function,
        frozen: bool,
        used: tuple[bool, ...],
    ) -> None:
        self.calls = calls
        self.machine = machine
        self.function = function
        self.frozen = frozen
        self.body = body = calls.bodies.of(function)
        self.left_out = body.left_out
        self.arrangement = calls.program.arrangement
        self.plan = body.plan
        self.mattering = body.mattering(used)
        self.variables = Variables(function, self.plan)
        self.left = self.variables.left
        self.tensors: dict[int, Tensor] = {}
        # Expressions: those that nothing reads yet, and those that stand inside others.
        self.pending = Pending[int, Expression](lambda each: each.reads)
        self.inside: dict[int, Node] = {}
        # What turns make that have not run yet, and what one stands for that goes with an expression.
        self.deferred: dict[int, Deferred] = {}
        self.leaving: Left = []
        self.leaves: dict[tuple[Path, str], Leaf] = {}
        # What loops made that change from turn to turn, as it lies in the turn that stands for all.
        self.changed: dict[int, tuple[Changing, Laid]] = {}

    def run(self, given: Sequence[Tensor]) -> list[Tensor]:
        """The results, for arguments that whoever calls keeps alive."""
        inputs = values_of(self.function.inputs)
        self.tensors.update(zip(inputs, given, strict=True))
        for port in self.function.inputs:
            if isinstance(port.values, int):
                self.variables.hold(port.name, port.values)
        self._items(self.function.structure)
        results = [self._returned(value) for value in self.body.outputs]
        left = [each for loop in self.machine.changing for each in loop.released(self)]
        self.tensors.clear()
        for storage, more in left:
            if storage() is None:
                self.machine.live = self.machine.live - more
        return results

    # ---- statements ----

    def _items(self, items: Sequence[Item]) -> None:
        for place, item in enumerate(items):
            match item:
                case Step(node=node):
                    self._step(self.function.nodes[node], items, place)
                case Binding(name=name, value=value):
                    if value in self.pending:
                        self._bind(name, value)
                    else:
                        self.variables.aliases[value] = name
                case Branch(body=body):
                    saved = self.arrangement.forks.get(item)
                    if saved is not None:
                        self._settle_all()
                        self._protect(saved)
                    self._items(body)
                    if saved is not None and not _returns(body):
                        self._settle_all()
                case Loop():
                    self._loop(item)
                case _:
                    pass

    def _protect(self, names: Iterable[str]) -> None:
        """Saves what variables hold that some way of an `if` writes, on the other way, too."""
        values = self.variables.values
        for name in sorted(names):
            value = values.get(name, -1)
            if value in self.tensors and self.variables.copies[value] == 1:
                kept = self.variables.aliases.get(value, f"{name}_before")
                self.variables.hold(self.variables.own(kept, value), value)

    def _loop(self, loop: Loop) -> None:
        changing = self.calls.changing(self.machine, self.function, loop)
        rolling = self.calls.rolling(self.machine, self.function, loop, self.mattering)
        if rolling is None and loop in self.arrangement.written_out:
            self._one_by_one(loop, changing, lambda turn: self._items(turn.body))
            return
        self._settle_all()
        self._carry(loop, 0)
        for name in self.body.carried.get(loop, ()):
            self.left[loop.carried[name][0]] -= 1
        carried = self._carried(loop)
        outer = self.variables.enter(carried, self._read_from_outside(loop))
        if rolling is not None:
            self._roll(loop, rolling)
        else:
            numbers = iter(range(len(loop.iterations)))
            self._one_by_one(loop, changing, lambda _: self._turn(loop, next(numbers)))
        self.variables.leave(outer)

    def _one_by_one(
        self, loop: Loop, changing: Changing | None, run: Callable[[Iteration], None]
    ) -> None:
        """All turns of a loop; of one that is `changing`, it is told before each of them and behind the last one."""
        if changing is None:
            for turn in loop.iterations:
                run(turn)
            return
        told = Deferred(changing, len(loop.iterations), self)
        for number, turn in enumerate(loop.iterations):
            told.turn(number, partial(run, turn))
        told.end()

    def _turn(self, loop: Loop, turn: int) -> None:
        body = loop.iterations[turn].body
        with self.variables.turn(loop.uid, min(nodes_in(body), default=0)):
            self._items(body)
            self._settle_all()
            self._carry(loop, turn + 1)

    def _carry(self, loop: Loop, turn: int) -> None:
        """Before a turn, and behind the last one, what a loop carries lies in its variables."""
        for name in self._carried(loop):
            value = loop.carried[name][turn]
            if value in self.tensors and self.variables.values.get(name) != value:
                self._assign(name, value, self.tensors[value])

    def _carried(self, loop: Loop) -> Iterator[str]:
        """The names that a loop hands on."""
        names = self.body.carried.get(loop, loop.carried)
        return (name for name in loop.carried if name in names)

    def _read_from_outside(self, loop: Loop) -> set[int]:
        """The values of outside that turns read, besides those that the first one is handed."""
        return {value for value in self.body.read_in(loop) if value in self.tensors}

    def _roll(self, loop: Loop, rolling: Rolling) -> None:
        """Some of the turns of a loop, which stand for all."""
        skipped = range(rolling.end, len(loop.iterations) - rolling.turns.last)
        turns = [turn for turn in range(len(loop.iterations)) if turn not in skipped]
        for number, turn in enumerate(turns):
            rolling.at(number, lambda: self._found(loop))
            if number == rolling.end:
                self._skip(loop, skipped)
            self._turn(loop, turn)
        rolling.at(len(turns), lambda: self._found(loop))
        if len(turns) == rolling.end:
            self._skip(loop, skipped)

    def _skip(self, loop: Loop, turns: range) -> None:
        """Turns that are not run: what they were to read and to carry is what the last turn left."""
        start, stop = turns.start, turns.stop
        for value in self.body.read_in_turns(loop, turns):
            if value in self.left:
                self.left[value] -= 1
        carried = loop.carried.items()
        # Of what nothing reads behind the loop there is no value.
        left = [
            (name, v[stop], self.tensors[v[start]])
            for name, v in carried
            if v[start] in self.tensors
        ]
        for _, values in carried:
            self.tensors.pop(values[start], None)
        for name, value, tensor in left:
            self.tensors[value] = tensor
            self.variables.hold(name, value)

    def _found(self, loop: Loop) -> Found:
        """What a turn of a loop finds: its variables, and how their tensors lie."""
        groups = Groups()
        tensors = {
            name: self.tensors[value]
            for name, value in sorted(self.variables.values.items())
            if value in self.tensors
        }
        names: dict[Hashable, str] = {}
        for name, tensor in tensors.items():
            place = source_of(tensor)
            names[place] = f"{names.get(place, '')} {name}"
        return Found(
            tuple((n, layout_of(t, groups), needs(t)) for n, t in tensors.items()),
            names,
            [ref(t.storage) for n, t in tensors.items() if n not in loop.carried],
        )

    def _step(self, node: Node, items: Sequence[Item], place: int) -> None:
        if node.id in self.left_out:
            return
        expression = self._expression(node)
        if len(node.outputs) > 1:
            self._several(node, items[place + 1 : place + 1 + len(node.outputs)])
            return
        value = next(iter(node.outputs))
        self.pending[value] = expression
        if self.plan.uses.get(value, 0) > 1 and value not in self.plan.names:
            self._settle(value)

    def _expression(self, node: Node) -> Expression:
        """A node with what it reads: variables, and expressions that go into it."""
        written = self.body.written(node)
        for place, value in enumerate(node.values()):
            known = self.pending.get(value)
            if known is not None and (
                place in written.several or not written.fits(known.extent)
            ):
                self._settle(value)
        operands: list[Extent] = []
        for value in node.values():
            if value in self.pending and self.plan.is_shared(value):
                name = self.variables.name_of(value, self.pending[value])
                self._assign_pending(name, value)
            known = self.pending.get(value)
            operands.append(VARIABLE if known is None else known.extent)
        reads = self._reads(node, written)
        for value in node.values():
            if value in self.pending:
                self.inside[value] = self.pending.pop(value).node
            elif value in self.left:
                self.left[value] -= 1
        return Expression(node, written.extent(tuple(operands)), reads)

    def _reads(self, node: Node, written: Written) -> tuple[int, ...]:
        """The values in variables that an expression reads, from left to right."""
        given, found = list(node.values()), list[int]()
        for place in written.inputs:
            known = self.pending.get(given[place])
            found += [given[place]] if known is None else known.reads
        return tuple(found)

    def _several(self, node: Node, bindings: Sequence[Item]) -> None:
        """`q, k, v = ...`: the names are those that the spec gives the results next."""
        wanted = {b.value: b.name for b in bindings if isinstance(b, Binding)}
        names = dict.fromkeys(node.outputs, "_")  # which keeps what nobody reads, too
        for value in node.outputs:
            if self.plan.has_variable(value):
                name = wanted.get(value)
                if name is None or name in names.values():
                    name = self.variables.temporary(value, names.values())
                self._save(name)
                names[value] = name
        results = self._evaluated(node)
        for value, tensor in zip(node.outputs, results, strict=True):
            self._assign(names[value], value, tensor)

    def _bind(self, name: str, value: int) -> None:
        node = self.pending[value].node
        if self._is_own_parameter(node):
            self.tensors[value] = self._force(value)
        elif not self._returns_next(value):
            self._assign_pending(name, value)

    def _returns_next(self, value: int) -> bool:
        """Whether an expression is all that the function gives back."""
        last = not self.variables.in_loop and (value,) == self.body.outputs
        return last and self.plan.uses.get(value) == 1

    def _is_own_parameter(self, node: Node) -> bool:
        """Whether a value is an attribute of the module, which needs no variable."""
        (result, *_) = self.body.written(node).results
        return isinstance(result, Module) and len(node.path) == 1

    def _settle(self, value: int) -> None:
        self._assign_pending(self.variables.name_for(value, self.pending[value]), value)

    def _assign_pending(self, name: str, value: int) -> None:
        """Gives an expression a variable."""
        expression = self.pending.pop(value)
        self._save(name)
        self._assign(name, value, self._computed(expression.node))

    def _save(self, name: str) -> None:
        """Evaluates what reads a variable before it is written."""
        written = self.variables.values.get(name)
        for other in [] if written is None else self.pending.reading(written):
            kept = self.plan.names.get(other, f"{name}_then")
            kept = self.variables.own(kept, other)
            self._assign(kept, other, self._force(other))

    def _settle_all(self) -> None:
        for value in list(self.pending):
            if value in self.pending:
                self._settle(value)

    def _assign(self, name: str, value: int, tensor: Tensor) -> None:
        before = self.variables.values.get(name)
        self.tensors[value] = tensor
        self.variables.hold(name, value)
        if before is None or self.variables.copies[before]:
            return
        if self.variables.is_needed(before):
            kept = self.variables.aliases.get(before, f"{name}_before")
            self.variables.hold(self.variables.own(kept, before), before)
        else:
            self.tensors.pop(before, None)

    # ---- values ----

    def _returned(self, value: int) -> Tensor:
        return self._force(value) if value in self.pending else self.tensors[value]

    def _force(self, value: int) -> Tensor:
        """What an expression comes to."""
        return self._computed(self.pending.pop(value).node)

    def _computed(self, node: Node) -> Tensor:
        value = next(iter(node.outputs))
        deferred = self.deferred.get(value)
        if deferred is not None:
            deferred.begin(value)
        (found,) = self._evaluated(node)
        if deferred is not None:
            deferred.done(value, found)
        return found

    def _read(self, value: int) -> Tensor:
        if value not in self.inside:
            return self.tensors[value]
        if value in self.deferred:
            self.deferred[value].inline.add(value)
        return self._computed(self.inside.pop(value))

    def _evaluated(self, node: Node) -> list[Tensor]:
        given = [self._read(value) for value in node.values()]
        found = self._results(node, given)
        given.clear()
        if self.leaving:
            let_go(self)
        return found

    def _results(self, node: Node, given: list[Tensor]) -> list[Tensor]:
        if node.callee is not None:
            return self._call(node, self.calls.program.functions[node.callee], given)
        if node.weight is not None:
            return [self._weight(node, node.weight, self.function.results(node)[0])]
        return self._operation(node, given)

    def _call(self, node: Node, callee: Function, given: list[Tensor]) -> list[Tensor]:
        return self.calls.call(
            self.machine,
            node,
            given,
            frozen=self._is_frozen(node) or callee.marks.frozen,
            used=tuple(value in self.mattering for value in node.outputs),
        )

    def _operation(self, node: Node, given: list[Tensor]) -> list[Tensor]:
        assert node.op is not None
        self.machine.made_by(node.id)
        frozen = self._is_frozen(node)
        weights = {
            name: self._weight(node, name, kind)
            for name, kind in self.body.weights(node).items()
        }
        results = self.function.results(node)
        self.machine.expected = tuple(map(self.machine.sized, results))
        self.machine.joins = bool(node.lists)
        evaluation = Evaluation(
            self.machine,
            node.op.op_name(),
            self.body.lowered(node),
            given,
            weights,
            self.machine.training,
            frozen,
            self.calls.stack(self.function, node),
        )
        try:
            return list(evaluation.results())
        except NoRule as error:
            raise SpecError(
                "E0901",
                f"`{error.operator}` runs `{error.operation}` in PyTorch, whose use of memory "
                "is not known",
                node.location,
                hint="add its rule to `nnspec/analysis/memory/operations`",
            ) from error

    def _is_frozen(self, node: Node) -> bool:
        return self.frozen or node.marks.frozen

    def _weight(self, node: Node, name: str, kind: TensorType) -> Tensor:
        kind = self.machine.sized(kind)
        strides = contiguous(kind.shape)
        size = self.machine.bytes(kind.shape, kind.dtype)
        storage = Storage(self.machine, size, state=True)
        tensor = Tensor(storage, kind.shape, strides, kind.dtype)
        frozen = self._is_frozen(node) or node.path in self.body.fixed
        if self.machine.recording and not frozen:
            key = (node.path, name)
            if key not in self.leaves:
                self.leaves[key] = Leaf(key, True, kind.shape, strides)
            tensor.source = self.leaves[key]
        return tensor


def _returns(items: Sequence[Item]) -> bool:
    """Whether statements end in a `return`, which evaluates what is still to be written."""
    return bool(items) and isinstance(items[-1], Result)
