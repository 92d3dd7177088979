"""One elaboration: from the declarations of a file to a typed program.

The elaboration holds what all bodies share: the operators, the functions specialised so far, the budget,
the symbols and what is assumed of them, the diagnostics.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nnspec.diagnostics import Diagnostic, Diagnostics, Label, SpecError, did_you_mean
from nnspec.elaboration import (
    apply,
    binding,
    entering,
    ports,
    references,
    statements,
)
from nnspec.elaboration.apply import Arguments, Site
from nnspec.elaboration.budget import MOST_CALL_DEPTH, Budget
from nnspec.elaboration.frame import Builder, Frame
from nnspec.elaboration.labels import assign_labels
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.graph import (
    Argument,
    CostBudget,
    Function,
    Marks,
    Port,
    values_of,
)
from nnspec.ir.rename import renamed_type, settled
from nnspec.ir.types import TensorType
from nnspec.ir.values import (
    Declared,
    Poisoned,
    Sequence,
    Unknown,
    Value,
)
from nnspec.ops.base import Operator
from nnspec.records import dataclass
from nnspec.source import Location, Source
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
        self.repeated = 0  # faults that were noted before, as from turn to turn
        self._sources: dict[Source, int] = {}
        self._made: dict[tuple[Any, ...], Function] = {}
        self._names: dict[str, int] = {}
        self._calls: list[tuple[Declared, Location]] = []
        self._constants: dict[ast.Constant, dict[str, Value]] = {}
        self._labels: dict[ast.Body, dict[ast.Node, str]] = {}

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
        known = len(self.diagnostics.found)
        self.diagnostics.add(
            Diagnostic(
                found.code, found.message, found.location, tuple(labels), found.hint
            )
        )
        self.repeated += len(self.diagnostics.found) == known

    def place_number(self, frame: Frame, node: ast.Node) -> int:
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

    # ---- declarations ----

    def file_constant(self, declared: Declared, name: str) -> Value:
        """The value of a constant of a file, evaluated once."""
        node = declared.node
        assert isinstance(node, ast.Constant)
        if node not in self._constants:
            for needed in self._needed_first(declared):
                with suppress(SpecError):  # said again where it is really used
                    self._evaluate(needed)
            self._evaluate(declared)
        value = self._constants[node].get(name)
        if value is None:
            raise _circular(declared, name)
        return value

    def _evaluate(self, declared: Declared) -> None:
        """Evaluates a constant of a file, which is there without a value until that is done."""
        node = declared.node
        assert isinstance(node, ast.Constant)
        if node in self._constants:
            return
        self._constants[node] = {}
        frame = Frame(
            self, Builder(closed=True), declared.module, {}, {}, "file", prefix="."
        )
        try:
            statements.one(frame, node.bind)
        except SpecError:
            del self._constants[node]
            raise
        self._constants[node] = frame.names

    def _needed_first(self, declared: Declared) -> list[Declared]:
        """The constants that one is defined by, over any number of others, in an order in which they can be evaluated.

        So a chain of them may be long. Of what goes round in a circle nothing is evaluated first: whether the
        values do so, too, turns out when they are asked for, unless that would take too many steps.
        """
        order: list[Declared] = []
        done: set[ast.Node] = set()
        waiting = {declared.node: (declared, iter(self._constants_in(declared)))}
        while waiting:
            current, rest = next(reversed(waiting.values()))
            following = next((each for each in rest if each.node not in done), None)
            if following is None:
                done.add(current.node)
                order.append(current)
                waiting.popitem()
            elif following.node in waiting:
                if len(waiting) > MOST_CALL_DEPTH:
                    raise _circular(following, following.node.name)
                return []
            else:
                rest = iter(self._constants_in(following))
                waiting[following.node] = (following, rest)
        return order[:-1]

    def _constants_in(self, declared: Declared) -> list[Declared]:
        """The constants of files, not evaluated yet, that stand in the definition of another one."""
        node = declared.node
        assert isinstance(node, ast.Constant)
        read = references.of_expressions(*node.bind.values).read
        names = dict.fromkeys(name.id for name in read)
        known = map(declared.module.names.get, names)
        return [
            each
            for each in known
            if each is not None
            and isinstance(each.node, ast.Constant)
            and each.node not in self._constants
        ]

    def variant(self, declared: Declared) -> tuple[Declared, apply.Arguments]:
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
        return found, apply.read_arguments(frame, node.arguments)

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
            self._made[key] = self.elaborate(callee, bound, location)
        function = self._made[key]
        rename = entering.renaming(function, bound)
        results = tuple(
            renamed_type(function.types[value], rename)
            for value in values_of(function.outputs)
        )
        return Specialised(function, bound.inputs(), results, bound.constants)

    def elaborate(
        self, callee: Declared, bound: binding.Bound, location: Location
    ) -> Function:
        """A new function of a block or model, its arguments bound. Raises `Poisoned` where it has faults."""
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
        builder = Builder(given=bound.model_inputs())
        labels = self.labels_of(node.body)
        frame = Frame(self, builder, callee.module, {}, labels, kind)
        before = self.main_frame
        if before is None:
            self.main_frame = frame
        frame.marks = statements.marks(frame, Marks(), node.annotations)
        own, frame.marks = frame.marks, Marks()
        ports = entering.enter(frame, bound)
        builder.inputs.update((port.name, port) for port in ports)
        outputs = self._run(frame, node)
        return self._function(frame, callee, bound, outputs, own, location)

    def _run(self, frame: Frame, node: ast.Block | ast.Model) -> tuple[Port, ...]:
        """Elaborates a body; gives its outputs."""
        values: list[Value] = []
        end = node.name_span
        try:
            statements.run(frame, node.body)
        except statements.Returned as returned:
            if isinstance(node, ast.Block):
                ports.check_results(frame, node.results, returned.values, returned.node)
            values, end = returned.values, returned.node.span
        if self.poisoned:
            raise Poisoned
        ports.check_weights(frame)
        if isinstance(node, ast.Model):
            return ports.model_outputs(frame, node)
        return ports.block_outputs(frame, values, node, end)

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
            inputs=tuple(builder.inputs.values()),
            outputs=outputs,
            nodes=tuple(builder.nodes),
            types=settled(builder.types, builder.running, outputs),
            structure=tuple(builder.items),
            running=dict(builder.running),
            dims=dict(builder.dims),
            location=Location(callee.module.file.source, node.name_span),
            marks=marks,
        )
        self.functions[function.key] = function
        return function

    # ---- functions that are inlined ----

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
            )
            self._enter_fn(frame, inner, callee, arguments, site)
            values = self._run_fn(inner, node)
        finally:
            self._calls.pop()
        if any(isinstance(value, Unknown) for value in values):
            raise Poisoned
        return values[0] if len(values) == 1 else Sequence(tuple(values), is_group=True)

    def _run_fn(self, inner: Frame, node: ast.Fn) -> list[Value]:
        """Elaborates the body of a `fn`; gives what it returns."""
        errors = len(self.diagnostics.found)
        try:
            statements.run(inner, node.body)
        except statements.Returned as returned:
            ports.check_results(inner, node.results, returned.values, returned.node)
            return returned.values
        if len(self.diagnostics.found) > errors:
            raise Poisoned
        raise inner.error(
            "E0508",
            f"the function `{node.name}` returns nothing",
            node.name_span,
            hint="end it with `return value`",
        )

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
            entering.enter_fn(frame, inner, callee, arguments, site)
        except SpecError as error:
            if inner.builder.closed:
                raise
            self.note(error)
            raise Poisoned from None


def _circular(constant: Declared, name: str) -> SpecError:
    location = Location(constant.module.file.source, constant.node.span)
    hint = "one of the constants that it needs must not need it"
    return SpecError("E0501", f"`{name}` is defined by itself", location, hint=hint)
