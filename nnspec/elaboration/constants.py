"""Arithmetic of constants: integers exactly, the rest as Python does it, each with its term."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nnspec.ir import dims
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, DimError, dim
from nnspec.ir.signs import COMPARISONS
from nnspec.ir.terms import Term, Traced
from nnspec.ir.values import Sequence, Tensor, Value, as_term, kind_of, plain, term_of
from nnspec.records import dataclass

LARGEST_LIST = 200_000


class ConstantError(Exception):
    """An operation on constants that has no result."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True, slots=True)
class Ratio:
    """An exact quotient of integer expressions (inside `ceil`, `floor` and `int`)."""

    above: Dim
    below: Dim


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit: 24GiB, 4.2GMACs."""

    value: Fraction
    unit: str


def arithmetic(symbol: str, left: Value, right: Value, *, exact: bool = False) -> Value:
    """`left symbol right` for one of + - * / // % ^. Raises `ConstantError`."""
    if isinstance(left, Dim) and isinstance(right, Dim):
        result = _integers(symbol, left, right, exact)
        if result is not None:
            return result
    if symbol == "+" and isinstance(left, Sequence) and isinstance(right, Sequence):
        return _joined(left, right)
    if exact and symbol in "+-*/" and _ratio(left) and _ratio(right):
        return _traced(
            symbol, left, right, _exactly(symbol, _ratio(left), _ratio(right))
        )
    return _traced(symbol, left, right, _floats(symbol, left, right))


def negated(value: Value) -> Value:
    """`-value`"""
    if isinstance(value, Dim):
        return -value
    if isinstance(value, Traced) and isinstance(value.value, float | Fraction):
        term = value.term and Term("negate", (value.term,))
        return Traced(-value.value, term)
    raise ConstantError("E0320", f"`-` needs a number, and this is {kind_of(value)}")


def _integers(symbol: str, left: Dim, right: Dim, exact: bool) -> Value | None:
    try:
        match symbol:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "//":
                return left // right
            case "%":
                return left % right
            case "^":
                negative = right.is_constant and int(right) < 0
                return None if negative else left**right
            case _:
                return (
                    Traced(Ratio(left, right), _term(symbol, left, right))
                    if exact
                    else None
                )
    except DimError as error:
        code = "E0321" if right == 0 else "E0329"
        raise ConstantError(code, str(error)) from None


def _joined(left: Sequence, right: Sequence) -> Sequence:
    if left.extent + right.extent > LARGEST_LIST:
        message = (
            f"this list has more than {LARGEST_LIST:,} elements, all levels counted"
        )
        raise ConstantError("E0502", message, "make it shorter")
    term = None
    if left.term is not None or right.term is not None:
        term = _term("+", left, right)
    extent = left.extent + right.extent
    plain = None if left.plain is None else left.plain and right.is_plain
    return Sequence(left.items + right.items, term, extent=extent, plain=plain)


def _number(value: Value) -> float | None:
    if isinstance(value, Dim):
        return float(int(value)) if value.is_constant else None
    if isinstance(value, Traced) and isinstance(value.value, float | Fraction):
        return float(value.value)
    return None


def _power(base: float, exponent: float) -> Any:
    """A float, or a complex number where the base is negative and the exponent a fraction."""
    return base**exponent


_PYTHON: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": float.__truediv__,
    "//": float.__floordiv__,
    "%": operator.mod,
    "^": _power,
}


def _floats(symbol: str, left: Value, right: Value) -> float:
    for value in (left, right):
        if isinstance(value, Dim) and not value.is_constant:
            raise ConstantError(
                "E0328",
                f"`{value}` is known only at run time, so `{symbol}` cannot make a number of it",
                "use `//`, or `ceil(...)` and `floor(...)` around the division;"
                f" or give it a tensor: `x {symbol} {value}`",
            )
        if isinstance(value, Traced) and isinstance(value.value, Quantity):
            raise ConstantError(
                "E0323",
                "a number with a unit can only be compared",
                "leave the unit out",
            )
    one, other = _number(left), _number(right)
    if one is None or other is None:
        wrong = left if one is None else right
        repeats = symbol == "*" and isinstance(wrong, Sequence)
        raise ConstantError(
            "E0320",
            f"`{symbol}` needs numbers, and this is {kind_of(wrong)}",
            "write `[... for _ in range(n)]` for a list of several"
            if repeats
            else None,
        )
    try:
        result = _PYTHON[symbol](one, other)
    except ZeroDivisionError:
        raise ConstantError("E0321", "this divides by zero") from None
    except OverflowError:
        raise ConstantError("E0329", "this number is too large") from None
    if isinstance(result, complex) or math.isnan(result):
        raise ConstantError("E0329", f"`{one} {symbol} {other}` is not a real number")
    return result


def _traced(symbol: str, left: Value, right: Value, result: Any) -> Traced:
    if term_of(left) is None and term_of(right) is None:
        return Traced(result)
    return Traced(result, _term(symbol, left, right))


def _term(symbol: str, left: Value, right: Value) -> Term | None:
    one, other = as_term(left), as_term(right)
    return (
        None
        if one is None or other is None
        else Term("arithmetic", (symbol, one, other))
    )


# ---- exact fractions --------------------------------------------------------------------------------


def _ratio(value: Value) -> Ratio | None:
    if isinstance(value, Dim):
        return Ratio(value, dims.ONE)
    if not isinstance(value, Traced):
        return None
    if isinstance(value.value, Ratio):
        return value.value
    if isinstance(value.value, float) and math.isfinite(value.value):
        fraction = Fraction(repr(value.value))
    elif isinstance(value.value, Fraction):
        fraction = value.value
    else:
        return None
    return Ratio(dim(fraction.numerator), dim(fraction.denominator))


def _exactly(symbol: str, left: Ratio | None, right: Ratio | None) -> Ratio:
    assert left is not None
    assert right is not None
    match symbol:
        case "*":
            return Ratio(left.above * right.above, left.below * right.below)
        case "/":
            if right.above == 0:
                raise ConstantError("E0321", "this divides by zero")
            return Ratio(left.above * right.below, left.below * right.above)
        case _:
            sign = 1 if symbol == "+" else -1
            above = left.above * right.below + sign * right.above * left.below
            return Ratio(above, left.below * right.below)


def rounded(name: str, value: Value) -> Value:
    """`ceil`, `floor` or `int` (towards zero) of an exact value."""
    if isinstance(value, Dim):
        return value
    ratio = _ratio(value)
    if ratio is None:
        raise ConstantError(
            "E0320", f"`{name}` needs a finite number, and this is {kind_of(value)}"
        )
    result = _rounded(name, ratio)
    term = term_of(value)
    if term is not None and not _term_is_integral(ratio):
        return result.value.named(dims.opaque(Term("call", (name, term))))
    return result


def _term_is_integral(ratio: Ratio) -> bool:
    """Whether the dims of the ratio carry twins themselves, so that no term is needed."""
    return any(part.generic is not part for part in (ratio.above, ratio.below))


def _rounded(name: str, ratio: Ratio) -> Dim:
    negative = ratio.above.is_constant and ratio.below.is_constant
    if name == "ceil" or (
        name == "int" and negative and int(ratio.above) * int(ratio.below) < 0
    ):
        return ratio.above.ceil_divide(ratio.below)
    return ratio.above // ratio.below


def inexact(value: Value) -> Value:
    """An exact value as it is outside of `ceil`, `floor` and `int`: a float."""
    if isinstance(value, Traced) and isinstance(value.value, Fraction):
        return Traced(float(value.value), value.term)
    return value


# ---- comparison -------------------------------------------------------------------------------------


def compared(
    symbol: str, left: Value, right: Value, assumptions: Assumptions
) -> Traced:
    """`left symbol right` for constants. Raises `ConstantError` where it depends on a symbol."""
    result = _compared(symbol, left, right, assumptions)
    if term_of(left) is None and term_of(right) is None:
        return Traced(result)
    one, other = as_term(left), as_term(right)
    term = (
        None if one is None or other is None else Term("compare", (symbol, one, other))
    )
    return Traced(result, term)


def _compared(symbol: str, left: Value, right: Value, assumptions: Assumptions) -> bool:
    if symbol == "in":
        if isinstance(left, Tensor) or (
            isinstance(right, Sequence) and right.holds_tensors
        ):
            hint = "what depends on data is done by an operator, such as `any(x == 1)`"
            raise ConstantError(
                "E0308", "`in` compares constants, and this is a tensor", hint
            )
        if not isinstance(right, Sequence):
            raise ConstantError(
                "E0320", f"`in` needs a list, and this is {kind_of(right)}"
            )
        return any(plain(item) == plain(left) for item in right.items)
    if isinstance(left, Dim) and isinstance(right, Dim):
        found = assumptions.holds(symbol, left, right)
        if found is None:
            raise ConstantError(
                "E0326",
                f"whether `{left} {symbol} {right}` holds depends on a size known only at run time",
                f"decide it with a `require`, such as `require {left} {symbol} {right}`",
            )
        return found
    one, other = plain(left), plain(right)
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        return _quantities(symbol, one, other)
    if symbol in ("==", "!="):
        return (one == other) is (symbol == "==")
    first, second = _number(left), _number(right)
    if first is None or second is None:
        wrong = left if first is None else right
        raise ConstantError(
            "E0320", f"`{symbol}` needs numbers, and this is {kind_of(wrong)}"
        )
    return bool(COMPARISONS[symbol](first, second))


def _quantities(symbol: str, left: Any, right: Any) -> bool:
    units = [
        value.unit if isinstance(value, Quantity) else "" for value in (left, right)
    ]
    if units[0] != units[1]:
        names = [
            f"a number of {unit}" if unit else "a number without a unit"
            for unit in units
        ]
        message = f"{names[0]} and {names[1]} cannot be compared"
        raise ConstantError("E0323", message, "write both with the same unit")
    return bool(COMPARISONS[symbol](left.value, right.value))
