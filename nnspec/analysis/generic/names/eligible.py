"""The constants of a model that formulas may have as names: integers, and the elements of lists of integers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn, cast

from nnspec.analysis.generic.names.parts import parts_of
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Parameter, Program


def asked(program: Program, constants: Collection[str] | None) -> list[Parameter]:
    """The constants that are to be names. Raises `SpecError` for one that cannot be."""
    parameters = {each.name: each for each in program.main.parameters}
    if constants is None:
        return [each for each in parameters.values() if are_integers(each)]
    for name in constants:
        if name not in parameters:
            _refuse(program, name, parameters)
        if not are_integers(parameters[name]):
            raise SpecError(
                "E0905",
                f"`{name}` is no integer, and figures are formulas in integers",
                hint=_possible(parameters.values()),
            )
    return [parameters[name] for name in dict.fromkeys(constants)]


def _refuse(
    program: Program, name: str, parameters: Mapping[str, Parameter]
) -> NoReturn:
    if name in program.symbols:
        message = f"`{name}` is a size, which every formula has as a name"
    else:
        message = f"`{program.name}` has no constant named `{name}`"
    hint = did_you_mean(name, parameters) or _possible(parameters.values())
    raise SpecError("E0905", message, hint=hint)


def _possible(parameters: Iterable[Parameter]) -> str:
    names = [f"`{each.name}`" for each in parameters if are_integers(each)]
    return (
        f"its integer constants are {', '.join(names)}"
        if names
        else "it has no integer constants"
    )


def are_integers(parameter: Parameter) -> bool:
    """Whether a constant is an integer, or a list of integers."""
    items = items_of(parameter)
    if items is not None:
        return bool(items) and all(map(_is_integer, items))
    return _is_integer(parameter.value)


def items_of(parameter: Parameter) -> tuple[Dim, ...] | None:
    """The elements of a list."""
    value = parameter.value
    return cast("tuple[Dim, ...]", value) if isinstance(value, tuple) else None


def _is_integer(value: Any) -> bool:
    return isinstance(value, Dim) and value.is_constant


def with_numbers(program: Program, numbers: Mapping[str, int]) -> dict[str, Any]:
    """The constants that have other numbers, those in lists named as formulas name them (`depths[0]`)."""
    found: dict[str, Any] = {}
    for each in program.main.parameters:
        items = items_of(each)
        names = [each.name] if items is None else _elements(each.name, len(items))
        if numbers.keys().isdisjoint(names):
            continue
        known = [each.value] if items is None else items
        values = [numbers.get(n, v) for n, v in zip(names, known, strict=True)]
        plain = list(map(int, values))
        found[each.name] = plain[0] if items is None else plain
    return found


def differs_only(other: Program, program: Program, numbers: Mapping[str, int]) -> bool:
    """Whether another program has the same constants but for these numbers, and free sizes of the same multiples."""
    if not _are_multiples_alike(other, program):
        return False
    mine, others = (
        {each.name: each.value for each in one.main.parameters}
        for one in (program, other)
    )
    changed = with_numbers(program, numbers)
    return with_numbers(other, numbers) == changed and all(
        mine[name] == value for name, value in others.items() if name not in changed
    )


def _are_multiples_alike(one: Program, other: Program) -> bool:
    """Whether free sizes have to be multiples of the same, in constants if not as these are."""
    said = [
        {part.size: part.divisor.key for part in parts_of(each, _integers(each))}
        for each in (one, other)
    ]
    left = [
        {size: m for size, m in each.assumptions.multiples.items() if size not in parts}
        for each, parts in zip((one, other), said, strict=True)
    ]
    return said[0] == said[1] and left[0] == left[1]


def _integers(program: Program) -> set[str]:
    return {each.name for each in program.main.parameters}


def _elements(name: str, count: int) -> list[str]:
    return [f"{name}[{place}]" for place in range(count)]
