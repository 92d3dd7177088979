"""What does not hang on sizes when a program runs: how its functions are written, and which turns of loops are alike.

A program is run again and again, under other modes and with a 1 in the place of some sizes: all of its runs share
what is found here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property

from nnspec.analysis.memory.lowered import Lowered, lower
from nnspec.analysis.memory.policy import Modes
from nnspec.analysis.memory.rolling import Turns
from nnspec.analysis.memory.shared import Shared
from nnspec.analysis.memory.turns import turns_alike
from nnspec.analysis.memory.variables import Plan
from nnspec.ir.graph import (
    Branch,
    Function,
    Item,
    Loop,
    Node,
    Path,
    Program,
    Step,
    nodes_in,
    values_of,
)
from nnspec.ir.types import DType, TensorType
from nnspec.pycode.expressions import Expr
from nnspec.pycode.inlining import (
    Extent,
    call_of,
    extent,
    inputs_read,
    is_too_long,
    times_read,
    weight_of,
)


class Written:
    """A node as it is written: its results before its inputs are put in, with a layer of a label."""

    def __init__(self, results: tuple[Expr, ...], label: str) -> None:
        self.results = results
        self._label = label
        self._extents: dict[tuple[Extent, ...], Extent] = {}
        self._fitting: dict[Extent, bool] = {}

    @cached_property
    def inputs(self) -> Sequence[int]:
        """The inputs that are read, from left to right."""
        return inputs_read(self.results)

    @cached_property
    def several(self) -> frozenset[int]:
        """The inputs that are read more than once."""
        return frozenset(i for i in self.inputs if times_read(self.results, i) > 1)

    def fits(self, operand: Extent) -> bool:
        """Whether an expression may stand in it."""
        if operand not in self._fitting:
            fits = not is_too_long(operand, self.results, self._label)
            self._fitting[operand] = fits
        return self._fitting[operand]

    def extent(self, operands: tuple[Extent, ...]) -> Extent:
        """How much is written, with what is written for the inputs."""
        if operands not in self._extents:
            self._extents[operands] = extent(self.results, self._label, operands)
        return self._extents[operands]


class Body:
    """A function, whatever its sizes: each thing is found when it is first asked for."""

    def __init__(self, program: Program, function: Function) -> None:
        self._program = program
        self.function = function
        self.outputs = values_of(function.outputs)
        # Instances whose weights are not trained, whoever reads them.
        self.fixed = program.frozen_paths(function)
        self.left_out = program.left_out.get(function.key, frozenset[int]())
        self.carried = program.arrangement.carried
        self.plan = Plan(function, self.left_out, self.carried)
        self._free = frozenset(program.symbols)
        self._lowered: dict[int, Lowered] = {}
        self._written: dict[int, Written] = {}
        self._weights: dict[int, Mapping[str, TensorType]] = {}
        self._mattering: dict[tuple[bool, ...], frozenset[int]] = {}
        self._alike: dict[tuple[Loop, frozenset[int]], Turns | None] = {}
        self._read: dict[Loop, frozenset[int]] = {}
        self._skipped: dict[tuple[Loop, range], Sequence[int]] = {}
        self._instances: dict[Loop, Sequence[set[Path]]] = {}

    # ---- nodes ----

    def lowered(self, node: Node) -> Lowered:
        """What a node becomes in PyTorch."""
        if node.id not in self._lowered:
            assert node.op is not None
            types, results = self.function.node_types(node), self.function.results(node)
            self._lowered[node.id] = lower(
                node.op, types, results, node.terms, self._free
            )
        return self._lowered[node.id]

    def written(self, node: Node) -> Written:
        """What the results of a node are written as."""
        if node.id not in self._written:
            self._written[node.id] = Written(self._results(node), str(node.path[0]))
        return self._written[node.id]

    def _results(self, node: Node) -> tuple[Expr, ...]:
        if node.callee is not None:
            return (call_of(node, recomputes=self._program.recomputes(node)),)
        if node.weight is not None:
            return (weight_of(node),)
        return self.lowered(node).results

    def weights(self, node: Node) -> Mapping[str, TensorType]:
        """The weights that a node owns and training may change."""
        if node.id not in self._weights:
            self._weights[node.id] = {
                name: TensorType(each.shape, DType.FLOAT)
                for name, each in self.function.node_weights(node).items()
                if each.trainable
            }
        return self._weights[node.id]

    def mattering(self, used: tuple[bool, ...]) -> frozenset[int]:
        """The values that the results that matter are computed from: those that are `used`."""
        if used not in self._mattering:
            pairs = zip(self.outputs, used, strict=True)
            found = {value for value, each in pairs if each}
            for node in reversed(self.function.nodes):
                if not found.isdisjoint(node.outputs):
                    found.update(node.values())
            self._mattering[used] = frozenset(found)
        return self._mattering[used]

    # ---- loops ----

    def turns_alike(self, loop: Loop, mattering: frozenset[int]) -> Turns | None:
        """The turns of a loop that do the same, if they are many."""
        key = loop, mattering
        if key not in self._alike:
            self._alike[key] = turns_alike(self.function, loop, mattering)
        return self._alike[key]

    def read_in(self, loop: Loop) -> frozenset[int]:
        """The values that turns read, besides those that the first one is handed."""
        if loop not in self._read:
            bodies = (turn.body for turn in loop.iterations)
            read = {value for body in bodies for value in self._values_read(body)}
            initial = {values[0] for values in loop.carried.values()}
            self._read[loop] = frozenset(read - initial)
        return self._read[loop]

    def read_in_turns(self, loop: Loop, turns: range) -> Sequence[int]:
        """The values that some turns read, each as often as it is read."""
        key = loop, turns
        if key not in self._skipped:
            bodies = (loop.iterations[turn].body for turn in turns)
            self._skipped[key] = [v for body in bodies for v in self._values_read(body)]
        return self._skipped[key]

    def _values_read(self, items: Sequence[Item]) -> list[int]:
        nodes = self.function.nodes
        return [value for n in nodes_in(items) for value in nodes[n].values()]

    def instances(self, loop: Loop) -> Sequence[set[Path]]:
        """The instances that each turn of a loop uses."""
        if loop not in self._instances:
            self._instances[loop] = [
                _instances(self.function, turn.body) for turn in loop.iterations
            ]
        return self._instances[loop]


class Bodies:
    """The functions of a program, whatever their sizes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._bodies: dict[str, Body] = {}
        self._shared: dict[Hashable, Shared] = {}

    def of(self, function: Function) -> Body:
        """That of a function of the program."""
        if function.key not in self._bodies:
            self._bodies[function.key] = Body(self.program, function)
        return self._bodies[function.key]

    def shared(self, modes: Modes, *, rolls: bool) -> Shared:
        """What runs in the same modes share, whatever sizes are 1; nothing where it matters who owns what."""
        if modes.owners:
            return Shared()
        return self._shared.setdefault((modes.but_ones, rolls), Shared())


def _instances(function: Function, items: Sequence[Item]) -> set[Path]:
    """The instances that statements use."""
    found: set[Path] = set()
    for item in items:
        if isinstance(item, Step):
            node = function.nodes[item.node]
            found.update([node.path] if node.owns else [])
        elif isinstance(item, Branch):
            found |= _instances(function, item.body)
        elif isinstance(item, Loop):
            for turn in item.iterations:
                found |= _instances(function, turn.body)
    return found
