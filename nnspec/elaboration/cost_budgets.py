"""`require cost.parameters <= 26M`: what a model may cost, kept for whoever counts.

The figure and what it assumes are names here: only `nnspec.analysis` knows which there are. A budget is
said in a model and bounds that model as a whole; where another model uses it, it is not asked again.
"""

from __future__ import annotations

from fractions import Fraction

from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.constants import Quantity
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.lookup import COSTS
from nnspec.ir.dims import Dim
from nnspec.ir.graph import CostBudget
from nnspec.ir.signs import MIRRORED
from nnspec.ir.terms import Traced
from nnspec.ir.values import Value, kind_of
from nnspec.syntax import ast

_BOUNDING = ("<", "<=", ">", ">=")


def is_budget(frame: Frame, condition: ast.Compare) -> bool:
    """Whether a condition speaks of a cost; a name `cost` of the spec's own hides that."""
    if COSTS in frame.names or COSTS in frame.module.names:
        return False
    return any(_figure(side) is not None for side in (condition.left, condition.right))


def require(frame: Frame, condition: ast.Compare, node: ast.Require) -> None:
    """Keeps a budget. Raises `SpecError` for one that cannot be understood."""
    if frame.kind != "model":
        raise frame.error(
            "E0509",
            "a budget bounds a whole model, and this is a block",
            condition,
            hint="put it into the model; blocks are listed by `nnspec cost --depth 2`",
        )
    operator, figure, bound = _sides(frame, condition)
    if frame is not frame.elaboration.main_frame:
        return
    name, arguments = figure
    limit, unit = _limit(frame, bound)
    budget = CostBudget(
        figure=name.name,
        arguments=dict(_argument(frame, each) for each in arguments),
        operator=operator,
        limit=limit,
        unit=unit,
        location=frame.at(condition.span),
        message=node.message,
    )
    frame.elaboration.cost_budgets.append(budget)


Figure = tuple[ast.Attribute, tuple[ast.Argument, ...]]


def _figure(side: ast.Expr) -> Figure | None:
    """`cost.name` or `cost.name(B=1)`, taken apart."""
    callee, arguments = side, ()
    if isinstance(side, ast.Call):
        callee, arguments = side.callee, side.arguments
    if not isinstance(callee, ast.Attribute) or not isinstance(callee.object, ast.Name):
        return None
    return (callee, arguments) if callee.object.id == COSTS else None


def _sides(frame: Frame, condition: ast.Compare) -> tuple[str, Figure, ast.Expr]:
    """The comparison with the figure on its left."""
    operator = condition.operator
    if operator not in _BOUNDING:
        raise frame.error(
            "E0509",
            f"a budget is a bound, and `{operator}` is none",
            condition,
            hint="write `<=`, `<`, `>=` or `>`",
        )
    left, right = _figure(condition.left), _figure(condition.right)
    if left is not None and right is not None:
        raise frame.error(
            "E0509",
            "a budget compares a cost with a number, and both sides are costs",
            condition,
            hint="write the number on one side, such as `26M` or `24GiB`",
        )
    if left is not None:
        return operator, left, condition.right
    assert right is not None
    return MIRRORED[operator], right, condition.left


def _limit(frame: Frame, node: ast.Expr) -> tuple[Fraction, str]:
    value = evaluation.constant(frame, node)
    match value:
        case Dim(is_constant=True):
            return Fraction(int(value)), ""
        case Traced(value=Quantity(value=amount, unit=unit)):
            return amount, unit
        case Traced(value=float() as amount):
            return Fraction(amount), ""
        case _:
            raise frame.error(
                "E0509",
                f"a budget needs a number, and this is {_shown(value)}",
                node,
                hint="write one, such as `26M`, `4.2GMACs` or `24GiB`",
            )


def _argument(frame: Frame, argument: ast.Argument) -> tuple[str, int | str]:
    """A size (`B=1`) or an assumption (`policy="bf16"`)."""
    if argument.name is None:
        raise frame.error(
            "E0509",
            "what a cost assumes is given by name",
            argument.value,
            hint='write `cost.macs(B=1)` or `cost.train_peak(B=32, policy="mixed_bf16")`',
        )
    value = evaluation.constant(frame, argument.value)
    if isinstance(value, Dim) and value.is_constant:
        return argument.name, int(value)
    if isinstance(value, Traced) and isinstance(value.value, str):
        return argument.name, value.value
    raise frame.error(
        "E0509",
        f"`{argument.name}` must be a size or a name, and this is {_shown(value)}",
        argument.value,
        hint="give an integer for a size, and a string for an assumption",
    )


def _shown(value: Value) -> str:
    return f"`{value}`" if isinstance(value, Dim) else kind_of(value)
