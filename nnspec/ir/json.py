"""Programs as JSON and back, without loss.

The form is described by `nnspec.ir.document`; its schema is published as `docs/program.schema.json`.
What is read back is checked as a stranger's: `program_from_json` raises `ProgramError` (a ValueError)
that says where the fault is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from fractions import Fraction
from math import inf, isfinite
from typing import Any, cast

from nnspec.ir import graph
from nnspec.ir.dims import Atom, Dim
from nnspec.ir.document import FORMAT, VERSION, Document
from nnspec.ir.json_read import ProgramError, Reader
from nnspec.ir.records import record_name
from nnspec.ir.terms import Term
from nnspec.ir.types import DType
from nnspec.ir.values import Builtin, Declared, OperatorName, Recipe
from nnspec.ops.base import Operator
from nnspec.ops.checked import fields_of
from nnspec.source import Location, Source

__all__ = ["ProgramError", "program_from_json", "program_schema", "program_to_json"]


def program_to_json(program: graph.Program) -> dict[str, Any]:
    """A program as data that `json.dumps` writes and `program_from_json` reads."""
    return _Writer().program(program)


def program_from_json(
    data: Any, operators: Mapping[str, type[Operator]]
) -> graph.Program:
    """The program that `program_to_json` wrote. Raises `ProgramError` for anything else.

    `operators` are those that the program may use: `nnspec.ops.OPS`, and a user's own.
    """
    return Reader(data, operators).program()


def program_schema() -> dict[str, Any]:
    """The JSON schema of programs."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class _Writer:
    """Turns parts into data; collects expressions and sources in tables on the way."""

    def __init__(self) -> None:
        self.expressions: list[dict[str, Any]] = []
        self.sources: list[Source] = []
        self._places: dict[tuple[str, ...], int] = {}
        self._source_places: dict[int, int] = {}

    def program(self, program: graph.Program) -> dict[str, Any]:
        functions = [
            self._function(function) for function in program.functions.values()
        ]
        requirements = [
            {"text": text, "size": self.dim(size)}
            for text, size in program.requirements
        ]
        budgets = [self._budget(budget) for budget in program.budgets]
        assumptions = program.assumptions
        bounds = {
            name: {"low": low, "high": high}
            for name, (low, high) in assumptions.bounds.items()
        }
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": program.name,
            "entry": program.entry,
            "source_name": program.source_name,
            "doc": program.doc,
            "symbols": list(program.symbols),
            "assumptions": {"bounds": bounds, "multiples": dict(assumptions.multiples)},
            "requirements": requirements,
            "budgets": budgets,
            "sources": [{"name": s.name, "text": s.text} for s in self.sources],
            "expressions": self.expressions,
            "functions": functions,
        }

    def _budget(self, budget: graph.CostBudget) -> dict[str, Any]:
        arguments = budget.arguments.items()
        return {
            "figure": budget.figure,
            "sizes": {name: v for name, v in arguments if isinstance(v, int)},
            "assumes": {name: v for name, v in arguments if isinstance(v, str)},
            "operator": budget.operator,
            "numerator": budget.limit.numerator,
            "denominator": budget.limit.denominator,
            "unit": budget.unit,
            "location": self._location(budget.location),
            "message": budget.message,
        }

    # ---- expressions ----

    def _put(self, key: tuple[str, ...], entry: dict[str, Any]) -> int:
        place = self._places[key] = len(self.expressions)
        self.expressions.append(entry)
        return place

    def dim(self, value: Dim) -> int:
        """The place of a dim in the table."""
        twin = None if value.generic is value else value.generic
        key = ("dim", value.key, "" if twin is None else f"={twin.key}")
        if key in self._places:
            return self._places[key]
        if value.constant is not None:
            terms = [{"coefficient": value.constant}] if value.constant else []
        else:
            terms = [
                {
                    "coefficient": coefficient,
                    "factors": [
                        {"atom": self._atom(atom), "power": power}
                        for atom, power in factors
                    ],
                }
                for factors, coefficient in value.terms
            ]
        entry: dict[str, Any] = {"kind": "dim", "terms": terms}
        if twin is not None:
            entry["generic"] = self.dim(twin)
        return self._put(key, entry)

    def _atom(self, atom: Atom) -> int:
        key = ("atom", atom.key)
        if key in self._places:
            return self._places[key]
        if atom.kind == "symbol":
            entry = {"kind": "symbol", "name": atom.symbol, "scale": atom.scale}
            return self._put(key, entry)
        if atom.opaque is not None:
            place = self.term(cast("Term", atom.opaque))
            return self._put(key, {"kind": "opaque", "term": place})
        arguments = [self.dim(argument) for argument in atom.arguments]
        if atom.bound:
            parts = zip(("value", "first", "stop"), arguments, strict=True)
            entry = {"kind": atom.kind, "turn": atom.bound, **dict(parts)}
            return self._put(key, entry)
        return self._put(key, {"kind": atom.kind, "arguments": arguments})

    def term(self, term: Term) -> int:
        """The place of a term in the table."""
        # By the places of its parts: written out as a whole, it may be too long.
        arguments = [self.value(argument) for argument in term.arguments]
        key = ("term", term.kind, repr(arguments))
        if key in self._places:
            return self._places[key]
        return self._put(
            key, {"kind": "term", "operator": term.kind, "arguments": arguments}
        )

    # ---- constants ----

    def value(self, value: Any) -> Any:
        """A constant of the spec, or a field of an operator."""
        match value:
            case DType():
                return {"kind": "dtype", "name": value.value}
            case None | bool() | int() | str():
                return value
            case float():
                return {"kind": "float", "value": _float(value)}
            case Fraction():
                return {
                    "kind": "fraction",
                    "numerator": value.numerator,
                    "denominator": value.denominator,
                }
            case Dim():
                return {"kind": "dim", "index": self.dim(value)}
            case Term():
                return {"kind": "term", "index": self.term(value)}
            case tuple() | list():
                items = cast("Iterable[Any]", value)
                return {"kind": "tuple", "items": [self.value(item) for item in items]}
            case Mapping():
                return {
                    "kind": "map",
                    "items": self._values(cast("Mapping[str, Any]", value)),
                }
            case _:
                return self._object(value)

    def _values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.value(value) for name, value in values.items()}

    def _object(self, value: Any) -> dict[str, Any]:
        match value:
            case OperatorName(name=name):
                return {"kind": "operator", "name": name}
            case Builtin(name=name):
                return {"kind": "builtin", "name": name}
            case Declared(node=node, module=module):
                place = self._source(module.file.source)
                names = [n for n, found in module.names.items() if found is value]
                name = names[0] if names else node.name  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
                return {"kind": "declared", "source": place, "name": name}
            case Recipe():
                return {
                    "kind": "recipe",
                    "callee": self.value(value.callee),
                    "arguments": [self.value(item) for item in value.arguments],
                    "keywords": self._values(value.keywords),
                }
            case _:
                kind = record_name(value)
                parts = {
                    part.name: getattr(value, part.name)
                    for part in fields(value)
                    if part.init
                }
                return {"kind": "record", "type": kind, "fields": self._values(parts)}

    # ---- functions ----

    def _function(self, function: graph.Function) -> dict[str, Any]:
        return {
            "key": function.key,
            "name": function.name,
            "kind": function.kind,
            "doc": function.doc,
            "parameters": [self._parameter(each) for each in function.parameters],
            "inputs": [_port(port) for port in function.inputs],
            "outputs": [_port(port) for port in function.outputs],
            "nodes": [self._node(node) for node in function.nodes],
            "types": [
                {
                    "id": number,
                    "dtype": kind.dtype.value,
                    "shape": [self.dim(size) for size in kind.shape],
                }
                for number, kind in function.types.items()
            ],
            "structure": [self._item(item) for item in function.structure],
            "running": {
                name: self._running(each) for name, each in function.running.items()
            },
            "dims": {name: self.dim(size) for name, size in function.dims.items()},
            "location": self._location(function.location),
            "marks": _marks(function.marks),
        }

    def _parameter(self, parameter: graph.Parameter) -> dict[str, Any]:
        return {
            "name": parameter.name,
            "value": self.value(parameter.value),
            "default": self.value(parameter.default),
            "has_default": parameter.has_default,
            "kind": parameter.kind,
        }

    def _running(self, running: graph.Running) -> dict[str, Any]:
        return {
            "symbol": running.symbol,
            "name": running.name,
            "axis": running.axis,
            "initial": self.dim(running.initial),
            "update": self.dim(running.update),
            "constant": running.constant,
            "same": running.same,
        }

    def _node(self, node: graph.Node) -> dict[str, Any]:
        return {
            "id": node.id,
            "inputs": [_argument(argument) for argument in node.inputs],
            "outputs": list(node.outputs),
            "path": list(node.path),
            "loops": list(node.loops),
            "location": self._location(node.location),
            "op": None if node.op is None else self._operator(node.op),
            "callee": node.callee,
            "weight": node.weight,
            "owns": node.owns,
            "terms": {name: self.term(term) for name, term in node.terms.items()},
            "arguments": self._values(node.arguments),
            "marks": _marks(node.marks),
            "lists": {name: self.term(term) for name, term in node.lists.items()},
        }

    def _operator(self, operator: Operator) -> dict[str, Any]:
        given = operator.given
        arguments = {
            name: self.value(getattr(operator, name))
            for name in fields_of(type(operator))
            if name in given
        }
        return {"name": type(operator).op_name(), "fields": arguments}

    def _location(self, location: Location) -> dict[str, int]:
        start, end = location.span
        return {"source": self._source(location.source), "start": start, "end": end}

    def _source(self, source: Source) -> int:
        if id(source) not in self._source_places:
            self._source_places[id(source)] = len(self.sources)
            self.sources.append(source)
        return self._source_places[id(source)]

    def _item(self, item: graph.Item) -> dict[str, Any]:
        match item:
            case graph.Step(node=node):
                return {"kind": "step", "node": node}
            case graph.Binding(name=name, value=value):
                return {"kind": "binding", "name": name, "value": value}
            case graph.Branch():
                return {
                    "kind": "branch",
                    "condition": self.term(item.condition),
                    "taken": item.taken,
                    "body": [self._item(inner) for inner in item.body],
                }
            case graph.Requirement():
                return {
                    "kind": "requirement",
                    "condition": self.term(item.condition),
                    "message": item.message,
                    "symbols": list(item.symbols),
                }
            case graph.Result(values=values):
                return {
                    "kind": "result",
                    "values": [_argument(each) for each in values],
                }
            case graph.Loop():
                return self._loop(item)

    def _taken(self, taken: graph.Taken) -> dict[str, Any]:
        return {
            "uid": taken.uid,
            "value": taken.value,
            "elements": self.term(taken.elements),
            "place": self.term(taken.place),
        }

    def _loop(self, loop: graph.Loop) -> dict[str, Any]:
        return {
            "kind": "loop",
            "uid": loop.uid,
            "pattern": _pattern(loop.pattern),
            "variables": list(loop.variables),
            "iterable": None if loop.iterable is None else self.term(loop.iterable),
            "iterations": [
                {
                    "values": self._values(turn.values),
                    "body": [self._item(inner) for inner in turn.body],
                    "taken": [self._taken(each) for each in turn.taken],
                }
                for turn in loop.iterations
            ],
            "carried": {name: list(values) for name, values in loop.carried.items()},
            "lists": {
                name: [self.term(term) for term in terms]
                for name, terms in loop.lists.items()
            },
            "elements": None if loop.elements is None else self.term(loop.elements),
            "constants": {
                name: [self.dim(value) for value in values]
                for name, values in loop.constants.items()
            },
        }


def _float(value: float) -> float | str:
    if isfinite(value):
        return value
    return "nan" if value != value else "inf" if value == inf else "-inf"


def _argument(argument: graph.Argument) -> Any:
    return list(argument) if isinstance(argument, tuple) else argument


def _port(port: graph.Port) -> dict[str, Any]:
    return {"name": port.name, "values": _argument(port.values), "listed": port.listed}


def _marks(marks: graph.Marks) -> dict[str, Any]:
    return {
        "frozen": marks.frozen,
        "checkpoint": marks.checkpoint,
        "device": marks.device,
    }


def _pattern(pattern: Any) -> Any:
    if isinstance(pattern, str):
        return pattern
    return {"items": [_pattern(item) for item in pattern]}
