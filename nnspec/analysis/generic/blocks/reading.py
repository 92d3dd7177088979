"""What the terms of blocks mean in the constants of the model, by their kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nnspec.analysis.generic.blocks.values import (
    Names,
    Unsaid,
    computed,
    concrete,
    integer,
    plain,
)
from nnspec.analysis.generic.reasons import PLACED
from nnspec.ir.dims import Dim, dim

if TYPE_CHECKING:
    from nnspec.analysis.generic.blocks.constants import Constants


def _literal(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    value = arguments[0]
    return dim(value) if type(value) is int else value


def _name(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    if arguments[0] not in names:
        raise Unsaid(arguments[0])
    return names[arguments[0]]


def _dim(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    """A term holds a twin itself; its value is found by the names."""
    twin: Dim = arguments[0].generic
    generic = constants.generic(twin, names)
    values = {name: concrete(value) for name, value in names.items()}
    return constants.generic(twin, values).named(generic)


def _several(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    return tuple(constants.term(part, names) for part in arguments)


def _index(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    items, place = (constants.term(part, names) for part in arguments)
    position = integer(place)
    constants.note("==", position.generic, position.value, PLACED)
    return constants.elements(items)[int(position)]


def _slice(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    items, *bounds = (constants.term(part, names) for part in arguments)
    constants.fix(tuple(bounds))
    return constants.elements(items)[slice(*(plain(bound) for bound in bounds))]


def _all(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    return all(constants.truth(part, names) for part in arguments)


def _any(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    return any(constants.truth(part, names) for part in arguments)


def _not(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    return not constants.truth(arguments[0], names)


def _negate(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    return computed("-", dim(0), constants.term(arguments[0], names))


def _choice(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    chosen = 1 if constants.truth(arguments[0], names) else 2
    return constants.term(arguments[chosen], names)


def _compare(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    sign, left, right = arguments
    one, other = constants.term(left, names), constants.term(right, names)
    if sign == "in":
        return any(
            constants.decide("==", one, item) for item in constants.elements(other)
        )
    return constants.decide(sign, one, other)


def _arithmetic(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    sign, left, right = arguments
    return computed(sign, constants.term(left, names), constants.term(right, names))


def _called(constants: Constants, arguments: tuple[Any, ...], names: Names) -> Any:
    name, *parts = arguments
    return constants.call(name, *(constants.term(part, names) for part in parts))


READERS: dict[str, Callable[[Constants, tuple[Any, ...], Names], Any]] = {
    "literal": _literal,
    "name": _name,
    "dim": _dim,
    "list": _several,
    "tuple": _several,
    "index": _index,
    "slice": _slice,
    "and": _all,
    "or": _any,
    "not": _not,
    "negate": _negate,
    "choice": _choice,
    "compare": _compare,
    "arithmetic": _arithmetic,
    "call": _called,
}
