"""The names of layers, decided by what was written and not by what is executed.

Every place in a body where a layer is made gets one label: the one in front of it, the variable that an
instance is bound to, or the callee's name in snake case with `_2`, `_3` for later places. Branches that
are not taken count as well, so that two specialisations of a block name their layers alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.ops.base import snake_case
from nnspec.syntax import ast


def assign_labels(body: ast.Body) -> dict[ast.Node, str]:
    """A label for each `Stage` and `Call` of a body whose callee is CamelCase."""
    sites = list(_sites(body))
    taken = {label for _, label, _ in sites if label is not None}
    labels: dict[ast.Node, str] = {}
    for site, label, callee in sites:
        if label is None:
            label = _free(snake_case(callee), taken)
            taken.add(label)
        labels[site] = label
    return labels


def callee_name(callee: ast.Expr) -> str | None:
    """The last name of a callee: `Conv`, `ops.mean` -> `mean`."""
    if isinstance(callee, ast.Name):
        return callee.id
    if isinstance(callee, ast.Attribute):
        return callee.name
    return None


def makes_layer(callee: ast.Expr) -> bool:
    """Whether a callee is CamelCase, and so owns or makes weights or state."""
    name = callee_name(callee)
    return name is not None and name[:1].isupper()


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _sites(body: ast.Body) -> Iterator[tuple[ast.Node, str | None, str]]:
    for statement in body.statements:
        match statement:
            case ast.Bind():
                yield from _bind_sites(statement)
            case ast.Output():
                yield from _in(statement.value)
            case ast.For():
                yield from _in(statement.iterable)
                yield from _sites(statement.body)
            case ast.If():
                yield from _in(statement.condition)
                yield from _sites(statement.then)
                if statement.otherwise is not None:
                    yield from _sites(statement.otherwise)
            case ast.Return():
                for value in statement.values:
                    yield from _in(value)
            case _:
                pass


def _bind_sites(statement: ast.Bind) -> Iterator[tuple[ast.Node, str | None, str]]:
    for place, value in enumerate(statement.values):
        named = len(statement.values) == len(statement.targets)
        if named and isinstance(value, ast.Call) and makes_layer(value.callee):
            yield value, statement.targets[place].name, callee_name(value.callee) or ""
            for argument in value.arguments:
                yield from _in(argument.value)
        else:
            yield from _in(value)


def _in(expression: ast.Expr | None) -> Iterator[tuple[ast.Node, str | None, str]]:
    match expression:
        case None:
            return
        case ast.Pipe(source=source, stages=stages):
            yield from _in(source)
            for stage in stages:
                for argument in stage.arguments or ():
                    yield from _in(argument.value)
                if makes_layer(stage.callee):
                    yield stage, stage.label, callee_name(stage.callee) or ""
        case ast.Call(callee=callee, arguments=arguments):
            for argument in arguments:
                yield from _in(argument.value)
            if makes_layer(callee):
                yield expression, None, callee_name(callee) or ""
            else:
                yield from _in(callee)
        case _:
            for child in children(expression):
                yield from _in(child)


def children(expression: ast.Expr) -> tuple[ast.Expr, ...]:
    """The direct sub-expressions of an expression that is no pipe and no call."""
    match expression:
        case ast.ListExpr(items=items) | ast.Group(items=items):
            return items
        case ast.Comprehension(body=body, iterable=iterable, condition=condition):
            return (iterable, body, *((condition,) if condition else ()))
        case ast.Ternary(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case ast.Chain(operands=operands):
            return operands
        case ast.Compare(left=left, right=right):
            return (left, right)
        case ast.Unary(operand=operand):
            return (operand,)
        case ast.Power(base=base, exponent=exponent):
            return (base, exponent)
        case ast.Attribute(object=inner):
            return (inner,)
        case ast.Index(object=inner, subscripts=subscripts):
            return (inner, *subscripts)
        case ast.Slice(start=start, stop=stop, step=step):
            return tuple(part for part in (start, stop, step) if part is not None)
        case _:
            return ()
