"""Whether a program holds together: what every pass may take for granted and must leave so.

A violation is a fault of the compiler (or of hand-made JSON), never of a spec.
"""

from __future__ import annotations

from nnspec.ir.dims import Dim, DimError
from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Node,
    Path,
    Program,
    Result,
    Step,
    counted,
    dotted,
    spread,
    values_of,
    walk,
)
from nnspec.ir.types import TensorType
from nnspec.ir.verify_names import is_name, name_faults
from nnspec.ops.base import OpError


class VerificationError(Exception):
    """A program that does not hold together."""


def verify_program(program: Program) -> None:
    """Checks every function, and the calls between them. Raises `VerificationError`."""
    if program.entry not in program.functions:
        raise VerificationError(f"there is no function `{program.entry}`, the entry")
    if not is_name(program.name):
        raise VerificationError(f"`{program.name}` is no name of a model")
    for text, size in program.requirements:
        strange = size.symbols() - set(program.symbols)
        if strange:
            names = ", ".join(sorted(strange))
            raise VerificationError(f"`{text}` has the unknown size {names}")
    known: dict[str, Function] = {}
    for key, function in program.functions.items():
        if function.key != key:
            raise VerificationError(
                f"the function `{function.key}` is listed as `{key}`"
            )
        _Checker(program, function, known).check()
        known[key] = function


class _Checker:
    """The checks of one function; `known` are the functions that stand before it."""

    def __init__(
        self, program: Program, function: Function, known: dict[str, Function]
    ) -> None:
        self.program = program
        self.function = function
        self.known = known

    def check(self) -> None:
        """All of them. Raises `VerificationError`."""
        self._order()
        for node in self.function.nodes:
            try:
                self._node(node)
            except OpError as error:
                raise self._fault(error.message, node) from None
            except (
                DimError,
                TypeError,
                ValueError,
                IndexError,
                AttributeError,
            ) as error:
                raise self._fault(f"its operator fails: {error}", node) from None
        self._instances()
        self._structure()
        self._symbols()
        for message, node in name_faults(self.program, self.function):
            raise self._fault(message, node)
        self._turns()

    def _fault(self, message: str, node: Node | None = None) -> VerificationError:
        place = f"`{self.function.key}`"
        if node is not None:
            place += f", node {node.id} (`{dotted(node.path)}`)"
        return VerificationError(f"{place}: {message}")

    # ---- values ----

    def _order(self) -> None:
        """Each value is made once, before its uses, and has a type."""
        made: set[int] = set()
        for value in values_of(self.function.inputs):
            self._make(made, value, None)
        for place, node in enumerate(self.function.nodes):
            if node.id != place:
                raise self._fault(f"it stands at place {place}", node)
            for value in node.values():
                if value not in made:
                    raise self._fault(f"it uses value {value} before it is made", node)
            for value in node.outputs:
                self._make(made, value, node)
        for value in values_of(self.function.outputs):
            if value not in made:
                raise self._fault(f"the output {value} is never made")
        if made != set(self.function.types):
            raise self._fault("values and types do not match")

    def _make(self, made: set[int], value: int, node: Node | None) -> None:
        if value in made:
            raise self._fault(f"value {value} is made twice", node)
        if value not in self.function.types:
            raise self._fault(f"value {value} has no type", node)
        made.add(value)

    # ---- nodes ----

    def _node(self, node: Node) -> None:
        if (node.op is None) is (node.callee is None):
            raise self._fault(
                "it must either apply an operator or call a function", node
            )
        if node.callee is not None:
            self._call(node, node.callee)
        elif node.weight is None:
            self._operator(node)
        elif node.inputs or len(node.outputs) != 1:
            raise self._fault("a read of a weight has no inputs and one output", node)

    def _operator(self, node: Node) -> None:
        assert node.op is not None
        op = node.op
        if len(node.inputs) != len(op.inputs):
            raise self._fault(f"{len(node.inputs)} inputs for {len(op.inputs)}", node)
        for name, argument in zip(op.inputs, node.inputs, strict=True):
            if argument is None and name not in op.optional | op.scalars:
                raise self._fault(f"the input `{name}` is missing", node)
            if argument is not None and isinstance(argument, tuple) is not (
                name in op.listed
            ):
                raise self._fault(
                    f"the input `{name}` is no list, or should be none", node
                )
        inferred = op.infer(*self.function.node_types(node))
        results = inferred if isinstance(inferred, tuple) else (inferred,)
        self._same_types("result", results, self.function.results(node), node)
        self.function.node_weights(node)

    def _call(self, node: Node, key: str) -> None:
        callee = self.known.get(key)
        if callee is None:
            raise self._fault(f"it calls `{key}`, which does not stand before it", node)
        if len(node.inputs) != len(callee.inputs):
            raise self._fault(
                f"{len(node.inputs)} inputs for {len(callee.inputs)}", node
            )
        for port, argument in zip(callee.inputs, node.inputs, strict=True):
            wanted = tuple(callee.types[value] for value in spread(port.values))
            given = tuple(self.function.types[value] for value in spread(argument))
            self._same_types(f"input `{port.name}`", wanted, given, node)
        results = tuple(callee.types[value] for value in values_of(callee.outputs))
        self._same_types("result", results, self.function.results(node), node)

    def _same_types(
        self,
        what: str,
        wanted: tuple[TensorType, ...],
        given: tuple[TensorType, ...],
        node: Node,
    ) -> None:
        if wanted == given:
            return
        one, other = (
            ", ".join(str(kind) for kind in kinds) for kinds in (wanted, given)
        )
        raise self._fault(
            f"the {what} is {one or 'none'}, and noted as {other or 'none'}", node
        )

    def _instances(self) -> None:
        """Nodes of one path that own something are uses of one instance."""
        owners: dict[Path, Node] = {}
        for node in self.function.nodes:
            if not node.owns:
                continue
            first = owners.setdefault(node.path, node)
            if self._owner(first) != self._owner(node):
                raise self._fault(
                    f"node {first.id} is something else by that path", node
                )

    def _owner(self, node: Node) -> object:
        if node.callee is None:
            return node.op
        # Uses of a shared block may be specialised for other sizes of their inputs.
        return self.program.functions[node.callee].name

    # ---- structure ----

    def _structure(self) -> None:
        """The structure takes each node once, in order, and ends with the outputs."""
        items = self.function.structure
        steps = [item.node for item in walk(items) if isinstance(item, Step)]
        if steps != [node.id for node in self.function.nodes]:
            raise self._fault("the structure does not take each node once, in order")
        for item in walk(items):
            if isinstance(item, Binding) and item.value not in self.function.types:
                raise self._fault(
                    f"`{item.name}` means value {item.value}, which is none"
                )
        values = tuple(port.values for port in self.function.outputs)
        last = items[-1] if items else None
        while (
            isinstance(last, Branch) and last.body
        ):  # a `return` may end one branch alone
            last = last.body[-1]
        if not isinstance(last, Result) or last.values != values:
            raise self._fault("the structure does not end with the outputs")

    def _turns(self) -> None:
        """What a path is said to count is the turn of a loop around its node."""
        around = self.function.around
        for node in self.function.nodes:
            if len(node.loops) != len(node.path) - 1:
                message = f"{len(node.loops)} loops for a path of {len(node.path)}"
                raise self._fault(message, node)
            if counted(node.path, node.loops, around[node.id]) != node.loops:
                raise self._fault(
                    "its path counts turns of a loop, and it stands in another", node
                )

    def _symbols(self) -> None:
        known = set(self.program.symbols)
        for value, kind in self.function.types.items():
            for size in kind.shape:
                self._scales(size)
                strange = size.value.symbols() - known
                if strange:
                    names = ", ".join(sorted(strange))
                    raise self._fault(f"value {value} has the unknown size {names}")
                if size.is_constant and int(size) < 0:
                    raise self._fault(f"value {value} has a negative size")

    def _scales(self, size: Dim) -> None:
        """Atoms that stand for a part of a symbol do so where it is known to be that multiple."""
        for atom in size.value.atoms():
            multiple = self.program.assumptions.multiples.get(atom.symbol, 1)
            if multiple % atom.scale:
                raise self._fault(
                    f"a size divides {atom.symbol} by {atom.scale}, which nothing requires"
                )
