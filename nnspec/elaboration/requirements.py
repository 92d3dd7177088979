"""`require`: constants are checked at once, what speaks of a run-time size becomes an assumption.

What speaks of a cost becomes a budget (see `cost_budgets`).
"""

from __future__ import annotations

from math import lcm

from nnspec.elaboration import cost_budgets
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.constants import ConstantError, compared
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim, lone_symbol, symbol
from nnspec.ir.graph import Requirement
from nnspec.ir.signs import MIRRORED
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.ir.values import Tensor, as_term, term_of
from nnspec.syntax import ast


def require(frame: Frame, node: ast.Require) -> None:
    """Checks or assumes each part of a condition."""
    for part in _conjuncts(node.condition):
        _one(frame, part, node)


def _conjuncts(condition: ast.Expr) -> list[ast.Expr]:
    if isinstance(condition, ast.Chain) and condition.operators[0] == "and":
        return [part for operand in condition.operands for part in _conjuncts(operand)]
    return [condition]


def _one(frame: Frame, condition: ast.Expr, node: ast.Require) -> None:
    if isinstance(condition, ast.Compare):
        if cost_budgets.is_budget(frame, condition):
            cost_budgets.require(frame, condition, node)
            return
        left = evaluation.evaluate(frame, condition.left)
        right = evaluation.evaluate(frame, condition.right)
        if isinstance(left, Dim) and isinstance(right, Dim):
            _sizes(frame, condition, left, right, node)
            return
    value = evaluation.truth(frame, condition)
    if value.value is False:
        raise _failed(frame, condition, node, "")
    if value.term is not None:
        frame.builder.items.append(Requirement(value.term, node.message))


def _sizes(
    frame: Frame, condition: ast.Compare, left: Dim, right: Dim, node: ast.Require
) -> None:
    operator = condition.operator
    try:
        holds = compared(operator, left, right, frame.elaboration.assumptions).value
    except ConstantError:
        holds = None
    found = f": here it says {left} {operator} {right}" if operator != "in" else ""
    if holds is False:
        raise _failed(frame, condition, node, found)
    symbols = tuple(sorted(left.symbols() | right.symbols()))
    if holds is None:
        _assume(frame, condition, operator, left, right)
    term = _term(operator, left, right)
    if term is not None:
        frame.builder.items.append(Requirement(term, node.message, symbols))


def _term(operator: str, left: Dim, right: Dim) -> Term | None:
    if (
        term_of(left) is None
        and term_of(right) is None
        and not (left.symbols() | right.symbols())
    ):
        return None
    one, other = as_term(left), as_term(right)
    return (
        None
        if one is None or other is None
        else Term("compare", (operator, one, other))
    )


def _failed(
    frame: Frame, condition: ast.Expr, node: ast.Require, found: str
) -> Exception:
    text = frame.module.file.source.text[condition.span.start : condition.span.end]
    message = f"`{' '.join(text.split())}` does not hold{found}"
    hint = node.message or "give sizes and constants for which it holds"
    return frame.error("E0503", message, condition, hint=hint)


def _assume(
    frame: Frame, condition: ast.Compare, operator: str, left: Dim, right: Dim
) -> None:
    """Adds what a condition on one symbol says to what is known. Raises where it cannot."""
    elaboration = frame.elaboration
    if frame is not elaboration.main_frame:
        raise frame.error(
            "E0504",
            f"whether {left} {operator} {right} holds cannot be decided here",
            condition,
            hint="put a `require` of the same into the model, before the sizes are used",
        )
    if operator == "==" and right == 0 and _remainder(left) is not None:
        name, factor = _remainder(left) or ("", 0)
        _assume_multiple(frame, name, factor, condition)
        return
    if right.is_constant and _lone_symbol(left) is not None:
        name, bound = _lone_symbol(left) or "", int(right)
    elif left.is_constant and _lone_symbol(right) is not None:
        name, bound, operator = (
            _lone_symbol(right) or "",
            int(left),
            MIRRORED[operator],
        )
    else:
        raise _unsupported(frame, condition)
    match operator:
        case "<=" | "<":
            limit = bound if operator == "<=" else bound - 1
            elaboration.assumptions = elaboration.assumptions.with_upper(name, limit)
        case ">=" | ">":
            limit = bound if operator == ">=" else bound + 1
            elaboration.assumptions = elaboration.assumptions.with_lower(name, limit)
        case _:
            raise _unsupported(frame, condition)


def _assume_multiple(frame: Frame, name: str, factor: int, condition: ast.Expr) -> None:
    """Takes a symbol for a multiple of `factor` from here on."""
    if any(n.outputs for n in frame.builder.nodes):
        raise frame.error(
            "E0504",
            f"`{name}` is used before this requirement",
            condition,
            hint="put the `require` directly behind the inputs",
        )
    elaboration = frame.elaboration
    known = elaboration.assumptions.multiples.get(name, 1)
    factor = lcm(known, factor)
    elaboration.assumptions = elaboration.assumptions.with_multiple(name, factor)
    elaboration.symbols[name] = symbol(name, factor)
    replaced = {name: elaboration.symbols[name]}
    builder = frame.builder
    for number, kind in builder.types.items():
        sizes = tuple(size.at(replaced) for size in kind.shape)
        builder.types[number] = TensorType(sizes, kind.dtype)
    for key, value in frame.names.items():
        if isinstance(value, Dim):
            frame.names[key] = value.at(replaced)
        elif isinstance(value, Tensor):
            frame.names[key] = Tensor(value.id, builder.types[value.id], value.origin)


def _unsupported(frame: Frame, condition: ast.Expr) -> Exception:
    return frame.error(
        "E0504",
        "this cannot be assumed of a size that is known only at run time",
        condition,
        hint="nnspec understands bounds (`T <= 1024`) and divisibility (`H % 32 == 0`) of one size",
    )


def _lone_symbol(value: Dim) -> str | None:
    atom = lone_symbol(value)
    return None if atom is None else atom.symbol


def _remainder(value: Dim) -> tuple[str, int] | None:
    """The symbol and the factor of `H % 32`."""
    if len(value.terms) != 1:
        return None
    (monomial, coefficient) = value.terms[0]
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    if atom.kind != "%" or not atom.arguments[1].is_constant:
        return None
    name = _lone_symbol(atom.arguments[0])
    return None if name is None else (name, int(atom.arguments[1]))
