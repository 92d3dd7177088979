"""Functions of constants, evaluated while compiling, and questions about tensors (`shape`, `rank`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nnspec.elaboration import constants, grown
from nnspec.elaboration.constants import ConstantError
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.initializers import initializer
from nnspec.elaboration.lists import backwards, elements
from nnspec.ir import dims
from nnspec.ir.dims import Dim, dim
from nnspec.ir.terms import Term, Traced
from nnspec.ir.values import (
    Range,
    Sequence,
    Tensor,
    Value,
    call_term,
    kind_of,
    renamed,
    term_of,
)
from nnspec.syntax import ast

LONGEST_COMPARED = 200


def call(
    frame: Frame,
    name: str,
    arguments: list[Value],
    keywords: Mapping[str, Value],
    node: ast.Expr,
) -> Value:
    """A function of constants, applied."""
    if name.startswith("init."):
        return initializer(frame, name.removeprefix("init."), arguments, keywords, node)
    if keywords:
        first = next(iter(keywords))
        message = f"`{name}` of constants takes no argument named `{first}`"
        hint = f"give the value without a name: `{name}(...)`"
        raise frame.error("E0302", message, node, hint=hint)
    low, high = _ARITY[name]
    if not low <= len(arguments) <= high:
        wanted = (
            str(low)
            if low == high
            else f"{low} or more"
            if high > 9
            else f"{low} to {high}"
        )
        noun = "argument" if wanted == "1" else "arguments"
        raise frame.error(
            "E0303", f"`{name}` takes {wanted} {noun}, not {len(arguments)}", node
        )
    try:
        result = _FUNCTIONS[name](frame, arguments, node)
    except ConstantError as error:
        raise frame.error(error.code, error.message, node, hint=error.hint) from None
    except dims.DimError as error:
        raise frame.error("E0329", str(error), node) from None
    if name in EXACT and isinstance(result, Dim):
        _decide_unsaid(frame, arguments[0], result)
    return result


def _decide_unsaid(frame: Frame, given: Value, result: Dim) -> None:
    """Notes what an integer was rounded from and does not name itself."""
    term, said = term_of(given), term_of(result)
    if term is None or isinstance(given, Dim):
        return
    if said is None or term.size + said.size > LONGEST_COMPARED:
        frame.builder.decide(term)
        return
    unsaid = tuple(_unsaid(term, said.mentioned()))
    if unsaid:
        frame.builder.decide(*unsaid)


def _unsaid(term: Term, said: set[str]) -> Iterator[Term]:
    """The largest parts of a term that have only names which are not said."""
    names = term.mentioned()
    if names and names.isdisjoint(said):
        yield term
    elif not names <= said:
        for part in term.arguments:
            if isinstance(part, Term):
                yield from _unsaid(part, said)


def _range(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    for value in arguments:
        if not isinstance(value, Dim):
            raise ConstantError(
                "E0320", f"`range` needs integers, and this is {kind_of(value)}"
            )
    bounds = [value for value in arguments if isinstance(value, Dim)]
    start, stop = (dims.ZERO, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
    step = bounds[2] if len(bounds) == 3 else dims.ONE
    return Range(start, stop, step, call_term("range", arguments))


def _len(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    value = arguments[0]
    items = elements(frame, value, node)
    size = dim(len(items))
    term = (
        None if isinstance(value, Sequence) and value.holds_tensors else term_of(value)
    )
    return (
        size if term is None else size.named(dims.opaque(Term("call", ("len", term))))
    )


def _enumerate(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    items = elements(frame, arguments[0], node)
    pairs = tuple(
        Sequence((dim(i), item), is_group=True) for i, item in enumerate(items)
    )
    whole = Sequence(pairs, call_term("enumerate", arguments))
    return grown.computed(frame, "enumerate", whole, arguments)


def _zip(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    columns = [elements(frame, value, node) for value in arguments]
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(str(len(column)) for column in columns)
        raise ConstantError(
            "E0322", f"`zip` needs lists of one length, and these have {sizes}"
        )
    rows = tuple(Sequence(row, is_group=True) for row in zip(*columns, strict=True))
    whole = Sequence(rows, call_term("zip", arguments))
    return grown.computed(frame, "zip", whole, arguments)


def _shape(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    return Sequence(_of_tensor(arguments[0], "shape").type.shape)


def _rank(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    return dim(_of_tensor(arguments[0], "rank").type.rank)


def _dtype(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    return Traced(_of_tensor(arguments[0], "dtype").type.dtype)


def _of_tensor(value: Value, name: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise ConstantError(
            "E0308", f"`{name}` asks about a tensor, and this is {kind_of(value)}"
        )
    return value


def _rounding(name: str) -> Callable[[Frame, list[Value], ast.Expr], Value]:
    def round_it(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
        value = arguments[0]
        if (
            name == "int"
            and isinstance(value, Traced)
            and isinstance(value.value, bool)
        ):
            return dim(int(value.value))
        return constants.rounded(name, value)

    return round_it


def _float(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    return constants.arithmetic("*", arguments[0], Traced(1.0))


def _isqrt(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    value = arguments[0]
    if not isinstance(value, Dim) or not value.is_constant or int(value) < 0:
        raise ConstantError(
            "E0320", f"`isqrt` needs a constant of at least 0, not {kind_of(value)}"
        )
    root = dim(math.isqrt(int(value)))
    term = term_of(value)
    return (
        root if term is None else root.named(dims.opaque(Term("call", ("isqrt", term))))
    )


def _sum(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    items = elements(frame, arguments[0], node)
    result: Value = dims.ZERO
    for item in items:
        result = constants.arithmetic("+", result, item, exact=frame.exact)
    term = call_term("sum", arguments)
    return result if term is None else renamed(result, term)


def _extreme(name: str) -> Callable[[Frame, list[Value], ast.Expr], Value]:
    choose_dims = dims.minimum if name == "min" else dims.maximum
    choose: Callable[[list[float]], float] = min if name == "min" else max

    def extreme(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
        single = len(arguments) == 1
        items = elements(frame, arguments[0], node) if single else arguments
        if not items:
            raise ConstantError("E0322", f"`{name}` of nothing has no value")
        integers = [item for item in items if isinstance(item, Dim)]
        if len(integers) == len(items):
            result = choose_dims(*integers)
            traced = single and isinstance(arguments[0], Sequence) and arguments[0].term
            return result if not traced else renamed(result, _named(name, arguments))
        values = [constants.arithmetic("*", item, Traced(1.0)) for item in items]
        numbers = [value.value for value in values if isinstance(value, Traced)]
        return Traced(choose(numbers), call_term(name, arguments))

    return extreme


def _named(name: str, arguments: list[Value]) -> Term:
    term = call_term(name, arguments)
    assert term is not None
    return term


def _abs(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    value = arguments[0]
    if isinstance(value, Dim):
        below = frame.elaboration.assumptions.holds("<", value, 0)
        if below is None:
            raise ConstantError(
                "E0326", f"the sign of `{value}` depends on a run-time size"
            )
        return -value if below else value
    number = constants.arithmetic("*", value, Traced(1.0))
    assert isinstance(number, Traced)
    return Traced(abs(number.value), call_term("abs", arguments))


def _real(name: str) -> Callable[[Frame, list[Value], ast.Expr], Value]:
    function: Callable[[float], float] = getattr(math, name)

    def apply(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
        number = constants.arithmetic("*", arguments[0], Traced(1.0))
        assert isinstance(number, Traced)
        try:
            return Traced(function(number.value), call_term(name, arguments))
        except (ValueError, OverflowError):
            message = f"`{name}({number.value:g})` has no value"
            raise ConstantError("E0329", message) from None

    return apply


def _all_of(name: str) -> Callable[[Frame, list[Value], ast.Expr], Value]:
    combine: Callable[[list[Any]], bool] = all if name == "all" else any

    def apply(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
        items = elements(frame, arguments[0], node)
        values = [item.value if isinstance(item, Traced) else None for item in items]
        if not all(isinstance(value, bool) for value in values):
            raise ConstantError("E0325", f"`{name}` needs a list of bools")
        return Traced(combine(values), call_term(name, arguments))

    return apply


_FUNCTIONS: dict[str, Callable[[Frame, list[Value], ast.Expr], Value]] = {
    "range": _range,
    "len": _len,
    "enumerate": _enumerate,
    "zip": _zip,
    "reversed": backwards,
    "shape": _shape,
    "rank": _rank,
    "dtype": _dtype,
    "int": _rounding("int"),
    "ceil": _rounding("ceil"),
    "floor": _rounding("floor"),
    "float": _float,
    "isqrt": _isqrt,
    "sum": _sum,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "abs": _abs,
    "sqrt": _real("sqrt"),
    "log": _real("log"),
    "exp": _real("exp"),
    "any": _all_of("any"),
    "all": _all_of("all"),
}
_ARITY = dict.fromkeys(_FUNCTIONS, (1, 1)) | {
    "range": (1, 3),
    "zip": (1, 99),
    "min": (1, 99),
    "max": (1, 99),
}
# Those that put lists into another order or side by side.
ORDERING = frozenset({"enumerate", "zip", "reversed"})
EXACT = frozenset({"int", "ceil", "floor"})
