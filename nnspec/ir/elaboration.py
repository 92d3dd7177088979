"""One elaboration: from the declarations of a file to a typed program.

The elaboration holds what all bodies share: the operators, the functions specialised so far, the budget,
the symbols and what is assumed of them, the diagnostics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.diagnostics import Diagnostic, Diagnostics, Label, SpecError, did_you_mean
from nnspec.ir import apply, binding, builtins, shapes, statements
from nnspec.ir import evaluate as evaluation
from nnspec.ir.apply import Arguments, Site
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.budget import MOST_CALL_DEPTH, Budget
from nnspec.ir.complaints import counted
from nnspec.ir.dims import ONE, Dim, symbol
from nnspec.ir.frame import Builder, Frame
from nnspec.ir.graph import (
    Argument,
    CostBudget,
    Function,
    Marks,
    Parameter,
    Port,
    Program,
    Result,
    Running,
)
from nnspec.ir.labels import assign_labels
from nnspec.ir.rename import renamed_type, settled
from nnspec.ir.types import TensorType
from nnspec.ir.values import (
    Declared,
    Module,
    Poisoned,
    Recipe,
    Sequence,
    Tensor,
    Unknown,
    Value,
    kind_of,
    plain,
)
from nnspec.ops.base import Operator
from nnspec.records import dataclass
from nnspec.source import Location, Source, Span
from nnspec.syntax import ast

# More than the characters of any text (see `syntax.text`): places of texts are numbered in one row.
LARGEST_TEXT = 1 << 24


@dataclass(frozen=True)
class Specialised:
    """A function, and how one call of it looks from where it is called."""

    function: Function
    inputs: tuple[Argument, ...]
    results: tuple[TensorType, ...]
    constants: Mapping[str, Value]


class Elaboration:
    """What the bodies of one program share while they are elaborated."""

    def __init__(
        self, operators: Mapping[str, type[Operator]], diagnostics: Diagnostics
    ) -> None:
        self.operators = operators
        self.diagnostics = diagnostics
        self.budget = Budget()
        self.assumptions = Assumptions()
        self.symbols: dict[str, Dim] = {}
        self.functions: dict[str, Function] = {}
        self.main_frame: Frame | None = None
        self.cost_budgets: list[CostBudget] = []
        self.poisoned = False
        self._sources: dict[Source, int] = {}
        self._made: dict[tuple[Any, ...], Function] = {}
        self._names: dict[str, int] = {}
        self._calls: list[tuple[Declared, Location]] = []
        self._constants: dict[ast.Constant, dict[str, Value]] = {}
        self._dims: dict[Builder, dict[str, Dim]] = {}
        self._labels: dict[ast.Body, dict[ast.Node, str]] = {}
        self._ports: dict[Builder, tuple[list[Port], list[Port]]] = {}
        self._given: dict[Builder, dict[str, Tensor]] = {}

    # ---- diagnostics ----

    def note(self, error: SpecError) -> None:
        """Keeps a fault, with the calls that led to it."""
        found = error.diagnostic
        self.poisoned = True
        labels = list(found.labels)
        for callee, location in reversed(self._calls[-3:]):
            # The entry is not used by anything: a model stands there itself, or a variant of it.
            if location.span != callee.node.name_span:
                labels.append(Label(location, f"in this use of `{callee.node.name}`"))
        self.diagnostics.add(
            Diagnostic(
                found.code, found.message, found.location, tuple(labels), found.hint
            )
        )

    def place_number(self, frame: Frame, node: ast.Stmt) -> int:
        """A number for a place of a text, different from those of all other texts."""
        source = frame.module.file.source
        number = self._sources.setdefault(source, len(self._sources))
        return number * LARGEST_TEXT + node.span.start

    # ---- symbols and assumptions ----

    def free_symbol(self, name: str) -> Dim:
        """The size of that name which is known only at run time."""
        if name not in self.symbols:
            self.symbols[name] = symbol(name)
        return self.symbols[name]

    def note_dim(self, frame: Frame, name: str, size: Dim) -> None:
        """Remembers the size that a name in an input's type was bound to."""
        self._dims.setdefault(frame.builder, {})[name] = size.value

    def assume_multiple(
        self, frame: Frame, name: str, factor: int, node: ast.Expr
    ) -> None:
        """Takes a symbol for a multiple of `factor` from here on."""
        if any(n.outputs for n in frame.builder.nodes):
            raise frame.error(
                "E0504",
                f"`{name}` is used before this requirement",
                node,
                hint="put the `require` directly behind the inputs",
            )
        known = self.assumptions.multiples.get(name, 1)
        from math import lcm

        factor = lcm(known, factor)
        self.assumptions = self.assumptions.with_multiple(name, factor)
        self.symbols[name] = symbol(name, factor)
        replaced = {name: self.symbols[name]}
        builder = frame.builder
        for number, kind in builder.types.items():
            sizes = tuple(size.at(replaced) for size in kind.shape)
            builder.types[number] = TensorType(sizes, kind.dtype)
        for key, value in frame.names.items():
            if isinstance(value, Dim):
                frame.names[key] = value.at(replaced)
            elif isinstance(value, Tensor):
                frame.names[key] = Tensor(
                    value.id, builder.types[value.id], value.origin
                )

    # ---- declarations ----

    def file_constant(self, declared: Declared, name: str) -> Value:
        """The value of a constant of a file, evaluated once."""
        node = declared.node
        assert isinstance(node, ast.Constant)
        if node not in self._constants:
            self._constants[node] = {}
            frame = Frame(
                self, Builder(closed=True), declared.module, {}, {}, "file", prefix="."
            )
            statements.one(frame, node.bind)
            self._constants[node] = frame.names
        value = self._constants[node].get(name)
        if value is None:
            location = Location(declared.module.file.source, node.span)
            hint = "one of the constants that it needs must not need it"
            raise SpecError(
                "E0501", f"`{name}` is defined by itself", location, hint=hint
            )
        return value

    def variant(self, declared: Declared) -> tuple[Declared, Recipe]:
        """The model of a variant, and the arguments that the variant gives it."""
        node = declared.node
        assert isinstance(node, ast.Variant)
        source = declared.module.file.source
        found = declared.module.names.get(node.model)
        if found is None or not isinstance(found.node, ast.Model):
            models = [
                n
                for n, d in declared.module.names.items()
                if isinstance(d.node, ast.Model)
            ]
            raise SpecError(
                "E0210",
                f"there is no model named `{node.model}`",
                Location(source, node.model_span),
                hint=did_you_mean(node.model, models),
            )
        frame = Frame(
            self, Builder(closed=True), declared.module, {}, {}, "file", prefix="."
        )
        given = apply.read_arguments(frame, node.arguments)
        return found, Recipe(found, tuple(given.positional), given.keywords)

    def labels_of(self, body: ast.Body) -> dict[ast.Node, str]:
        """The labels of a body, assigned once."""
        if body not in self._labels:
            self._labels[body] = assign_labels(body)
        return self._labels[body]

    # ---- functions ----

    def specialise(
        self, frame: Frame, callee: Declared, arguments: Arguments, site: Site
    ) -> Specialised:
        """The function of a block for these constants and input types, made where it is new."""
        node = callee.node
        assert isinstance(node, ast.Block | ast.Model)
        bound = binding.bind(frame, callee, arguments, site)
        location = frame.at(site.span)
        key = (node, bound.key())
        if key not in self._made:
            self._made[key] = self._elaborate(callee, bound, location)
        function = self._made[key]
        rename = binding.renaming(function, bound)
        results = tuple(
            renamed_type(function.types[value], rename)
            for port in function.outputs
            for value in _values(port.values)
        )
        return Specialised(function, bound.inputs(), results, bound.constants)

    def _elaborate(
        self, callee: Declared, bound: binding.Bound, location: Location
    ) -> Function:
        self._enter(callee, location)
        errors = len(self.diagnostics.found)
        poisoned, self.poisoned = self.poisoned, False
        try:
            return self._body(callee, bound, location)
        except SpecError as error:
            self.note(error)
            raise Poisoned from None
        finally:
            self._calls.pop()
            failed = len(self.diagnostics.found) > errors or self.poisoned
            self.poisoned = poisoned or failed

    def _enter(self, callee: Declared, location: Location) -> None:
        if any(known.node is callee.node for known, _ in self._calls):
            chain = [d.node.name for d, _ in self._calls]
            names = [*chain[chain.index(callee.node.name) :], callee.node.name]
            raise SpecError(
                "E0501",
                f"`{callee.node.name}` is made of itself: {' -> '.join(names)}",
                location,
                hint="repeat with a `for` loop instead",
            )
        if len(self._calls) >= MOST_CALL_DEPTH:
            message = f"blocks are nested more than {MOST_CALL_DEPTH} deep"
            hint = "use fewer levels of blocks that only call one another"
            raise SpecError("E0502", message, location, hint=hint)
        self.budget.take("functions", 1, location)
        self._calls.append((callee, location))

    def _body(
        self, callee: Declared, bound: binding.Bound, location: Location
    ) -> Function:
        node = callee.node
        assert isinstance(node, ast.Block | ast.Model)
        kind = "block" if isinstance(node, ast.Block) else "model"
        builder = Builder()
        labels = self.labels_of(node.body)
        frame = Frame(self, builder, callee.module, {}, labels, kind)
        before = self.main_frame
        if before is None:
            self.main_frame = frame
        frame.marks = statements.marks(frame, Marks(), node.annotations)
        own, frame.marks = frame.marks, Marks()
        self._ports[builder] = ([], [])
        self._given[builder] = bound.model_inputs()
        ports = binding.enter(frame, bound)
        outputs = self._run(frame, node, ports)
        return self._function(frame, callee, bound, outputs, own, location)

    def _run(
        self, frame: Frame, node: ast.Block | ast.Model, ports: list[Port]
    ) -> tuple[Port, ...]:
        inputs, outputs = self._ports[frame.builder]
        inputs.extend(ports)
        values: list[Value] = []
        end = node.name_span
        try:
            statements.run(frame, node.body)
        except statements.Returned as returned:
            if isinstance(node, ast.Block):
                self._results(frame, node.results, returned.values, returned.node)
            values, end = returned.values, returned.node.span
        if self.poisoned:
            raise Poisoned
        if isinstance(node, ast.Model):
            if not outputs:
                raise frame.error(
                    "E0506",
                    f"the model `{node.name}` has no output",
                    node.name_span,
                    hint="add `output name = value`",
                )
            frame.builder.items.append(Result(tuple(port.values for port in outputs)))
            return tuple(outputs)
        if not values:
            raise frame.error(
                "E0508",
                f"the block `{node.name}` returns nothing",
                node.name_span,
                hint="end it with `return value`",
            )
        return self._block_outputs(frame, values, node, end)

    def _block_outputs(
        self, frame: Frame, values: list[Value], node: ast.Block, end: Span
    ) -> tuple[Port, ...]:
        ports: list[Port] = []
        for i, value in enumerate(values):
            if isinstance(value, Tensor):
                ports.append(Port(f"result_{i}", value.id))
            elif isinstance(value, Sequence) and all(
                isinstance(v, Tensor) for v in value.items
            ):
                raise frame.error(
                    "E0508",
                    f"the block `{node.name}` returns a list",
                    end,
                    hint="return the tensors one by one: `return a, b`",
                )
            else:
                raise frame.error(
                    "E0308",
                    f"a block returns tensors, and this is {kind_of(value)}",
                    end,
                    hint="a function of constants is a `fn`",
                )
        return tuple(ports)

    def _results(
        self,
        frame: Frame,
        claims: tuple[ast.TypeExpr, ...],
        values: list[Value],
        node: ast.Stmt,
    ) -> None:
        if not claims:
            return
        if len(claims) != len(values):
            declared = counted(len(claims), "result")
            message = f"{declared} declared, and {len(values)} returned"
            span = claims[0].span.cover(claims[-1].span)
            label = Label(frame.at(span), "declared here")
            hint = "return as many values as are declared"
            raise frame.error("E0508", message, node, labels=(label,), hint=hint)
        for i, claim in enumerate(claims):
            values[i] = shapes.check_claim(frame, "", claim, values[i])

    def _function(
        self,
        frame: Frame,
        callee: Declared,
        bound: binding.Bound,
        outputs: tuple[Port, ...],
        marks: Marks,
        location: Location,
    ) -> Function:
        node = callee.node
        assert isinstance(node, ast.Block | ast.Model)
        number = self._names.get(node.name, 0)
        self._names[node.name] = number + 1
        builder = frame.builder
        function = Function(
            key=node.name if not number else f"{node.name}#{number}",
            name=node.name,
            kind="block" if isinstance(node, ast.Block) else "model",
            doc=node.body.doc,
            parameters=bound.parameters(),
            inputs=tuple(self._ports[builder][0]),
            outputs=outputs,
            nodes=tuple(builder.nodes),
            types=settled(builder.types, builder.running, outputs),
            structure=tuple(builder.items),
            running=dict(builder.running),
            dims=self._dims.get(builder, {}),
            location=Location(callee.module.file.source, node.name_span),
            marks=marks,
        )
        self.functions[function.key] = function
        return function

    # ---- models ----

    def model_input(self, frame: Frame, node: ast.Input) -> None:
        """An `input` statement: a symbol for each new name, or the tensor that a caller gives."""
        if frame.kind != "model":
            raise frame.error(
                "E0513",
                "only a model has `input` statements",
                node,
                hint="a block takes its tensors as parameters: `block F(x: [B, C])`",
            )
        if not isinstance(node.type, ast.ShapeType) or node.type.dtype == "list":
            raise frame.error(
                "E0205", "an input is a tensor", node, hint="write its shape: `[B, 3]`"
            )
        inputs, _ = self._ports[frame.builder]
        if any(port.name == node.name for port in inputs):
            message = f"there are two inputs named `{node.name}`"
            raise frame.error(
                "E0514", message, node, hint="give one of them another name"
            )
        given = self._given[frame.builder].get(node.name)
        place = frame.at(node.span)
        if given is not None:
            kind = shapes.match_input(frame, node.name, node.type, given)
        else:
            kind = shapes.introduce(frame, node.name, node.type)
        tensor = frame.builder.value(kind, place)
        inputs.append(Port(node.name, tensor.id))
        frame.names[node.name] = tensor

    def model_output(
        self, frame: Frame, name: str, value: Value, node: ast.Output
    ) -> None:
        """An `output` statement."""
        if frame.kind != "model":
            raise frame.error(
                "E0513",
                "only a model has `output` statements",
                node,
                hint="a block ends with `return value`",
            )
        if frame.in_loop:
            raise frame.error(
                "E0507",
                "`output` stands in a loop",
                node,
                hint="bind the value, and output it behind the loop",
            )
        if not isinstance(value, Tensor):
            raise frame.error(
                "E0308", f"an output is a tensor, and this is {kind_of(value)}", node
            )
        _, outputs = self._ports[frame.builder]
        if any(port.name == name for port in outputs):
            message = f"there are two outputs named `{name}`"
            raise frame.error(
                "E0514", message, node, hint="give one of them another name"
            )
        outputs.append(Port(name, value.id))

    def inline(
        self, frame: Frame, callee: Declared, arguments: Arguments, site: Site
    ) -> Value:
        """A `fn`, applied: its body becomes part of the caller."""
        node = callee.node
        assert isinstance(node, ast.Fn)
        self._enter(callee, frame.at(site.span))
        try:
            inner = Frame(
                self,
                frame.builder,
                callee.module,
                {},
                {},
                "fn",
                prefix=f"{frame.prefix}.{node.name}",
                marks=frame.marks,
                in_loop=0,
            )
            self._enter_fn(frame, inner, callee, arguments, site)
            errors = len(self.diagnostics.found)
            try:
                statements.run(inner, node.body)
            except statements.Returned as returned:
                self._results(inner, node.results, returned.values, returned.node)
                values = returned.values
            else:
                if len(self.diagnostics.found) > errors:
                    raise Poisoned
                raise inner.error(
                    "E0508",
                    f"the function `{node.name}` returns nothing",
                    node.name_span,
                    hint="end it with `return value`",
                )
            if any(isinstance(value, Unknown) for value in values):
                raise Poisoned
            return (
                values[0]
                if len(values) == 1
                else Sequence(tuple(values), is_group=True)
            )
        finally:
            self._calls.pop()

    def _enter_fn(
        self,
        frame: Frame,
        inner: Frame,
        callee: Declared,
        arguments: Arguments,
        site: Site,
    ) -> None:
        """Binds the arguments; what is wrong with them is told with the calls that led here."""
        try:
            binding.enter_fn(frame, inner, callee, arguments, site)
        except SpecError as error:
            if inner.builder.closed:
                raise
            self.note(error)
            raise Poisoned from None

    # ---- the whole ----

    def program(
        self, declared: Declared, settings: Mapping[str, Value], source_name: str
    ) -> Program | None:
        """The program of a model or variant; None where faults were noted.

        `settings` override the model's constants.
        """
        location = Location(declared.module.file.source, declared.node.name_span)
        name = declared.node.name
        try:
            arguments = Arguments()
            if isinstance(declared.node, ast.Variant):
                declared, given = self.variant(declared)
                arguments = arguments.merged(given)
            arguments = _overridden(declared, arguments, settings)
            frame = Frame(self, Builder(), declared.module, {}, {}, "file")
            site = Site(ast.NoneLiteral(declared.node.name_span), None)
            bound = binding.bind(frame, declared, arguments, site, entry=True)
            function = self._elaborate(declared, bound, location)
        except SpecError as error:
            self.note(error)
            return None
        except Poisoned:
            return None
        if self.poisoned:
            return None
        return Program(
            name=name,
            entry=function.key,
            functions=_reachable(self.functions, function),
            symbols=tuple(self.symbols),
            assumptions=self.assumptions,
            source_name=source_name,
            doc=declared.module.file.doc,
            requirements=self._implied(),
            budgets=tuple(self.cost_budgets),
        )

    def _implied(self) -> tuple[tuple[str, Dim], ...]:
        """Sizes that are at least 1 only if the symbols are large enough."""
        found: dict[str, Dim] = {}
        for function in self.functions.values():
            sizes = [size for kind in function.types.values() for size in kind.shape]
            for size in (*sizes, *function.implied()):
                if size.is_constant or size.key in found:
                    continue
                if not self.assumptions.holds(">=", size, ONE):
                    found[size.key] = size.value
        return tuple((str(size), size) for size in found.values())


def _overridden(
    declared: Declared, given: Arguments, settings: Mapping[str, Value]
) -> Arguments:
    """What a variant gives its model, by name, with settings in place of some of it."""
    assert isinstance(declared.node, ast.Model)
    names = [parameter.name for parameter in declared.node.parameters]
    named = dict(zip(names, given.positional, strict=False))
    surplus = given.positional[len(names) :]
    return Arguments(
        given.fed, surplus, {**named, **given.keywords, **settings}, given.spans
    )


def _values(argument: Argument) -> tuple[int, ...]:
    if argument is None:
        return ()
    return argument if isinstance(argument, tuple) else (argument,)


def _reachable(
    functions: Mapping[str, Function], entry: Function
) -> dict[str, Function]:
    """The functions that the entry needs, callees before callers."""
    found: dict[str, Function] = {}

    def visit(function: Function) -> None:
        if function.key in found:
            return
        for node in function.nodes:
            if node.callee is not None:
                visit(functions[node.callee])
        found[function.key] = function

    visit(entry)
    return found


__all__ = [
    "Elaboration",
    "Module",
    "Parameter",
    "Running",
    "Specialised",
    "builtins",
    "evaluation",
    "plain",
]
