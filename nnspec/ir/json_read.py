"""Reading programs from JSON. The data is a stranger's: every reference in it is checked."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from nnspec.ir import document, graph
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import (
    HIGHEST_POWER,
    Atom,
    Dim,
    DimError,
    Monomial,
    atom_over_turns,
    polynomial,
)
from nnspec.ir.records import make_record
from nnspec.ir.term_form import require_form
from nnspec.ir.terms import Term
from nnspec.ir.types import DType, TensorType
from nnspec.ir.values import Builtin, Declared, Module, OperatorName, Recipe
from nnspec.ops.base import Operator
from nnspec.source import Location, Source, Span

_T = TypeVar("_T")


class ProgramError(ValueError):
    """Data that is no program. The text says where the fault is, and what it is."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path or 'the program'}: {message}")
        self.path = path


class Reader:
    """One document on its way to a program; keeps the path to what it reads."""

    def __init__(self, data: Any, operators: Mapping[str, type[Operator]]) -> None:
        self.document = _document(data)
        self.operators = operators
        self.expressions: list[Dim | Term | Atom] = []
        self.sources = [Source(s.name, s.text) for s in self.document.sources]
        self._modules: dict[int, Module] = {}
        self._path: list[str] = []

    # ---- faults ----

    @contextmanager
    def _at(self, *parts: str | int) -> Generator[None]:
        """Inside, faults are reported at this place."""
        for part in parts:
            self._path.append(f"[{part}]" if isinstance(part, int) else f".{part}")
        yield
        del self._path[-len(parts) :]

    def _fault(self, message: str) -> ProgramError:
        return ProgramError("".join(self._path).lstrip("."), message)

    def _checked(self, make: Callable[[], _T]) -> _T:
        """What `make` gives; its complaints become faults at this place."""
        try:
            return make()
        except (DimError, ValueError, TypeError) as error:
            if isinstance(error, ProgramError):
                raise
            raise self._fault(str(error)) from None

    def _each(
        self, name: str, items: Iterable[Any], read: Callable[[Any], _T]
    ) -> tuple[_T, ...]:
        found: list[_T] = []
        for place, item in enumerate(items):
            with self._at(name, place):
                found.append(read(item))
        return tuple(found)

    # ---- the whole ----

    def program(self) -> graph.Program:
        """The program. Raises `ProgramError`."""
        from nnspec.ir.verify import VerificationError, verify_program

        source = self.document
        for place, expression in enumerate(source.expressions):
            with self._at("expressions", place):
                self.expressions.append(
                    self._checked(lambda e=expression: self._expression(e))
                )
        functions: dict[str, graph.Function] = {}
        for function in self._each("functions", source.functions, self._function):
            if function.key in functions:
                raise self._fault(f"two functions have the key `{function.key}`")
            functions[function.key] = function
        bounds = {
            name: (b.low, b.high) for name, b in source.assumptions.bounds.items()
        }
        program = graph.Program(
            name=source.name,
            entry=source.entry,
            functions=functions,
            symbols=tuple(source.symbols),
            assumptions=Assumptions(bounds, source.assumptions.multiples),
            source_name=source.source_name,
            doc=source.doc,
            requirements=self._each(
                "requirements",
                source.requirements,
                lambda r: (r.text, self.dim(r.size)),
            ),
            budgets=self._each("budgets", source.budgets, self._budget),
        )
        try:
            verify_program(program)
        except VerificationError as error:
            raise ProgramError("the program", str(error)) from None
        return program

    def _budget(self, part: document.BudgetPart) -> graph.CostBudget:
        return graph.CostBudget(
            figure=part.figure,
            arguments={**part.sizes, **part.assumes},
            operator=part.operator,
            limit=Fraction(part.numerator, part.denominator),
            unit=part.unit,
            location=self._location(part.location),
            message=part.message,
        )

    # ---- expressions ----

    def _expression(self, part: document.Expression) -> Dim | Term | Atom:
        match part:
            case document.SymbolExpression():
                return Atom("symbol", symbol=part.name, scale=part.scale)
            case document.OperationExpression():
                if part.kind in ("//", "%", "^") and len(part.arguments) != 2:
                    raise self._fault(f"`{part.kind}` takes two arguments")
                arguments = tuple(self.dim(index).value for index in part.arguments)
                if part.kind in ("//", "%") and arguments[1] == 0:
                    raise self._fault(f"`{part.kind}` divides by 0")
                return Atom(part.kind, arguments)
            case document.TurnsExpression():
                value, first, stop = (
                    self.dim(index).value
                    for index in (part.value, part.first, part.stop)
                )
                if part.turn in first.symbols() | stop.symbols():
                    raise self._fault(f"the turns of `{part.turn}` depend on it")
                return atom_over_turns(part.kind, value, part.turn, first, stop)
            case document.OpaqueExpression():
                return Atom("opaque", opaque=self.term(part.term))
            case document.DimExpression():
                return self._sum(part)
            case document.TermExpression():
                values = tuple(self.value(value) for value in part.arguments)
                require_form(part.operator, values)
                return Term(part.operator, values)

    def _sum(self, part: document.DimExpression) -> Dim:
        terms: list[tuple[Monomial, int]] = []
        for each in part.terms:
            factors = {self._known(f.atom, Atom): f.power for f in each.factors}
            if any(power > HIGHEST_POWER for power in factors.values()):
                raise self._fault(f"a power is higher than {HIGHEST_POWER}")
            ordered = tuple(sorted(factors.items(), key=lambda factor: factor[0].key))
            terms.append((ordered, each.coefficient))
        value = polynomial(terms)
        return value if part.generic is None else value.named(self.dim(part.generic))

    def _known(self, index: int, kind: type[_T]) -> _T:
        """An expression that has been read. Later ones cannot be named, so there are no circles."""
        found = self.expressions[index] if index < len(self.expressions) else None
        if not isinstance(found, kind):
            raise self._fault(
                f"expression {index} is no {kind.__name__.lower()} before this"
            )
        return found

    def dim(self, index: int) -> Dim:
        """The dim at a place of the table."""
        return self._known(index, Dim)

    def term(self, index: int) -> Term:
        """The term at a place of the table."""
        return self._known(index, Term)

    # ---- constants ----

    def value(self, part: document.Value) -> Any:
        """A constant."""
        match part:
            case document.FloatValue():
                return float(part.value)
            case document.FractionValue():
                return Fraction(part.numerator, part.denominator)
            case document.DimValue():
                return self.dim(part.index)
            case document.TermValue():
                return self.term(part.index)
            case document.DtypeValue():
                return self._checked(lambda: DType(part.name))
            case document.TupleValue():
                return tuple(self.value(item) for item in part.items)
            case document.MapValue():
                return self._values(part.items)
            case document.RecordValue():
                fields = self._values(part.fields)
                return self._checked(lambda: make_record(part.type, fields))
            case document.OperatorValue() | document.DeclaredValue():
                return self._callee(part)
            case document.RecipeValue():
                arguments = tuple(self.value(item) for item in part.arguments)
                callee = cast("Declared | OperatorName", self._callee(part.callee))
                return Recipe(callee, arguments, self._values(part.keywords))
            case _:
                return part

    def _values(self, parts: Mapping[str, document.Value]) -> dict[str, Any]:
        return {name: self.value(part) for name, part in parts.items()}

    def _callee(
        self, part: document.OperatorValue | document.DeclaredValue
    ) -> OperatorName | Builtin | Declared:
        if isinstance(part, document.DeclaredValue):
            found = self._module(part.source).names.get(part.name)
            if found is None:
                raise self._fault(f"source {part.source} declares no `{part.name}`")
            return found
        if part.kind == "builtin":
            return Builtin(part.name)
        if part.name not in self.operators:
            raise self._fault(f"there is no operator named `{part.name}`")
        return OperatorName(part.name, self.operators[part.name])

    def _module(self, index: int) -> Module:
        if index not in self._modules:
            from nnspec.diagnostics import Diagnostics
            from nnspec.modules import Loader

            diagnostics = Diagnostics()
            self._modules[index] = Loader(diagnostics).module(self._source(index))
            if diagnostics.found:
                raise self._fault(f"source {index} has faults")
        return self._modules[index]

    # ---- functions ----

    def _function(self, part: document.FunctionPart) -> graph.Function:
        types: dict[int, TensorType] = {}
        for kind in self._each(
            "types", part.types, lambda each: (each.id, self._type(each))
        ):
            types[kind[0]] = kind[1]
        with self._at("running"):
            running = {name: self._running(each) for name, each in part.running.items()}
        return graph.Function(
            key=part.key,
            name=part.name,
            kind=part.kind,
            doc=part.doc,
            parameters=self._each("parameters", part.parameters, self._parameter),
            inputs=self._each("inputs", part.inputs, _port),
            outputs=self._each("outputs", part.outputs, _port),
            nodes=self._each("nodes", part.nodes, self._node),
            types=types,
            structure=self._each("structure", part.structure, self._item),
            running=running,
            dims={name: self.dim(index) for name, index in part.dims.items()},
            location=self._location(part.location),
            marks=_marks(part.marks),
        )

    def _type(self, part: document.TypePart) -> TensorType:
        dtype = self._checked(lambda: DType(part.dtype))
        return TensorType(tuple(self.dim(index) for index in part.shape), dtype)

    def _parameter(self, part: document.ParameterPart) -> graph.Parameter:
        value, default = self.value(part.value), self.value(part.default)
        return graph.Parameter(part.name, value, default, part.has_default, part.kind)

    def _running(self, part: document.RunningPart) -> graph.Running:
        initial, update = self.dim(part.initial), self.dim(part.update)
        return graph.Running(
            part.symbol,
            part.name,
            part.axis,
            initial,
            update,
            part.constant,
            part.same,
        )

    def _node(self, part: document.NodePart) -> graph.Node:
        return graph.Node(
            id=part.id,
            inputs=tuple(_argument(each) for each in part.inputs),
            outputs=tuple(part.outputs),
            path=tuple(part.path),
            loops=tuple(part.loops),
            location=self._location(part.location),
            op=None if part.op is None else self._operator(part.op),
            callee=part.callee,
            weight=part.weight,
            owns=part.owns,
            terms={name: self.term(index) for name, index in part.terms.items()},
            arguments=self._values(part.arguments),
            marks=_marks(part.marks),
            lists={name: self.term(index) for name, index in part.lists.items()},
        )

    def _operator(self, part: document.OperatorPart) -> Operator:
        if part.name not in self.operators:
            raise self._fault(f"there is no operator named `{part.name}`")
        fields = self._values(part.fields)
        return self._checked(lambda: self.operators[part.name](**fields))

    def _location(self, part: document.LocationPart) -> Location:
        source = self._source(part.source)
        if not part.start <= part.end <= len(source.text):
            raise self._fault(f"the location lies outside of source {part.source}")
        return Location(source, Span(part.start, part.end))

    def _source(self, index: int) -> Source:
        if index >= len(self.sources):
            raise self._fault(f"there is no source {index}")
        return self.sources[index]

    # ---- structure ----

    def _item(self, part: document.Item) -> graph.Item:
        match part:
            case document.StepItem():
                return graph.Step(part.node)
            case document.BindingItem():
                return graph.Binding(part.name, part.value)
            case document.BranchItem():
                body = self._each("body", part.body, self._item)
                return graph.Branch(self.term(part.condition), part.taken, body)
            case document.RequirementItem():
                condition = self.term(part.condition)
                return graph.Requirement(condition, part.message, tuple(part.symbols))
            case document.ResultItem():
                return graph.Result(tuple(_argument(each) for each in part.values))
            case document.LoopItem():
                return self._loop(part)

    def _taken(self, part: document.TakenPart) -> graph.Taken:
        elements, place = self.term(part.elements), self.term(part.place)
        return graph.Taken(part.uid, part.value, elements, place)

    def _loop(self, part: document.LoopItem) -> graph.Loop:
        return graph.Loop(
            uid=part.uid,
            pattern=_pattern(part.pattern),
            variables=tuple(part.variables),
            iterable=None if part.iterable is None else self.term(part.iterable),
            iterations=self._each(
                "iterations",
                part.iterations,
                lambda turn: graph.Iteration(
                    self._values(turn.values),
                    self._each("body", turn.body, self._item),
                    self._each("taken", turn.taken, self._taken),
                ),
            ),
            carried={name: tuple(values) for name, values in part.carried.items()},
            lists={
                name: tuple(self.term(index) for index in terms)
                for name, terms in part.lists.items()
            },
            elements=None if part.elements is None else self.term(part.elements),
            constants={
                name: tuple(self.dim(index) for index in values)
                for name, values in part.constants.items()
            },
        )


def _document(data: Any) -> document.Document:
    try:
        return document.Document.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}"
            for part in first["loc"]
        )
        raise ProgramError(path.lstrip("."), first["msg"]) from None
    except RecursionError:
        raise ProgramError("", "it is nested too deeply") from None


def _argument(part: document.ArgumentPart) -> graph.Argument:
    return tuple(part) if isinstance(part, list) else part


def _port(part: document.PortPart) -> graph.Port:
    return graph.Port(part.name, _argument(part.values), part.listed)


def _marks(part: document.MarksPart) -> graph.Marks:
    return graph.Marks(part.frozen, part.checkpoint, part.device)


def _pattern(part: str | document.PatternPart) -> Any:
    if isinstance(part, str):
        return part
    return tuple(_pattern(item) for item in part.items)
