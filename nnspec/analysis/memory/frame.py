"""One run of a function on the machine, with the variables that its emitted code has.

How long a value lives in a Python program depends on where it is written: a result that is read once
stands inside the expression that reads it, and goes when that is done; a variable lives until it is
written again or the function returns. The frame makes the emitter's choices (`nnspec.targets.writing`), as
far as memory depends on them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.lowered import Evaluation, NoRule
from nnspec.analysis.memory.machine import Leaf, Machine, Storage, Tensor, needs
from nnspec.analysis.memory.rolling import Found, Rolling, layout_of, source_of
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Loop,
    Node,
    Path,
    Step,
    nodes_in,
    values_of,
)
from nnspec.ir.types import DType, TensorType
from nnspec.pycode.inlining import (
    FARTHEST_NAME,
    MOST_NESTED_CALLS,
    TEMPORARIES,
    WIDEST,
)
from nnspec.records import dataclass

if TYPE_CHECKING:
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
        self.outputs = values_of(function.outputs)
        self.plan = _Plan(function)
        self.mattering = _mattering(function, self.outputs, used)
        self.left = dict(self.plan.uses)
        self.tensors: dict[int, Tensor] = {}
        # Expressions: those that nothing reads yet, and those that stand inside others.
        self.pending: dict[int, _Expression] = {}
        self.inside: dict[int, Node] = {}
        self.variables: dict[str, int] = {}
        self.leaves: dict[tuple[Path, str], Leaf] = {}

    def run(self, given: Sequence[Tensor]) -> list[Tensor]:
        """The results, for arguments that whoever calls keeps alive."""
        inputs = values_of(self.function.inputs)
        self.tensors.update(zip(inputs, given, strict=True))
        for port in self.function.inputs:
            if isinstance(port.values, int):
                self.variables[port.name] = port.values
        self._items(self.function.structure)
        results = [self._returned(value) for value in self.outputs]
        self.tensors.clear()
        self.variables.clear()
        return results

    # ---- statements ----

    def _items(self, items: Sequence[Item]) -> None:
        for place, item in enumerate(items):
            match item:
                case Step(node=node):
                    self._step(self.function.nodes[node], items[place + 1 :])
                case Binding(name=name, value=value):
                    if value in self.pending:
                        self._bind(name, value)
                case Branch(body=()):
                    pass
                case Branch(body=body):
                    self._settle_all()
                    self._items(body)
                    self._settle_all()
                case Loop():
                    self._settle_all()
                    self._loop(item)
                case _:
                    pass

    def _loop(self, loop: Loop) -> None:
        rolling = self.calls.rolling(self.machine, self.function, loop, self.mattering)
        if rolling is not None:
            self._roll(loop, rolling)
            return
        for turn in loop.iterations:
            self._items(turn.body)
            self._settle_all()

    def _roll(self, loop: Loop, rolling: Rolling) -> None:
        """Some of the turns of a loop, which stand for all."""
        skipped = range(rolling.end, len(loop.iterations) - rolling.turns.last)
        turns = [turn for turn in range(len(loop.iterations)) if turn not in skipped]
        for number, turn in enumerate(turns):
            rolling.at(number, lambda: self._found(loop))
            if number == rolling.end:
                self._skip(loop, skipped)
            self._items(loop.iterations[turn].body)
            self._settle_all()
        rolling.at(len(turns), lambda: self._found(loop))
        if len(turns) == rolling.end:
            self._skip(loop, skipped)

    def _skip(self, loop: Loop, turns: range) -> None:
        """Turns that are not run: what they were to read and to carry is what the last turn left."""
        start, stop = turns.start, turns.stop
        for turn in turns:
            for number in nodes_in(loop.iterations[turn].body):
                for value in self.function.nodes[number].values():
                    if value in self.left:
                        self.left[value] -= 1
        carried = loop.carried.items()
        left = [(name, v[stop], self.tensors[v[start]]) for name, v in carried]
        for _, values in carried:
            self.tensors.pop(values[start], None)
        for name, value, tensor in left:
            self.tensors[value] = tensor
            self.variables[name] = value

    def _found(self, loop: Loop) -> Found:
        """What a turn of a loop finds: its variables, and how their tensors lie."""
        groups = Groups()
        tensors = {
            name: self.tensors[value]
            for name, value in sorted(self.variables.items())
            if value in self.tensors
        }
        names: dict[Hashable, str] = {}
        for name, tensor in tensors.items():
            place = source_of(tensor)
            names[place] = f"{names.get(place, '')} {name}"
        return Found(
            tuple((n, layout_of(t, groups), needs(t)) for n, t in tensors.items()),
            names,
            [t.storage for n, t in tensors.items() if n not in loop.carried],
        )

    def _step(self, node: Node, following: Sequence[Item]) -> None:
        if not any(self.plan.uses.get(value) for value in node.outputs):
            return
        expression = self._expression(node)
        if len(node.outputs) > 1:
            self._several(node, following)
            return
        value = next(iter(node.outputs))
        self.pending[value] = expression
        if self.plan.uses[value] > 1 and value not in self.plan.names:
            self._settle(value)

    def _expression(self, node: Node) -> _Expression:
        """A node with what it reads: variables, and expressions that go into it."""
        calls = self._calls(node)
        for place, value in enumerate(node.values()):
            known = self.pending.get(value)
            if known is None:
                continue
            if (
                (known.depth >= MOST_NESTED_CALLS and calls)
                or known.width + self._width(node) > WIDEST
                or self._twice(node, place)
                or self.plan.uses[value] > 1  # its name is given only after this use
            ):
                self._settle(value)
        depth, width = 0, self._width(node)
        reads: set[int] = set()
        for value in node.values():
            known = self.pending.get(value)
            if known is None:
                if value in self.left:
                    self.left[value] -= 1
                reads.add(value)
                width += len(self.plan.names.get(value, "y")) - 2
            else:
                self.inside[value] = self.pending.pop(value).node
                depth = max(depth, known.depth)
                width += known.width - 2
                reads |= known.reads
        if node.owns:
            width += len(f"self.{node.path[0]}") - 2
        return _Expression(node, depth + calls, width, reads)

    def _twice(self, node: Node, place: int) -> bool:
        if node.callee is not None or node.weight is not None:
            return False
        return self.calls.lowered(self.function, node).reads(place) > 1

    def _width(self, node: Node) -> int:
        """How wide a node is written, with two letters for whatever is filled in."""
        if node.callee is not None:
            return 4 + 4 * len(node.inputs)
        if node.weight is not None:
            return 2 + 1 + len(node.weight)
        return self.calls.lowered(self.function, node).width

    def _calls(self, node: Node) -> int:
        if node.callee is not None:
            return 1
        if node.weight is not None:
            return 0
        return self.calls.lowered(self.function, node).calls

    def _several(self, node: Node, following: Sequence[Item]) -> None:
        results = self._evaluated(node)
        names = {
            item.value: item.name for item in following if isinstance(item, Binding)
        }
        for value, tensor in zip(node.outputs, results, strict=True):
            if self.plan.uses.get(value):
                name = names.get(value) or self._temporary()
                self._save(name, value)
                self._assign(name, value, tensor)

    def _bind(self, name: str, value: int) -> None:
        if self.plan.uses.get(value) == 1 and (value,) == self.outputs:
            return
        self._save(name, value)
        self._assign(name, value, self._force(value))

    def _settle(self, value: int) -> None:
        hint = self.plan.hint(value)
        name = hint if hint is not None and self._is_free(hint) else self._temporary()
        self._save(name, value)
        self._assign(name, value, self._force(value))

    def _save(self, name: str, value: int) -> None:
        """Evaluates what reads a variable before it is written."""
        written = self.variables.get(name)
        for other, expression in list(self.pending.items()):
            if other != value and written in expression.reads:
                self._assign(f"{name}{len(self.variables)}", other, self._force(other))

    def _settle_all(self) -> None:
        for value in list(self.pending):
            if value in self.pending:
                self._settle(value)

    # ---- variables ----

    def _assign(self, name: str, value: int, tensor: Tensor) -> None:
        before = self.variables.get(name)
        self.tensors[value] = tensor
        self.variables[name] = value
        if before is None or before == value or self._is_needed(before):
            return
        if before not in self.variables.values():
            self.tensors.pop(before, None)

    def _is_needed(self, value: int) -> bool:
        return self.left.get(value, 0) > 0

    def _is_free(self, name: str) -> bool:
        value = self.variables.get(name)
        return value is None or not self._is_needed(value)

    def _temporary(self) -> str:
        for name in TEMPORARIES:
            if self._is_free(name):
                return name
        return f"y{len(self.variables)}"

    # ---- values ----

    def _returned(self, value: int) -> Tensor:
        return self._force(value) if value in self.pending else self.tensors[value]

    def _force(self, value: int) -> Tensor:
        """What an expression comes to."""
        (found,) = self._evaluated(self.pending.pop(value).node)
        return found

    def _read(self, value: int) -> Tensor:
        if value not in self.inside:
            return self.tensors[value]
        (found,) = self._evaluated(self.inside.pop(value))
        return found

    def _evaluated(self, node: Node) -> list[Tensor]:
        given = [self._read(value) for value in node.values()]
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
            name: self._weight(node, name, TensorType(each.shape, DType.FLOAT))
            for name, each in self.function.node_weights(node).items()
            if each.trainable
        }
        self.machine.expected = self.function.results(node)
        evaluation = Evaluation(
            self.machine,
            node.op.op_name(),
            self.calls.lowered(self.function, node),
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
        strides = contiguous(kind.shape)
        size = self.machine.bytes(kind.shape, kind.dtype)
        storage = Storage(self.machine, size, state=True)
        tensor = Tensor(storage, kind.shape, strides, kind.dtype)
        if self.machine.recording and not self._is_frozen(node):
            key = (node.path, name)
            if key not in self.leaves:
                self.leaves[key] = Leaf(key, True, kind.shape, strides)
            tensor.source = self.leaves[key]
        return tensor


@dataclass(frozen=True)
class _Expression:
    """A node that is not evaluated yet, how deep and how wide it is written, and the values that it reads."""

    node: Node
    depth: int
    width: int
    reads: set[int]


class _Plan:
    """What is read how often in a function, and under which name."""

    def __init__(self, function: Function) -> None:
        self.uses: dict[int, int] = {}
        self.consumers: dict[int, Node] = {}
        for node in function.nodes:
            for value in node.values():
                self.uses[value] = self.uses.get(value, 0) + 1
                self.consumers[value] = node
        for value in values_of(function.outputs):
            self.uses[value] = self.uses.get(value, 0) + 1
        self.names: dict[int, str] = {}
        self._name(function.structure)

    def _name(self, items: Sequence[Item]) -> None:
        for item in items:
            match item:
                case Binding(name=name, value=value):
                    self.names.setdefault(value, name)
                case Branch(body=body):
                    self._name(body)
                case Loop(iterations=iterations):
                    for turn in iterations:
                        self._name(turn.body)
                case _:
                    pass

    def hint(self, value: int) -> str | None:
        """The name that a value is on its way to."""
        for _ in range(FARTHEST_NAME):
            if value in self.names:
                return self.names[value]
            following = self.consumers.get(value)
            if following is None or len(following.outputs) != 1:
                return None
            (value,) = following.outputs
        return None


def _mattering(
    function: Function, outputs: Sequence[int], used: tuple[bool, ...]
) -> set[int]:
    """The values that the results that matter are computed from."""
    found = {value for value, each in zip(outputs, used, strict=True) if each}
    for node in reversed(function.nodes):
        if not found.isdisjoint(node.outputs):
            found.update(node.values())
    return found
