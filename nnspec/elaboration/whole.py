"""The whole of an elaboration: from a model or variant to its program."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.diagnostics import SpecError
from nnspec.elaboration import binding
from nnspec.elaboration.apply import Arguments, Site
from nnspec.elaboration.elaboration import Elaboration
from nnspec.elaboration.frame import Builder, Frame
from nnspec.ir.dims import ONE, Dim
from nnspec.ir.graph import Function, Program
from nnspec.ir.values import Declared, Poisoned, Value
from nnspec.source import Location, Span
from nnspec.syntax import ast


def whole_program(
    elaboration: Elaboration,
    declared: Declared,
    settings: Mapping[str, Value],
    source_name: str,
) -> Program | None:
    """The program of a model or variant; None where faults were noted.

    `settings` override the model's constants.
    """
    location = Location(declared.module.file.source, declared.node.name_span)
    name = declared.node.name
    try:
        arguments, place = Arguments(), declared.node.name_span
        if isinstance(declared.node, ast.Variant):
            place = declared.node.model_span
            declared, arguments = elaboration.variant(declared)
        arguments = _overridden(declared, arguments, settings)
        frame = Frame(elaboration, Builder(), declared.module, {}, {}, "file")
        site = Site(ast.NoneLiteral(place), None)
        bound = binding.bind(frame, declared, arguments, site, entry=True)
        function = elaboration.elaborate(declared, bound, location)
    except SpecError as error:
        elaboration.note(error)
        return None
    except Poisoned:
        return None
    if elaboration.poisoned:
        return None
    return Program(
        name=name,
        entry=function.key,
        functions=_reachable(elaboration.functions, function),
        symbols=tuple(elaboration.symbols),
        assumptions=elaboration.assumptions,
        source_name=source_name,
        doc=declared.module.file.doc,
        requirements=_implied(elaboration),
        budgets=tuple(elaboration.cost_budgets),
    )


def _implied(elaboration: Elaboration) -> tuple[tuple[str, Dim], ...]:
    """Sizes that are at least 1 only if the symbols are large enough."""
    seen: set[Dim] = set()
    found: list[Dim] = []
    for function in elaboration.functions.values():
        sizes = [size for kind in function.types.values() for size in kind.shape]
        for size in (*sizes, *function.implied()):
            if size.is_constant or size in seen:
                continue
            seen.add(size)
            if not elaboration.assumptions.holds(">=", size, ONE):
                found.append(size.value)
    return tuple((str(size), size) for size in found)


def _overridden(
    declared: Declared, given: Arguments, settings: Mapping[str, Value]
) -> Arguments:
    """What a variant gives its model, by name, with settings in place of some of it."""
    assert isinstance(declared.node, ast.Model)
    names = [parameter.name for parameter in declared.node.parameters]
    named = dict(zip(names, given.positional, strict=False))
    if len(named) < len(given.positional) or not named.keys().isdisjoint(
        given.keywords
    ):
        return given  # to be refused
    spans: dict[str | int, Span] = {
        names[key] if isinstance(key, int) else key: span
        for key, span in given.spans.items()
    }
    return Arguments(given.fed, [], {**named, **given.keywords, **settings}, spans)


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
