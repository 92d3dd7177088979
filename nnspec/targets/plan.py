"""A class of an emitted file: what it stands for, what its constructor takes, and what of that it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import field
from functools import cached_property
from typing import Any

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim, lone_symbol, symbol
from nnspec.ir.graph import Function, Running, values_of
from nnspec.ir.graph import Parameter as Constant
from nnspec.ir.types import TensorType
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.records import dataclass
from nnspec.targets.contents import (
    constructed,
    keys_of,
    names_in,
    steps_of,
)
from nnspec.targets.layout import FunctionLayout
from nnspec.targets.merging.agreement import known_by
from nnspec.targets.merging.traces import Unlike
from nnspec.targets.names import Names, safe_local, safe_name, size_name
from nnspec.targets.spelling import Unspellable, boxed, spell_literal
from nnspec.targets.writing.returning import goes_on


@dataclass(frozen=True)
class ClassParameter:
    """What a constructor takes: a constant of the block, or a size of its inputs (`symbol`)."""

    name: str
    symbol: str
    is_size: bool
    kind: str = "int"
    default: Any = None
    has_default: bool = False
    value: Any = None


@dataclass(eq=False)
class ClassPlan:
    """One class of the emitted file."""

    name: str
    functions: list[Function]
    layout: FunctionLayout
    items: list[merged.Item]
    inputs: list[merged.Value]
    parameters: list[ClassParameter] = field(default_factory=list[ClassParameter])
    running: dict[str, merged.Running] = field(
        default_factory=dict[str, merged.Running]
    )
    # Constants that the class does not take, since more than it can say depends on them.
    built_in: frozenset[str] = frozenset()
    # The names that decide which ways its code goes, and that of what it calls.
    deciding: frozenset[str] = frozenset()
    # For each size that it gives back, what is right for all of its functions, once it is asked for.
    returned: tuple[tuple[Dim, ...], ...] | None = None
    is_entry: bool = False
    is_called: bool = False
    # Whether another class than that of a whole model makes it.
    is_nested: bool = False
    is_recomputed: bool = False
    # Labels of frozen parts that hold batch statistics; "" for all of it.
    keeps_statistics: frozenset[str] = frozenset()
    # The attributes that hold layers, in a target.
    _layers: dict[str, Set[str]] = field(default_factory=dict[str, Set[str]])

    @property
    def function(self) -> Function:
        """The first of the functions that the class stands for."""
        return self.functions[0]

    def parameter(self, key: str) -> ClassParameter | None:
        """The parameter for a name or a size symbol of the spec."""
        return self._by_symbol.get(key)

    @cached_property
    def _by_symbol(self) -> Mapping[str, ClassParameter]:
        return {p.symbol: p for p in reversed(self.parameters)}

    def attribute(self, parameter: ClassParameter, target: str) -> str:
        """The attribute that keeps a constant: its name, unless a layer has that."""
        own = parameter.name
        name = safe_name(own, target)
        layers = self._layers.get(target)
        if layers is None:
            keys = {key for step in steps_of(self.items) for key in keys_of(step)}
            layers = self._layers[target] = {safe_name(key, target) for key in keys}
        while name in layers or self._names[name] > (name == own):
            name += "_"
        return name

    @cached_property
    def _names(self) -> Counter[str]:
        """How many parameters have each name."""
        return Counter(parameter.name for parameter in self.parameters)


def sizes_in(callee: Function, types: Sequence[TensorType]) -> dict[str, Dim]:
    """The sizes that the caller knows for the size symbols of the callee."""
    found: dict[str, Dim] = {}
    own = [callee.types[value] for value in values_of(callee.inputs)]
    for inner, outer in zip(own, types, strict=True):
        for size, given in zip(inner.shape, outer.shape, strict=True):
            lone = lone_symbol(size.generic)
            if lone is not None and lone.scale == 1:
                found.setdefault(lone.symbol, given)
    return found


def built_in_values(plan: ClassPlan, function: Function) -> dict[str, Any]:
    """What a class has built in for a function, by name."""
    known = meanings(function)
    return {key: known[key] for key in sorted(plan.built_in) if key in known}


def meanings(function: Function) -> dict[str, Any]:
    """The values of the names of a function: its constants, the sizes of its inputs."""
    found: dict[str, Any] = {p.name: boxed(p.value) for p in function.parameters}
    found.update(function.dims)
    for number in values_of(function.inputs):
        for size in function.types[number].shape:
            twin = size.generic
            names = twin.symbols()
            if len(names) == 1:
                (name,) = names
                if twin in (symbol(name), symbol(name, _scale(twin))):
                    found.setdefault(name, size.value)
    return found


def _scale(size: Dim) -> int:
    """What the symbol of a size is known to be a multiple of."""
    return next((atom.scale for atom in size.atoms() if atom.kind == "symbol"), 1)


def finish(plan: ClassPlan, target: str) -> None:
    """Settles the parameters of a class and what of them it keeps."""
    _find_running(plan)
    made: dict[str, None] = {}
    read: dict[str, None] = {}
    _collect(plan, plan.items, made, read)
    constants = {p.name: p for function in plan.functions for p in function.parameters}
    names = Names(
        target, {"self", "options", "name"} if target == "keras" else {"self"}
    )
    parameters: list[ClassParameter] = []
    for parameter in constants.values():
        names.taken.add(parameter.name)
    sizes = [key for key in made if key not in constants and _is_input_size(plan, key)]
    for key in sizes:
        wanted = "in_channels" if key == "C" else size_name(key)
        wanted = "features" if _is_last_axis(plan, key) else wanted
        parameters.append(ClassParameter(names.free(wanted), key, True))
    required: list[ClassParameter] = []
    optional: list[ClassParameter] = []
    for parameter in plan.function.parameters:
        if parameter.name in made or parameter.name in read:
            if parameter.name in plan.built_in:
                raise Unlike  # it has one value in the class, and is read all the same
            made_parameter = _class_parameter(parameter, constants, target)
            if made_parameter is not None:
                (optional if made_parameter.has_default else required).append(
                    made_parameter
                )
    plan.parameters = [*parameters, *required, *optional]


def _is_last_axis(plan: ClassPlan, key: str) -> bool:
    """Whether a size without a name of its own is that of an input's last axis."""
    last = [v.type.shape[-1].generic for v in plan.inputs if v.type.rank]
    return "@" in key and symbol(key) in last


def _class_parameter(
    parameter: Constant, constants: Mapping[str, Constant], target: str
) -> ClassParameter | None:
    if parameter.kind in ("fn", "block", "dtype"):
        return None
    try:
        spell_literal(parameter.default)
        spell_literal(parameter.value)
    except Unspellable:
        return None
    return ClassParameter(
        safe_local(parameter.name, target),
        parameter.name,
        False,
        parameter.kind,
        parameter.default,
        parameter.has_default,
        parameter.value,
    )


def _is_input_size(plan: ClassPlan, key: str) -> bool:
    """Whether a symbol is a size of an input (and not a loop's variable or a carried size)."""
    return any(key in meanings(function) for function in plan.functions)


def _collect(
    plan: ClassPlan,
    items: list[merged.Item],
    made: dict[str, None],
    read: dict[str, None],
) -> None:
    """The names that the constructor and the forward pass use."""
    for place, item in enumerate(items):
        match item:
            case merged.Step():
                for construct in item.constructs:
                    _note(plan, made, construct.value)
                    for reset in construct.resets:
                        _note(plan, made, reset)
                        _note(plan, read, reset)
                for result in item.results:
                    _note(plan, read, result)
            case merged.Branch():
                behind = () if goes_on(item) is None else items[place + 1 :]
                if constructed([item, *behind]):
                    _note(plan, made, item.condition)
                if item.mark is None:
                    _note(plan, read, item.condition)
                _collect(plan, item.then, made, read)
                _collect(plan, item.otherwise, made, read)
            case merged.Loop():
                _note(plan, made if constructed(item.body) else read, item.iterable)
                _collect(plan, item.body, made, read)
            case merged.Requirement():
                _note(plan, read if item.symbols else made, item.condition)
            case merged.Guard() if _is_known(plan, item.condition):
                _note(plan, made, item.condition)
            case _:
                pass


def _is_known(plan: ClassPlan, condition: Expr) -> bool:
    """Whether a condition speaks of no size that is known only at run time."""
    known = meanings(plan.function)
    sizes = (known.get(name) for name in names_in(condition))
    return all(not isinstance(size, Dim) or size.is_constant for size in sizes)


def _note(plan: ClassPlan, found: dict[str, None], expression: Expr) -> None:
    for name in names_in(expression):
        running = plan.running.get(name)
        if running is None:
            found.setdefault(name)
            continue
        if name not in found:
            found[name] = None
            _note(plan, found, running.initial)
            _note(plan, found, running.update)


def _find_running(plan: ClassPlan) -> None:
    """The carried sizes that change, of all the functions of a class.

    Raises `Unlike` where they start or go on otherwise in one function than in another.
    """
    for function in plan.functions:
        for key, running in function.running.items():
            if running.constant or running.same is not None or key in plan.running:
                continue
            initial, update = _course(plan, function, running)
            plan.running[key] = merged.Running(
                key,
                running.name,
                running.axis,
                tree.Size(initial),
                tree.Size(update),
                int(key.rpartition("@")[2]),
            )
    for key, chosen in plan.running.items():
        for function in plan.functions:
            known = function.running.get(key)
            if known is not None and not _runs_alike(plan, function, known, chosen):
                raise Unlike


def _course(plan: ClassPlan, function: Function, running: Running) -> tuple[Dim, Dim]:
    """What a carried size is at first and after a turn, in names that the class has."""
    constants = built_in_values(plan, function)
    initial, update = (
        known_by(function.settling.of(size).generic, constants)
        for size in (running.initial, running.update)
    )
    return initial, update


def _runs_alike(
    plan: ClassPlan, function: Function, running: Running, chosen: merged.Running
) -> bool:
    if running.constant or running.same is not None:
        return False
    found = _course(plan, function, running)
    wanted = (chosen.initial, chosen.update)
    return all(
        isinstance(expression, tree.Size) and size.generic == expression.dim.generic
        for size, expression in zip(found, wanted, strict=True)
    )
