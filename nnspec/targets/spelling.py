"""Sizes and terms as Python expressions, in whatever names a place has for them."""

from __future__ import annotations

import math as python_math
from collections.abc import Callable, Mapping
from typing import Any

from nnspec.ir import dims
from nnspec.ir.dims import Atom, Dim, DimError
from nnspec.ir.signs import ARITHMETIC, COMPARISONS
from nnspec.ir.terms import Term
from nnspec.ir.types import DType
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name, Namespace

math = Namespace("math")

# What a name stands for in a place: a size symbol, or a constant by its name. None: nothing.
Resolver = Callable[[str], Expr | None]


class Unspellable(Exception):
    """Something has no name in this place."""


def spell_size(value: Dim, resolve: Resolver) -> Expr:
    """An integer as an expression. Raises `Unspellable`."""
    if value.constant is not None:
        return Literal(value.constant)
    result: Expr | None = None
    for monomial, coefficient in value.terms:
        term = _spell_term(monomial, abs(coefficient), resolve)
        if result is None:
            result = -term if coefficient < 0 else term
        else:
            result = result - term if coefficient < 0 else result + term
    assert result is not None
    return result


def _spell_term(monomial: dims.Monomial, coefficient: int, resolve: Resolver) -> Expr:
    factors: list[Expr] = []
    for atom, power in monomial:
        if atom.kind == "symbol" and atom.scale > 1 and power == 1:
            factor, coefficient = _spell_scaled(atom, coefficient, resolve)
            factors.append(factor)
            continue
        base = _spell_atom(atom, resolve)
        factors.append(base**power if power > 1 else base)
    if coefficient != 1 or not factors:
        factors.insert(0, Literal(coefficient))
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _spell_scaled(atom: Atom, coefficient: int, resolve: Resolver) -> tuple[Expr, int]:
    """`coefficient * (H // scale)`, as a multiple or a quotient of H where it is one."""
    whole = _resolved(atom.symbol, resolve)
    if coefficient % atom.scale == 0:
        return whole, coefficient // atom.scale
    if atom.scale % coefficient == 0:
        return whole // Literal(atom.scale // coefficient), 1
    return whole // Literal(atom.scale), coefficient


def _spell_atom(atom: Atom, resolve: Resolver) -> Expr:
    if atom.kind == "symbol":
        found = _resolved(atom.symbol, resolve)
        return found if atom.scale == 1 else found // Literal(atom.scale)
    if atom.opaque is not None:
        assert isinstance(atom.opaque, Term)
        return spell_term(atom.opaque, resolve)
    if atom.bound:
        raise Unspellable("what is found over the turns of a loop")
    parts = [spell_size(argument, resolve) for argument in atom.arguments]
    match atom.kind:
        case "//":
            return parts[0] // parts[1]
        case "%":
            return parts[0] % parts[1]
        case "^":
            return parts[0] ** parts[1]
        case _:
            return Name(atom.kind)(*parts)


def _resolved(symbol: str, resolve: Resolver) -> Expr:
    found = resolve(symbol)
    if found is None:
        raise Unspellable(symbol)
    return found


_PYTHON_CALLS = frozenset(
    (
        "abs",
        "all",
        "any",
        "enumerate",
        "len",
        "max",
        "min",
        "range",
        "reversed",
        "sum",
        "zip",
    )
)
_MATH_CALLS = frozenset({"isqrt", "sqrt", "log", "exp"})


def spell_term(term: Term, resolve: Resolver) -> Expr:
    """A term as an expression. Raises `Unspellable`."""
    kind, arguments = term.kind, term.arguments
    if kind == "literal":
        return spell_literal(arguments[0])
    if kind == "name":
        return _resolved(arguments[0], resolve)
    if kind == "dim":
        return spell_size(arguments[0].generic, resolve)
    if kind == "call":
        return _spell_call(arguments[0], arguments[1:], resolve)
    if kind in ("compare", "arithmetic"):
        return _spell_binary(term, resolve)
    parts = [spell_term(part, resolve) for part in arguments]
    match kind:
        case "list" | "tuple":
            return tree.Display(kind, tuple(parts))
        case "index":
            return parts[0][parts[1]]
        case "slice":
            bounds = [None if _is_none(part) else part for part in parts[1:]]
            return parts[0][tree.Slice(*bounds)]
        case "and" | "or":
            result = parts[0]
            for part in parts[1:]:
                result = tree.Binary(kind, result, part)
            return result
        case "not":
            return _negated(parts[0])
        case "negate":
            return -parts[0]
        case _:
            return _chosen(*parts)


def _negated(condition: Expr) -> Expr:
    if isinstance(condition, Literal):
        return Literal(not condition.value)
    return tree.Unary("not", condition)


def _chosen(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    if isinstance(condition, Literal):
        return then if condition.value else otherwise
    return tree.Choice(condition, then, otherwise)


def _spell_binary(term: Term, resolve: Resolver) -> Expr:
    symbol, *sides = term.arguments
    left, right = (spell_term(side, resolve) for side in sides)
    if symbol == "+" and any(_is_list(side) for side in sides):
        # A parameter may be a list or a tuple, and Python adds those only to their like.
        return tree.Display("list", (*_elements(left), *_elements(right)))
    return tree.Binary("**" if symbol == "^" else symbol, left, right)


def _is_list(term: Term) -> bool:
    if term.kind == "arithmetic":
        return any(_is_list(side) for side in term.arguments[1:])
    value = term.arguments[0] if term.kind == "literal" else None
    return term.kind in ("list", "slice") or isinstance(value, tuple | list)


def _elements(part: Expr) -> tuple[Expr, ...]:
    return part.items if isinstance(part, tree.Display) else (tree.Star(part),)


def _is_none(part: Expr) -> bool:
    return isinstance(part, Literal) and part.value is None


def _spell_call(name: str, arguments: tuple[Term, ...], resolve: Resolver) -> Expr:
    # Python's ceil and floor of floats are not exact, as those of the language are.
    if name not in _PYTHON_CALLS and name not in _MATH_CALLS:
        raise Unspellable(name)
    parts = [spell_term(argument, resolve) for argument in arguments]
    if name in _MATH_CALLS:
        return tree.Attribute(Name("math"), name)(*parts)
    if name == "zip":  # lists of one length, as in the language
        return Name(name)(*parts, strict=True)
    return Name(name)(*parts)


def spell_literal(value: Any) -> Expr:
    """A constant as a literal. Raises `Unspellable` for what is none."""
    if isinstance(value, Dim) and value.is_constant:
        return Literal(int(value))
    if isinstance(value, tuple | list):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        kind = "list" if isinstance(value, list) else "tuple"
        return tree.Display(kind, tuple(spell_literal(item) for item in items))
    if isinstance(value, DType):
        return Literal(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return Literal(value)
    raise Unspellable(repr(value))


# ---- values -----------------------------------------------------------------------------------------


class NoValue(Exception):
    """A term has no value under these meanings of its names."""


def size_at(value: Dim, meanings: Mapping[str, Any]) -> Dim:
    """A size with its names given values. Raises `NoValue`."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind == "symbol":
            found = meanings.get(atom.symbol)
            if not isinstance(found, Dim):
                raise NoValue(atom.symbol)
            return found.value // atom.scale if atom.scale > 1 else found.value
        if isinstance(atom.opaque, Term):
            found = term_at(atom.opaque, meanings)
            if not isinstance(found, Dim):
                raise NoValue(atom.key)
            return found
        return None

    try:
        return value.value.substitute(replace)
    except DimError as error:
        raise NoValue(str(error)) from None


def term_at(term: Term, meanings: Mapping[str, Any]) -> Any:
    """The value of a term with its names given values. Raises `NoValue`."""
    try:
        return _term_at(term, meanings)
    except (
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        ArithmeticError,
        DimError,
    ) as error:
        raise NoValue(str(error)) from None


def _term_at(term: Term, meanings: Mapping[str, Any]) -> Any:
    kind, arguments = term.kind, term.arguments
    if kind == "literal":
        return arguments[0]
    if kind == "name":
        if arguments[0] not in meanings:
            raise NoValue(arguments[0])
        return meanings[arguments[0]]
    if kind == "dim":
        return size_at(arguments[0].generic, meanings)
    if kind in ("compare", "arithmetic"):
        symbol, *sides = arguments
        left, right = (_plain(_term_at(side, meanings)) for side in sides)
        return boxed(_OPERATIONS[symbol](left, right))
    if kind == "choice":
        chosen = 1 if _term_at(arguments[0], meanings) else 2
        return _term_at(arguments[chosen], meanings)
    if kind == "and":
        return all(_term_at(part, meanings) for part in arguments)
    if kind == "or":
        return any(_term_at(part, meanings) for part in arguments)
    if kind == "call":
        if arguments[0] not in _CALLS:
            raise NoValue(arguments[0])
        values = [_plain(_term_at(argument, meanings)) for argument in arguments[1:]]
        return boxed(_CALLS[arguments[0]](*values))
    parts = [_term_at(part, meanings) for part in arguments]
    match kind:
        case "list" | "tuple":
            return tuple(parts)
        case "index":
            return parts[0][int(parts[1])]
        case "slice":
            return parts[0][slice(*(_plain(part) for part in parts[1:]))]
        case "not":
            return not parts[0]
        case "negate":
            return -parts[0]
        case _:
            raise NoValue(kind)


def _plain(value: Any) -> Any:
    if isinstance(value, Dim) and value.is_constant:
        return int(value)
    if isinstance(value, tuple):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        return tuple(_plain(item) for item in items)
    return value


def boxed(value: Any) -> Any:
    """A constant as the language has it: whole numbers are sizes."""
    return dims.dim(value) if type(value) is int else value


_OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    **COMPARISONS,
    **ARITHMETIC,
    "in": lambda item, items: item in items,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "len": len,
    "range": lambda *bounds: tuple(range(*bounds)),
    "sum": sum,
    "min": min,
    "max": max,
    "abs": abs,
    "any": any,
    "all": all,
    "isqrt": python_math.isqrt,
    "sqrt": python_math.sqrt,
    "log": python_math.log,
    "exp": python_math.exp,
}
