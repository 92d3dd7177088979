"""Expressions of the spec: what each means in its frame.

One function for each kind of expression; `EVALUATE` maps the classes of the syntax to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import SpecError
from nnspec.elaboration import apply, constants, grown, lists, lookup
from nnspec.elaboration.constants import LARGEST_LIST, ConstantError, Quantity
from nnspec.elaboration.frame import Frame, NoNodes
from nnspec.elaboration.labels import children
from nnspec.ir.dims import Dim, DimError, dim
from nnspec.ir.graph import Branch, Item
from nnspec.ir.terms import Term, Traced
from nnspec.ir.values import (
    NONE,
    Instance,
    Poisoned,
    Sequence,
    Tensor,
    Unknown,
    Value,
    as_term,
    is_constant,
    kind_of,
    renamed,
    term_of,
)
from nnspec.syntax import ast


def evaluate(frame: Frame, node: ast.Expr, *, followed: bool = False) -> Value:
    """The value of an expression. Raises `SpecError`, or `Poisoned` after a fault already reported.

    How a list of tensors was made goes on with it only where that is `followed` (see `grown`).
    """
    value = EVALUATE[type(node)](frame, node)
    if isinstance(value, Unknown):
        raise Poisoned
    if isinstance(value, Sequence):
        if value.extent > LARGEST_LIST:
            raise _too_long(frame, node)
        if value.made is not None and not followed:
            return grown.settled(frame, value)
    return value


def _too_long(frame: Frame, node: ast.Expr) -> SpecError:
    message = f"this list has more than {LARGEST_LIST:,} elements, all levels counted"
    return frame.error("E0502", message, node, hint="make it shorter")


def tensor(frame: Frame, node: ast.Expr) -> Tensor:
    """The value of an expression that must be a tensor."""
    value = evaluate(frame, node)
    if not isinstance(value, Tensor):
        raise frame.error(
            "E0308", f"a tensor is needed here, and this is {kind_of(value)}", node
        )
    return value


def constant(frame: Frame, node: ast.Expr) -> Value:
    """The value of an expression that must be known while compiling."""
    value = evaluate(frame, node)
    if not is_constant(value):
        raise frame.error(
            "E0308",
            f"a constant is needed here, and this is {kind_of(value)}",
            node,
            hint="what depends on data is done by an operator, such as `where`",
        )
    return value


def truth(frame: Frame, node: ast.Expr) -> Traced:
    """The value of a condition."""
    value = constant(frame, node)
    if not isinstance(value, Traced) or not isinstance(value.value, bool):
        raise frame.error(
            "E0325", f"a condition must be a bool, and this is {kind_of(value)}", node
        )
    return value


def integer(frame: Frame, node: ast.Expr) -> Dim:
    """The value of an expression that must be an integer."""
    value = constant(frame, node)
    if not isinstance(value, Dim):
        raise frame.error(
            "E0320", f"an integer is needed here, and this is {kind_of(value)}", node
        )
    return value


# ---- literals and names -----------------------------------------------------------------------------


def _number(frame: Frame, node: ast.Number) -> Value:
    if node.unit:
        return Traced(Quantity(node.value, node.unit))
    if node.is_int:
        return dim(int(node.value))
    return Traced(node.value if frame.exact else _float(frame, node))


def _float(frame: Frame, node: ast.Number) -> float:
    try:
        return float(node.value)
    except OverflowError:
        hint = "the largest float is about 1.8e308"
        raise frame.error(
            "E0329", "this number is too large", node, hint=hint
        ) from None


def _name(frame: Frame, node: ast.Name) -> Value:
    return lookup.name(frame, node)


def _list(frame: Frame, node: ast.ListExpr) -> Value:
    frame.elaboration.budget.take("elements", len(node.items), frame.at(node.span))
    items: list[Value] = []
    parts: list[Value] = []
    for item in node.items:
        if isinstance(item, ast.Spread):
            value = lookup.name(frame, ast.Name(item.span, item.name))
            items.extend(lists.elements(frame, value, item))
            parts.append(value)
            if len(items) > LARGEST_LIST:
                raise _too_long(frame, node)
        else:
            items.append(constants.inexact(evaluate(frame, item)))
            parts.append(Sequence((items[-1],)))
    known = [part for part in parts if isinstance(part, Sequence)]
    is_plain = all(part.is_plain for part in known)
    term = None if is_plain else _collected("list", items)
    extent = sum(part.extent for part in known) if len(known) == len(parts) else -1
    whole = Sequence(tuple(items), term, extent=extent, plain=is_plain)
    return grown.joined(frame, whole, parts)


def _group(frame: Frame, node: ast.Group) -> Value:
    items = [evaluate(frame, item) for item in node.items]
    return Sequence(tuple(items), _collected("tuple", items), is_group=True)


def _collected(kind: str, items: list[Value]) -> Term | None:
    """The term of a display; None where every element is a literal, or one is no constant."""
    if all(term_of(item) is None for item in items):
        return None
    terms = [as_term(item) for item in items]
    return None if any(term is None for term in terms) else Term(kind, tuple(terms))


def _counted(iterable: Value) -> Term | None:
    """What decides how many elements there are, and what they are where these do not say so themselves."""
    term = term_of(iterable)
    if isinstance(iterable, Sequence) and all(map(_is_said, iterable.items)):
        return term and Term("call", ("len", term))
    return term


def _is_said(value: Value) -> bool:
    if isinstance(value, Sequence):
        return all(map(_is_said, value.items))
    return term_of(value) is not None


def _comprehension(frame: Frame, node: ast.Comprehension) -> Value:
    iterable = evaluate(frame, node.iterable)
    turns = lists.elements(frame, iterable, node.iterable)
    frame.elaboration.budget.take("elements", len(turns), frame.at(node.span))
    outer = dict(frame.names)
    items: list[Value] = []
    counted = _counted(iterable)
    if counted is not None:
        frame.builder.decide(counted)
    try:
        for turn, value in enumerate(turns):
            lists.bind_pattern(frame, node.pattern, value)
            if node.condition is not None:
                chosen = truth(frame, node.condition)
                with frame.builder.branch(chosen.term, bool(chosen.value)):
                    pass  # it decides how long the list is
                if not chosen.value:
                    continue
            with frame.builder.turn(None, turn):
                items.append(evaluate(frame, node.body))
    finally:
        frame.names.clear()
        frame.names.update(outer)
    return Sequence(tuple(items), _collected("list", items))


# ---- operators --------------------------------------------------------------------------------------

_INFIX = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "floor_divide",
    "%": "remainder",
    "^": "power",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "and": "logical_and",
    "or": "logical_or",
}


def _chain(frame: Frame, node: ast.Chain) -> Value:
    if node.operators[0] in ("and", "or"):
        return _logic(frame, node)
    joins = all(sign == "+" for sign in node.operators)
    result = evaluate(frame, node.operands[0], followed=joins)
    for symbol, operand in zip(node.operators, node.operands[1:], strict=True):
        other = evaluate(frame, operand, followed=joins)
        result = _infix(frame, symbol, result, other, node)
    return result


def _infix(
    frame: Frame, symbol: str, left: Value, right: Value, node: ast.Expr
) -> Value:
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return apply.infix(frame, _INFIX[symbol], left, right, node)
    try:
        found = constants.arithmetic(symbol, left, right, exact=frame.exact)
    except ConstantError as error:
        raise frame.error(error.code, error.message, node, hint=error.hint) from None
    except DimError as error:
        raise frame.error("E0329", str(error), node) from None
    is_list = isinstance(found, Sequence)
    return grown.joined(frame, found, [left, right]) if is_list else found


def _logic(frame: Frame, node: ast.Chain) -> Value:
    symbol = node.operators[0]
    first = evaluate(frame, node.operands[0])
    if isinstance(first, Tensor):
        for operand in node.operands[1:]:
            first = apply.infix(
                frame, _INFIX[symbol], first, evaluate(frame, operand), node
            )
        return first
    decides = symbol == "or"
    result: bool | None = None
    terms: list[Term | None] = []
    traced = False
    for place, operand in enumerate(node.operands):
        if result is not None:  # decided; the rest is read for its term alone
            found = _term_only(frame, operand)
        else:
            value = first if place == 0 else truth(frame, operand)
            found = _checked_truth(frame, value, operand)
            if found.value is decides:
                result = decides
        traced = traced or found is None or found.term is not None
        terms.append(None if found is None else as_term(found))
    result = (not decides) if result is None else result
    if not traced or any(term is None for term in terms):
        return Traced(result)
    return Traced(result, Term(symbol, tuple(terms)))


def _checked_truth(frame: Frame, value: Value, node: ast.Expr) -> Traced:
    if not isinstance(value, Traced) or not isinstance(value.value, bool):
        raise frame.error(
            "E0325", f"a condition must be a bool, and this is {kind_of(value)}", node
        )
    return value


def _term_only(frame: Frame, node: ast.Expr) -> Traced | None:
    """A condition that decides nothing any more; None where it has no value here."""
    try:
        with frame.builder.without_nodes():
            value = evaluate(frame, node)
    except (SpecError, NoNodes, Poisoned):
        return None
    return (
        value if isinstance(value, Traced) and isinstance(value.value, bool) else None
    )


def _compare(frame: Frame, node: ast.Compare) -> Value:
    left, right = evaluate(frame, node.left), evaluate(frame, node.right)
    if NONE.value in (_plain_none(left), _plain_none(right)) and node.operator in (
        "==",
        "!=",
    ):
        both = _plain_none(left) is None and _plain_none(right) is None
        return _none_test(left, right, both is (node.operator == "=="), node.operator)
    if node.operator != "in" and (
        isinstance(left, Tensor) or isinstance(right, Tensor)
    ):
        return apply.infix(frame, _INFIX[node.operator], left, right, node)
    try:
        return constants.compared(
            node.operator, left, right, frame.elaboration.assumptions
        )
    except ConstantError as error:
        raise frame.error(error.code, error.message, node, hint=error.hint) from None


def _plain_none(value: Value) -> object:
    """None for the spec's `none`, anything else for the rest."""
    return None if isinstance(value, Traced) and value.value is None else value


def _none_test(left: Value, right: Value, result: bool, symbol: str) -> Traced:
    """Whether something is `none`; the term says so where the name is an optional constant."""
    one, other = as_term(left), as_term(right)
    if (
        one is None
        or other is None
        or (term_of(left) is None and term_of(right) is None)
    ):
        return Traced(result)
    return Traced(result, Term("compare", (symbol, one, other)))


def _unary(frame: Frame, node: ast.Unary) -> Value:
    value = evaluate(frame, node.operand)
    if isinstance(value, Tensor):
        name = "negative" if node.operator == "-" else "logical_not"
        return apply.operator(frame, name, [value], {}, node)
    if node.operator == "not":
        checked = _checked_truth(frame, value, node.operand)
        return Traced(not checked.value, checked.term and Term("not", (checked.term,)))
    try:
        return constants.negated(value)
    except ConstantError as error:
        raise frame.error(error.code, error.message, node, hint=error.hint) from None


def _power(frame: Frame, node: ast.Power) -> Value:
    return _infix(
        frame, "^", evaluate(frame, node.base), evaluate(frame, node.exponent), node
    )


def _ternary(frame: Frame, node: ast.Ternary) -> Value:
    condition = truth(frame, node.condition)
    chosen = node.then if condition.value else node.otherwise
    other = node.otherwise if condition.value else node.then
    before = len(frame.builder.nodes)
    with frame.builder.branch(condition.term, bool(condition.value)):
        value = evaluate(frame, chosen)
    if (
        condition.term is None
        or len(frame.builder.nodes) > before
        or not is_constant(value)
    ):
        return value
    decision = frame.builder.items[-1]
    choice = _choice(frame, node, condition, value, other)
    if choice is not value and not _may_apply(other) and _is_empty(decision):
        # It chooses between constants, and is no part of the structure.
        frame.builder.items.remove(decision)
    return choice


def _is_empty(item: Item) -> bool:
    return isinstance(item, Branch) and not item.body


def _may_apply(node: ast.Expr) -> bool:
    """Whether an expression may make a node: whether it applies anything."""
    if isinstance(node, ast.Pipe | ast.Call):
        return True
    return any(_may_apply(child) for child in children(node))


def _choice(
    frame: Frame, node: ast.Ternary, condition: Traced, value: Value, other: ast.Expr
) -> Value:
    """The constant that was chosen, with a term that says between what."""
    try:
        with frame.builder.without_nodes():
            rest = evaluate(frame, other)
    except (SpecError, NoNodes, Poisoned):
        return value
    one, two = as_term(value), as_term(rest)
    if one is None or two is None or condition.term is None:
        return value
    then, otherwise = (one, two) if condition.value else (two, one)
    return renamed(value, Term("choice", (condition.term, then, otherwise)))


# ---- access -----------------------------------------------------------------------------------------


def _attribute(frame: Frame, node: ast.Attribute) -> Value:
    return lookup.attribute(frame, node, evaluate(frame, node.object))


def _index(frame: Frame, node: ast.Index) -> Value:
    value = evaluate(frame, node.object, followed=True)
    if isinstance(value, Tensor):
        return apply.slicing(frame, value, node)
    if isinstance(value, Instance):
        raise frame.error(
            "E0211",
            "a layer cannot be indexed",
            node,
            hint="index what comes out of it: `y[0]`",
        )
    return lists.indexed(frame, value, node)


def _call(frame: Frame, node: ast.Call) -> Value:
    return apply.call(frame, node)


def _pipe(frame: Frame, node: ast.Pipe) -> Value:
    return apply.pipe(frame, node)


def _rest(frame: Frame, node: ast.Expr) -> Value:
    raise frame.error(
        "E0211", "`...` stands only in an index or at the end of arguments", node
    )


EVALUATE: dict[type[ast.Expr], Callable[[Frame, Any], Value]] = {
    ast.Name: _name,
    ast.Number: _number,
    ast.String: lambda frame, node: Traced(node.value),
    ast.Bool: lambda frame, node: Traced(node.value),
    ast.NoneLiteral: lambda frame, node: NONE,
    ast.ListExpr: _list,
    ast.Group: _group,
    ast.Comprehension: _comprehension,
    ast.Chain: _chain,
    ast.Compare: _compare,
    ast.Unary: _unary,
    ast.Power: _power,
    ast.Ternary: _ternary,
    ast.Attribute: _attribute,
    ast.Index: _index,
    ast.Call: _call,
    ast.Pipe: _pipe,
    ast.Rest: _rest,
    ast.Slice: _rest,
    ast.Spread: _rest,
}
