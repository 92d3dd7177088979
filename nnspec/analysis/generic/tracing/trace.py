"""Runs a program once more in the constants of the model: what elaboration did concretely, said in names.

A value's type is inferred anew by the operators, from types whose sizes have twins in the model's own
constants. Every condition that the spec decided is noted; loops are in `loops.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from nnspec.analysis.generic.blocks.constants import Constants
from nnspec.analysis.generic.blocks.values import Unsaid, names_in
from nnspec.analysis.generic.loops.plans import remainders
from nnspec.analysis.generic.names.facts import Facts
from nnspec.analysis.generic.reasons import RULED
from nnspec.analysis.generic.tracing.bodies import (
    Body,
    Call,
    GenericSite,
    Leaf,
    Part,
    key_of,
)
from nnspec.analysis.generic.tracing.stretching import decisions
from nnspec.analysis.uses import Site, Use, Uses
from nnspec.ir.dims import ONE, ZERO, Dim, DimError, symbol, witnessed
from nnspec.ir.graph import (
    Argument,
    Branch,
    Function,
    Item,
    Loop,
    Node,
    Requirement,
    Step,
    spread,
    values_of,
)
from nnspec.ir.slices import Range
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, OpError, replaced
from nnspec.ops.checked import fields_of
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.loops.gathered import Listed
    from nnspec.analysis.generic.loops.plans import Repetition

SPLITTING = frozenset({"rearrange", "reshape", "split"})
"""Operators that refuse to divide an axis with a remainder."""


STRETCHED = "a size of 1 would be stretched"


class Unrolled(Exception):
    """The loop of a `key` cannot be said as turns that are alike, and has to be gone through turn by turn."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Missing(Exception):
    """A value of another turn of a loop is used."""


@dataclass(frozen=True)
class Outcome:
    """A body, the types of what it gives, and how it was `made`, under a name of its own."""

    body: Body
    results: tuple[TensorType, ...]
    name: str
    made: Activation

    def reached(self) -> Iterator[Outcome]:
        """This one and those that it calls, each once."""
        waiting: list[Outcome] = [self]
        seen = {self.name}
        while waiting:
            current = waiting.pop()
            yield current
            for called in current.made.called.values():
                if called.name not in seen:
                    seen.add(called.name)
                    waiting.append(called)


@dataclass(eq=False)
class Tracer:
    """The bodies of a program's functions, each made once for equal names and inputs.

    `unrolled` are the loops that are gone through turn by turn, each with the reason; `facts` collects what the spec requires.
    """

    uses: Uses
    constants: Constants
    unrolled: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=Facts)
    _made: dict[tuple[Use, str, str], Outcome] = field(
        default_factory=dict[tuple[Use, str, str], Outcome]
    )

    @cached_property
    def remainders(self) -> list[int]:
        """By which numbers the program takes remainders: its loops may do the same again after so many turns."""
        return remainders(self.uses.program)

    def traced(
        self, use: Use, names: Mapping[str, Any], inputs: tuple[Any, ...]
    ) -> Outcome:
        """A function in one use, called with these constants and inputs."""
        key = (use, key_of((names, inputs)), key_of(self.constants.least))
        if key not in self._made:
            name = f"{use.key}#{len(self._made)}"
            self._made[key] = self._trace(name, use, names, inputs)
        self.constants.conditions += self._made[key].body.conditions
        return self._made[key]

    def _trace(
        self, name: str, use: Use, names: Mapping[str, Any], inputs: tuple[Any, ...]
    ) -> Outcome:
        activation = Activation(self, use, dict(names))
        activation.enter(inputs)
        with self.constants.collecting() as conditions:
            parts = activation.run(activation.function.structure)
        results = tuple(
            activation.type_of(value)
            for value in values_of(activation.function.outputs)
        )
        body = Body(tuple(parts), tuple(conditions))
        return Outcome(body, results, name, activation)


class Activation:
    """One function being run: its names, its `lists` of tensors, and the types of its values in the constants of the model.

    `given`, `operators` and `called` are what values, nodes and calls came to at last, and `repeated` the
    loops of which one turn was said for all. `sites` are the nodes by number, `nested` says in how many loops it is, `outer` in
    which turns of those of them that are gone through turn by turn;
    of nodes that are `unsteady` an argument is 0 in some turns of these loops alone.
    """

    def __init__(self, tracer: Tracer, use: Use, names: dict[str, Any]) -> None:
        self.tracer = tracer
        self.constants = tracer.constants
        self.inside = tracer.uses.inside(use)
        self.function: Function = self.inside.function
        self.names = names
        self.types: dict[int, TensorType] = {}
        self.hidden: dict[int, str] = {}
        self.given: dict[int, TensorType] = {}
        self.operators: dict[int, Operator] = {}
        self.called: dict[int, Outcome] = {}
        self.repeated: dict[Loop, Repetition] = {}
        self.lists: dict[str, Listed] = {}
        # The elements of lists that a turn of a loop takes, by value, with their types there.
        self.taken: dict[tuple[Loop, int], dict[int, TensorType]] = {}
        # How many tensors lists have that are put together, by the node that does it.
        self.joined: dict[int, Dim] = {}
        self.nested = 0
        self.outer: tuple[int, ...] = ()
        self.unsteady: dict[int, frozenset[str]] = {}
        self.sites = {site.node.id: site for site in self.inside.sites}

    # ---- values ------------------------------------------------------------------------------

    def enter(self, inputs: tuple[Any, ...]) -> None:
        """Gives the inputs their types, and the names in their shapes their sizes."""
        for port, given in zip(self.function.inputs, inputs, strict=True):
            values = spread(port.values)
            types = cast("tuple[TensorType, ...]", given)
            types = types if isinstance(given, tuple) else (given,) * len(values)
            for value, kind in zip(values, types, strict=True):
                self.types[value] = self.given[value] = kind
                self._name_sizes(self.function.types[value], kind)

    def _name_sizes(self, own: TensorType, given: TensorType) -> None:
        for inner, outer in zip(own.shape, given.shape, strict=True):
            for name in inner.generic.symbols():
                if inner.generic == symbol(name):
                    self.names.setdefault(name, outer)

    def type_of(self, value: int) -> TensorType:
        """The type of a value. Raises `Unrolled` or `Missing` for one that a loop keeps to itself."""
        if value in self.hidden:
            raise Unrolled(self.hidden[value])
        if value not in self.types:
            raise Missing
        return self.types[value]

    def own_type(self, value: int) -> TensorType:
        """The type that elaboration gave a value, in the constants of the model."""
        own = self.function.types[value]
        sizes = tuple(self.constants.size(size, self.names) for size in own.shape)
        return TensorType(sizes, own.dtype)

    def show(self, value: int, kind: TensorType) -> None:
        """Gives a value its type, also one that a loop has kept to itself: an element of a list, or a turn that is run again."""
        self.types[value] = kind
        self.hidden.pop(value, None)

    # ---- statements --------------------------------------------------------------------------

    def run(self, items: tuple[Item, ...]) -> list[Part]:
        """Statements, one after another."""
        parts: list[Part] = []
        for item in items:
            match item:
                case Step():
                    parts += self._step(self.sites[item.node])
                case Branch():
                    parts += self._branch(item)
                case Loop():
                    from nnspec.analysis.generic.loops.turning import Turning

                    parts += Turning(self, item).run()
                case Requirement():
                    self._require(item)
                case _:
                    pass
        return parts

    def _branch(self, item: Branch) -> list[Part]:
        if item.condition.kind == "list":
            for term in item.condition.arguments:
                self._decided(term)
            return []
        try:
            self.constants.truth(item.condition, self.names)
        except (Unsaid, DimError):
            self.constants.fix_names(names_in(item.condition), self.names)
        return self.run(item.body)

    def _decided(self, term: Term) -> None:
        """Notes that what a term means has to stay as it is: more hangs on that (`Builder.decide`)."""
        value = self.constants.term_or(term, self.names, None)
        if isinstance(value, Dim):
            self.constants.fix(value)
        else:
            self.constants.fix_names(names_in(term), self.names)

    def _require(self, item: Requirement) -> None:
        """Notes what has to be equal; that the requirement holds is the spec's own matter."""
        if item.condition.kind != "compare" or item.condition.arguments[0] != "==":
            return
        with self.constants.collecting():
            left, right = (
                self.constants.term_or(side, self.names, None)
                for side in item.condition.arguments[1:]
            )
        if isinstance(left, Dim) and isinstance(right, Dim):
            self.tracer.facts.require(left.generic, right.generic)

    # ---- nodes -------------------------------------------------------------------------------

    def _step(self, site: Site) -> list[Part]:
        node = site.node
        if node.weight is not None:
            self._give(node, tuple(self.own_type(value) for value in node.outputs))
            return []
        if node.callee is not None:
            return [self._call(site, self._arguments(node))]
        assert node.op is not None
        op = self.operators[node.id] = self._operator(node, node.op)
        op, given = self._joined(node, op) or (op, self._arguments(node))
        uncertain = self._uncertain(node, op)
        self._note_stretching(op, given)
        results = self._inferred(op, given, node)
        self._give(node, results)
        generic = GenericSite(
            site.inside, replace(node, op=op), site.is_first, given, results, uncertain
        )
        return [Leaf(generic, _leaf_key(generic, op))]

    def _joined(
        self, node: Node, op: Operator
    ) -> tuple[Operator, tuple[Any, ...]] | None:
        """A list that loops grew as one tensor, and what does as much with that; None of nodes that are given no list, or one as it is."""
        from nnspec.analysis.generic.loops.gathered import Lists
        from nnspec.analysis.generic.loops.reaching import as_one, in_any_order

        lists = Lists(self)
        for term in node.lists.values():
            own = self.function.types[node.outputs[0]]
            try:
                listed = lists.read(in_any_order(term))
                joining, whole, count = as_one(op, listed, own, self.constants)
            except (Unsaid, Missing, OpError):
                lists.unroll()
                self.joined.pop(node.id, None)
                return None
            self.joined[node.id] = count
            return joining, ((whole,),)
        return None

    def _uncertain(self, node: Node, op: Operator) -> tuple[str, ...]:
        """The arguments that are 0 in some turns of loops alone; where they hang on no turn that is a condition."""
        found: list[str] = []
        self.unsteady.pop(node.id, None)
        for name, term in node.terms.items():
            if not isinstance(getattr(op, name), float):
                continue
            zero = self.constants.zero(term, self.names)
            if zero is None or zero.generic.is_constant:
                continue
            turns = self.constants.uncertain_turns(zero)
            if turns:
                found.append(name)
                self.unsteady[node.id] = turns
            else:
                sign = "==" if zero.value == 0 else "!="
                self.constants.note(sign, zero.generic, ZERO, RULED)
        return tuple(found)

    def _note_stretching(self, op: Operator, given: tuple[Any, ...]) -> None:
        """Notes what broadcasting hangs on, free sizes apart: they are never taken for 1."""
        free = set(self.tracer.uses.program.symbols)
        free |= {part.symbol for part in self.constants.parts}
        for sign, size in decisions(op, given, self.tracer.facts):
            if not size.symbols() & free:
                self.constants.note(sign, size, ONE, STRETCHED)

    def _arguments(self, node: Node) -> tuple[Any, ...]:
        return tuple(self._argument(argument) for argument in node.inputs)

    def _argument(self, argument: Argument) -> Any:
        if isinstance(argument, tuple):
            return tuple(self.type_of(value) for value in argument)
        return None if argument is None else self.type_of(argument)

    def _give(self, node: Node, results: tuple[TensorType, ...]) -> None:
        for value, kind in zip(node.outputs, results, strict=True):
            self.show(value, kind)
            self.given[value] = kind

    def _call(self, site: Site, given: tuple[Any, ...]) -> Call:
        names = {
            name: self.constants.value(value, self.names)
            for name, value in site.node.arguments.items()
        }
        traced = self.tracer.traced(site.use, names, given)
        self.called[site.node.id] = traced
        self._give(site.node, traced.results)
        flags = f"{site.is_first}:{site.is_left_out}"
        return Call(traced.body, site, f"call:{flags}:{traced.body.key}")

    def _operator(self, node: Node, op: Operator) -> Operator:
        """The operator with its arguments in the constants of the model."""
        for name, term in node.terms.items():
            # What is no number may hang on a condition.
            if isinstance(getattr(op, name), bool | str | tuple):
                self.constants.term_or(term, self.names, None)
        fields = {name: self._field(getattr(op, name)) for name in fields_of(type(op))}
        return replaced(op, **fields)

    def _field(self, value: Any) -> Any:
        if isinstance(value, Dim):
            return self.constants.size(value, self.names)
        if isinstance(value, tuple):
            items: tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType]
            return tuple(self._field(item) for item in items)
        if isinstance(value, Range):
            bounds = (value.start, value.stop, value.step)
            return Range(*(self._field(bound) for bound in bounds))
        if isinstance(value, dict):
            pairs: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
            return {name: self._field(item) for name, item in pairs.items()}
        return value

    def _plain(self, kind: TensorType) -> TensorType:
        sizes = (
            size.value.named(self.constants.plain(size.generic)) for size in kind.shape
        )
        return TensorType(tuple(sizes), kind.dtype)

    def _inferred(
        self, op: Operator, given: tuple[Any, ...], node: Node
    ) -> tuple[TensorType, ...]:
        try:
            with witnessed(self.constants.witness):
                found = op.infer(*given)
        except (OpError, DimError):
            return tuple(self.own_type(value) for value in node.outputs)
        results = found if isinstance(found, tuple) else (found,)
        results = tuple(self._plain(kind) for kind in results)
        if op.op_name() in SPLITTING and not _quotients(given):
            for above, below in _quotients(results):
                self.tracer.facts.divides(above, below)
        return results


def _leaf_key(site: GenericSite, op: Operator) -> str:
    flags = (site.is_first, site.is_frozen, site.is_reached, site.is_left_out)
    flags += (site.again, site.ends)
    needed = [value in site.inside.needed for value in site.node.values()]
    if site.node.lists:  # of any length
        needed = sorted(set(needed))
    needs = (*needed, *map(site.needs, site.weights))
    flags += tuple(map(site.has_gradient, site.weights))
    fields = {name: getattr(op, name) for name in fields_of(type(op))}
    fields |= dict.fromkeys(site.uncertain, "either")
    return key_of((op.op_name(), fields, site.given, site.found, flags, needs))


def _quotients(types: tuple[Any, ...]) -> list[tuple[Dim, Dim]]:
    """The dividends and divisors of the quotients in shapes."""
    return [
        (atom.arguments[0], atom.arguments[1])
        for kind in types
        if isinstance(kind, TensorType)
        for size in kind.shape
        for atom in size.generic.atoms()
        if atom.kind == "//"
    ]
