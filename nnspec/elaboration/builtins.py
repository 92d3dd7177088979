"""Functions of constants, evaluated while compiling, and questions about tensors (`shape`, `rank`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nnspec.elaboration import constants, grown
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.complaints import counted
from nnspec.elaboration.constants import ConstantError
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.initializers import initializer
from nnspec.ir import dims
from nnspec.ir.dims import Dim, dim
from nnspec.ir.terms import Term, Traced
from nnspec.ir.values import (
    Instance,
    Range,
    Sequence,
    Tensor,
    Value,
    as_term,
    kind_of,
    term_of,
)
from nnspec.syntax import ast

LONGEST_RANGE = 100_000
LONGEST_COMPARED = 200


def elements(frame: Frame, value: Value, node: ast.Node) -> list[Value]:
    """The elements of something that can be iterated over."""
    if isinstance(value, Sequence):
        return list(value.items)
    if isinstance(value, Range):
        bounds = (value.start, value.stop, value.step)
        if not all(bound.is_constant for bound in bounds):
            unknown = next(bound for bound in bounds if not bound.is_constant)
            raise frame.error(
                "E0326",
                f"this range needs `{unknown}`, which is known only at run time",
                node,
                hint="loop over constants, or use an operator over the whole axis",
            )
        if value.step == 0:
            raise frame.error("E0322", "the step of a range cannot be 0", node)
        if value.count > LONGEST_RANGE:
            raise frame.error(
                "E0502",
                f"this range has {_many(value.count)} elements, more than nnspec handles"
                f" ({LONGEST_RANGE:,})",
                node,
                hint="make it shorter",
            )
        return [dim(i) for i in range(*(int(bound) for bound in bounds))]
    hint = (
        "to repeat so many times, write `range(n)`" if isinstance(value, Dim) else None
    )
    raise frame.error(
        "E0327", f"a list is needed here, and this is {kind_of(value)}", node, hint=hint
    )


def _many(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"more than 10^{len(str(count)) - 1}"


def bind_pattern(frame: Frame, pattern: ast.Pattern, value: Value) -> None:
    """Binds the names of a `for` pattern to the parts of a value."""
    if pattern.name is not None:
        if pattern.name != "_":
            frame.names[pattern.name] = value
        return
    if not isinstance(value, Sequence):
        hint = "write one name"
        message = f"this is {kind_of(value)}, and cannot be taken apart"
        raise frame.error("E0324", message, pattern, hint=hint)
    if len(value.items) != len(pattern.items):
        raise frame.error(
            "E0324",
            f"{len(pattern.items)} names for {counted(len(value.items), 'value')}",
            pattern,
            hint="write one name for each, and `_` for a value that is not needed",
        )
    for item, part in zip(pattern.items, value.items, strict=True):
        bind_pattern(frame, item, part)


def indexed(frame: Frame, value: Value, node: ast.Index) -> Value:
    """`list[i]` and `list[a:b]`"""
    items = elements(frame, value, node.object)
    if len(node.subscripts) != 1:
        raise frame.error("E0322", "a list has one axis", node)
    subscript = node.subscripts[0]
    if isinstance(subscript, ast.Slice):
        if isinstance(value, Sequence) and value.made is not None:
            if _is_backwards(frame, subscript):
                return _reversed(frame, [value], node)
            value = grown.settled(frame, value)
        return _sliced(frame, value, items, subscript)
    place = evaluation.integer(frame, subscript)
    if not place.is_constant or not -len(items) <= int(place) < len(items):
        raise frame.error(
            "E0322",
            f"index {place} is outside of a list of {counted(len(items), 'element')}",
            subscript,
            hint=f"the first is 0, the last {len(items) - 1}" if items else None,
        )
    found = items[int(place)]
    if isinstance(value, Sequence) and value.made is not None:
        return grown.element(frame, value, found, place, node)
    if isinstance(found, Instance):
        return _layer(frame, items, place, found)
    whole, position = term_of(value), as_term(place)
    if position is None or (whole is None and term_of(place) is None):
        return found
    if whole is None and term_of(found) is not None:
        return found  # it is known by a name of its own, such as a size of a tensor
    whole = whole or as_term(value)
    if whole is None or isinstance(found, Tensor):
        return found
    return evaluation.renamed(found, Term("index", (whole, position)))


def _is_backwards(frame: Frame, node: ast.Slice) -> bool:
    """Whether a slice is `[::-1]`."""
    if node.start is not None or node.stop is not None or node.step is None:
        return False
    step = evaluation.integer(frame, node.step)
    return step == -1 and step.generic is step


def _layer(frame: Frame, items: list[Value], place: Dim, found: Instance) -> Instance:
    """A layer of a list: that of a turn by the number of this; else what is shared hangs on the index."""
    term = term_of(place)
    if term is None:
        return found
    loop, level = frame.builder.turn_of(place), _counted_level(items)
    if loop is None or level is None:
        frame.builder.decide(term)
        return found
    loops = (*found.loops[:level], loop, *found.loops[level + 1 :])
    return replace(found, loops=loops)


def _counted_level(items: list[Value]) -> int | None:
    """Which number of their paths counts layers from 0, in the order of their list; None if none does."""
    paths = [item.path for item in items if isinstance(item, Instance)]
    if len(paths) < len(items):
        return None
    for level in range(len(paths[0]) - 1):
        before, behind = paths[0][: level + 1], paths[0][level + 2 :]
        if paths == [(*before, place, *behind) for place in range(len(paths))]:
            return level
    return None


def _sliced(frame: Frame, value: Value, items: list[Value], node: ast.Slice) -> Value:
    bounds = [
        None if part is None else evaluation.integer(frame, part)
        for part in (node.start, node.stop, node.step)
    ]
    if bounds[2] == 0:
        raise frame.error("E0322", "the step of a slice cannot be 0", node)
    chosen = items[slice(*(None if bound is None else int(bound) for bound in bounds))]
    whole = as_term(value)
    traced = term_of(value) is not None or any(
        b is not None and term_of(b) for b in bounds
    )
    term = None
    if whole is not None and traced:
        parts = [Term("literal", (None,)) if b is None else as_term(b) for b in bounds]
        term = Term("slice", (whole, *parts))
    return Sequence(tuple(chosen), term)


# ---- the functions ----------------------------------------------------------------------------------


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
        raise frame.error(
            "E0302", f"`{name}` of constants takes no argument named `{first}`", node
        )
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
    return Range(start, stop, step, _call_term("range", arguments))


def _call_term(name: str, arguments: list[Value]) -> Term | None:
    if all(term_of(value) is None for value in arguments):
        return None
    terms = [as_term(value) for value in arguments]
    return None if any(term is None for term in terms) else Term("call", (name, *terms))


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
    whole = Sequence(pairs, _call_term("enumerate", arguments))
    return grown.computed(frame, "enumerate", whole, arguments)


def _zip(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    columns = [elements(frame, value, node) for value in arguments]
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(str(len(column)) for column in columns)
        raise ConstantError(
            "E0322", f"`zip` needs lists of one length, and these have {sizes}"
        )
    rows = tuple(Sequence(row, is_group=True) for row in zip(*columns, strict=True))
    whole = Sequence(rows, _call_term("zip", arguments))
    return grown.computed(frame, "zip", whole, arguments)


def _reversed(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    items = elements(frame, arguments[0], node)
    whole = Sequence(tuple(reversed(items)), _call_term("reversed", arguments))
    return grown.computed(frame, "reversed", whole, arguments)


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
    term = _call_term("sum", arguments)
    return result if term is None else evaluation.renamed(result, term)


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
            return (
                result
                if not traced
                else evaluation.renamed(result, _named(name, arguments))
            )
        values = [constants.arithmetic("*", item, Traced(1.0)) for item in items]
        numbers = [value.value for value in values if isinstance(value, Traced)]
        return Traced(choose(numbers), _call_term(name, arguments))

    return extreme


def _named(name: str, arguments: list[Value]) -> Term:
    term = _call_term(name, arguments)
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
    return Traced(abs(number.value), _call_term("abs", arguments))


def _real(name: str) -> Callable[[Frame, list[Value], ast.Expr], Value]:
    function: Callable[[float], float] = getattr(math, name)

    def apply(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
        number = constants.arithmetic("*", arguments[0], Traced(1.0))
        assert isinstance(number, Traced)
        try:
            return Traced(function(number.value), _call_term(name, arguments))
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
        return Traced(combine(values), _call_term(name, arguments))

    return apply


_FUNCTIONS: dict[str, Callable[[Frame, list[Value], ast.Expr], Value]] = {
    "range": _range,
    "len": _len,
    "enumerate": _enumerate,
    "zip": _zip,
    "reversed": _reversed,
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
