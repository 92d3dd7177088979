"""Keras models in the functional style: a function that makes layers and applies them, line by line.

A model is written so where its graph is static: no size that is known only at run time, no weight read
from another layer (a functional model would lose the tie when it is saved), no parameter of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Program
from nnspec.ir.types import DType
from nnspec.ops.element_types import FRAMEWORK_NAMES
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name, Namespace
from nnspec.pycode.inlining import WIDEST
from nnspec.pycode.statements import Assign, Function, If, Return, Statement
from nnspec.targets.contents import (
    bound_names,
    checked_sizes,
    names_in,
    spoken_names,
    steps_of,
    walk,
)
from nnspec.targets.lowering import RunTimeSize
from nnspec.targets.names import Names, safe_local
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.body import Body
from nnspec.targets.writing.classes import (
    constructor_arguments,
    documentation,
    factory_arguments,
    factory_name,
    instance,
    tensor_parameters,
)
from nnspec.targets.writing.constructor import Constructor
from nnspec.targets.writing.environment import Environment
from nnspec.targets.writing.results import Results
from nnspec.targets.writing.variables import Variables, expression_width
from nnspec.targets.writing.written import Written

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import ForwardDialect

keras = Namespace("keras")
NONE = Literal(None)
WIDEST_WITH_LAYERS = 56
"""Into a line with layers no expression is written that makes them wider than so many characters together."""


def is_functional(plan: ClassPlan) -> bool:
    """Whether a model can be written as a function of its inputs."""
    if not plan.is_entry or plan.is_called:
        return False
    if any(checked_sizes(plan.items)):
        return False
    known = {p.symbol for p in plan.parameters if not p.is_size}
    loops = {name for item in plan.items for name in _loop_names(item)}
    allowed = known | loops | set(plan.running)
    steps = list(steps_of(plan.items))
    return all(_is_static(step, allowed) for step in steps) and _all_depend(steps)


def _all_depend(steps: list[merged.Step]) -> bool:
    """Whether every layer is applied to what depends on an input: Keras keeps no other."""
    settled: set[merged.Value] = set()
    for step in steps:
        if not step.outputs:
            continue  # it is made ahead of the loop that applies it
        if settled.issuperset(step.inputs):
            if step.constructs or step.shares:
                return False
            settled.update(step.outputs)
    return True


def _loop_names(item: merged.Item) -> Iterator[str]:
    if isinstance(item, merged.Loop):
        yield from item.variables
        for inner in item.body:
            yield from _loop_names(inner)


def _is_static(step: merged.Step, allowed: set[str]) -> bool:
    if step.reads_weight or any(
        construct.is_parameter for construct in step.constructs
    ):
        return False
    for result in step.results:
        if any(
            isinstance(part, tree.Anchor | tree.Helper | tree.Shape)
            for part in tree.walk(result)
        ):
            return False
        if any(name not in allowed for name in names_in(result)):
            return False
        for part in tree.walk(result):
            if isinstance(part, RunTimeSize) and not part.dim.is_constant:
                return False
    return True


class AppliedLayers:
    """Layers that are made where they are applied, and lie in no lists."""

    def __init__(
        self, plan: ClassPlan, names: Names, maker: Constructor, written: Written
    ) -> None:
        self._plan = plan
        self._names = names
        self._maker = maker
        self._written = written
        # The variables of layers that are applied more than once.
        self._variables: dict[str, Name] = {}

    def prepare(self, step: merged.Step) -> None:
        """Gives a variable to a layer that is applied more than once, or is frozen."""
        for construct in step.constructs:
            uses = sum(
                isinstance(part, tree.Module) and part.suffix == construct.suffix
                for result in step.results
                for part in tree.walk(result)
            )
            if uses < 2 and not step.frozen and not self._is_shared(step):
                continue
            name = Name(self._names.free(step.label + construct.suffix))
            self._variables[_key(step, construct.suffix)] = name
            self._written.add(Assign((name,), self._maker.made(step, construct)))
            if step.frozen:
                trainable = name.attribute("trainable")
                self._written.add(Assign((trainable,), Literal(False)))

    def module(self, step: merged.Step, suffix: str) -> Expr:
        """The variable of a layer, or what makes it."""
        known = self._variables.get(_key(step, suffix))
        if known is not None:
            return known
        construct = next(c for c in step.constructs if c.suffix == suffix)
        return self._maker.made(step, construct)

    def crowds(self, step: merged.Step, pending: Expr) -> bool:
        """A line holds one or two layers, as long as it stays a line."""
        made = [self._maker.made(step, construct) for construct in step.constructs]
        layers = sum(expression_width(expression) for expression in made)
        widest = max(map(expression_width, step.results), default=0)
        width = expression_width(pending)
        return layers + width > WIDEST_WITH_LAYERS or width + widest > WIDEST

    def is_made(self, branch: merged.Branch) -> Expr | None:
        """The branch itself makes its layers."""

    def flattens(self, loop: merged.Loop) -> bool:
        """Every loop makes layers."""
        return False

    def begin(self, loop: merged.Loop) -> None:
        """The sizes that a loop carries."""
        self._written.statements.extend(self._maker.carried.begin(loop))

    def opened(self, loop: merged.Loop) -> tuple[Expr, Expr]:
        """The target and the iterable of a loop."""
        return self._maker.head(loop, _read_names(loop))

    def take(self, loop: merged.Loop) -> None:
        """A turn makes its layers."""

    def end_turn(self, loop: merged.Loop) -> None:
        """The sizes that the next turn starts with."""
        self._written.statements.extend(self._maker.carried.turn(loop))

    @contextmanager
    def inside(self) -> Generator[None]:
        """Layers of a turn have their variables behind the loop, too."""
        yield

    def _is_shared(self, step: merged.Step) -> bool:
        return step.layer in self._shared

    @cached_property
    def _shared(self) -> Set[tuple[str, tuple[merged.Turn, ...]]]:
        """The layers that are applied by other steps than those that make them."""
        return {step.layer for step in steps_of(self._plan.items) if step.shares}


def _key(step: merged.Step, suffix: str) -> str:
    return f"{step.label}{suffix}:{step.turns}"


def _read_names(loop: merged.Loop) -> set[str]:
    """The names that the results and conditions inside a loop speak of."""
    found = {n for s in steps_of(loop.body) for r in s.results for n in names_in(r)}
    for item in walk(loop.body):
        if isinstance(item, merged.Branch | merged.Requirement):
            found |= set(names_in(item.condition))
    return found


class FunctionalBody(Body):
    """The body of such a function: a forward pass in which each layer is made where it is applied."""

    def __init__(
        self,
        plan: ClassPlan,
        dialect: ForwardDialect,
        names: Names,
        maker: Constructor,
        given: Sequence[Name],
    ) -> None:
        """`given` are the variables of the inputs; the model is made of them at the end, so they stay what they are."""
        inputs = dict(zip(plan.inputs, given, strict=True))
        written = Written(indent=1)
        environment = Environment(names, kept={name.id for name in given})
        variables = Variables(plan, environment, written)
        layers = AppliedLayers(plan, names, maker, written)
        scope = maker.scope
        results = Results(plan, dialect, scope, layers, variables, inputs)
        super().__init__(plan, written, environment, variables, scope, layers, results)
        for value, name in inputs.items():
            environment.hold(value, name)
        self._maker = maker
        self._given = given

    def write(self) -> list[Statement]:
        """The statements behind those that make the inputs."""
        self.items(self.plan.items)
        return self.written.statements

    def _requirement(self, item: merged.Requirement) -> None:
        self._check(self._maker.refusals.requirement(item))

    def _guard(self, item: merged.Guard) -> None:
        self._check(self._maker.refusals.guard(item))

    def _check(self, check: If | None) -> None:
        """Writes a check where its turn comes: once in each block."""
        if check is not None:
            self.written.add_once(check)

    def _returns(self, value: merged.Value) -> bool:
        return False  # a model's outputs have names

    def _result(self, item: merged.Result) -> None:
        values = [self.variables.read(value) for value in item.values]
        inputs = list(self._given)
        made = keras.Model(
            inputs[0] if len(inputs) == 1 else inputs,
            values[0] if len(values) == 1 else list(values),
            name=self.plan.name,
        )
        self.written.add(Return((made,)))


def write_function(plan: ClassPlan) -> Function:
    """The function that builds the model."""
    from nnspec.targets.keras import KerasDialect

    dialect = KerasDialect()
    names = Names("keras", {p.name for p in plan.parameters})
    tensors = tensor_parameters(plan, names)
    names.speak(spoken_names(plan.items))
    maker = Constructor(plan, dialect, names, applies=True)
    written = {safe_local(bound, "keras") for bound in bound_names(plan.items)}
    given = [
        _input_variable(plan, Name(name), names) if name in written else Name(name)
        for name in tensors.names
    ]
    body = FunctionalBody(plan, dialect, names, maker, given)
    inputs = [
        Assign((name,), _input(value, name, maker))
        for name, value in zip(given, plan.inputs, strict=True)
    ]
    written = body.write()
    return Function(
        plan.name,
        tuple(constructor_arguments(plan)),
        keras.Model,
        (*inputs, *written),
        doc=documentation(plan),
    )


def _input_variable(plan: ClassPlan, name: Name, names: Names) -> Name:
    """The variable of an input that the model needs at the end, where its own is written again."""
    return Name(names.free("inputs" if len(plan.inputs) == 1 else f"{name.id}_input"))


def _input(value: merged.Value, name: Name, maker: Constructor) -> Expr:
    """`keras.Input((224, 224, 3), name="image")`"""
    sizes: list[Expr] = []
    for axis in value.order[1:]:
        sizes.append(_input_size(value.type.shape[axis], maker))
    options: dict[str, object] = {}
    if value.type.dtype is not DType.FLOAT:
        options["dtype"] = FRAMEWORK_NAMES[value.type.dtype]
    shape = tree.Display("tuple", tuple(sizes))
    return keras.Input(shape, **options, name=value.name or name.id)


def write_factory(program: Program, plan: ClassPlan, doc: str) -> Function | None:
    """The function of a variant; None where the model's own function is the same."""
    name = factory_name(program)
    if name == plan.name and not factory_arguments(program, plan):
        return None
    made = instance(program, plan)
    return Function(name, (), keras.Model, (Return((made,)),), doc=doc)


def _input_size(size: Dim, maker: Constructor) -> Expr:
    """A size of an input: None where it is open, a parameter of the function where it has one."""
    if not size.is_constant:
        return NONE
    try:
        return maker.scope.spelled(tree.Size(size))
    except Unspellable:
        return Literal(int(size))
