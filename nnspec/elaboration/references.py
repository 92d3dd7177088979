"""The names that expressions and types refer to, found without evaluating anything."""

from __future__ import annotations

from dataclasses import field

from nnspec.elaboration.labels import children
from nnspec.records import dataclass
from nnspec.syntax import ast


@dataclass(slots=True)
class References:
    """What was found: names that are read, and comprehension variables that never are."""

    read: list[ast.Name] = field(default_factory=list[ast.Name])
    idle: list[ast.Pattern] = field(default_factory=list[ast.Pattern])

    @property
    def names(self) -> set[str]:
        return {name.id for name in self.read}


def of_expressions(*expressions: ast.Expr | None) -> References:
    """The names that expressions read; variables of their own comprehensions left out."""
    found = References()
    for expression in expressions:
        if expression is not None:
            _visit(expression, frozenset(), found)
    return found


def of_type(kind: ast.TypeExpr | None) -> References:
    """The names in a type, those that stand alone (and may bind) among them."""
    if not isinstance(kind, ast.ShapeType):
        return References()
    inner = of_type(kind.element)
    found = of_expressions(*kind.items)
    return References([*found.read, *inner.read], found.idle)


def binders(kind: ast.TypeExpr | None) -> list[str]:
    """The names that stand alone in a type: each binds a size unless it means something already."""
    if not isinstance(kind, ast.ShapeType):
        return []
    own = [item.id for item in kind.items if isinstance(item, ast.Name)]
    spread = [item.name for item in kind.items if isinstance(item, ast.Spread)]
    return [*own, *spread, *binders(kind.element)]


def leaves(pattern: ast.Pattern) -> list[ast.Pattern]:
    """The single names of a `for` pattern."""
    if pattern.name is not None:
        return [pattern]
    return [leaf for item in pattern.items for leaf in leaves(item)]


def _visit(node: ast.Expr, hidden: frozenset[str], found: References) -> None:
    match node:
        case ast.Name(id=name):
            if name not in hidden and name != "_":
                found.read.append(node)
        case ast.Spread(name=name):
            if name not in hidden and name != "_":
                found.read.append(ast.Name(node.span, name))
        case ast.Pipe(source=source, stages=stages):
            _visit(source, hidden, found)
            for stage in stages:
                _visit(stage.callee, hidden, found)
                for argument in stage.arguments or ():
                    _visit(argument.value, hidden, found)
        case ast.Call(callee=callee, arguments=arguments):
            _visit(callee, hidden, found)
            for argument in arguments:
                _visit(argument.value, hidden, found)
        case ast.Comprehension():
            _comprehension(node, hidden, found)
        case _:
            for child in children(node):
                _visit(child, hidden, found)


def _comprehension(
    node: ast.Comprehension, hidden: frozenset[str], found: References
) -> None:
    _visit(node.iterable, hidden, found)
    variables = leaves(node.pattern)
    own = {leaf.name or "" for leaf in variables}
    inside = References()
    _visit(node.body, hidden - own, inside)
    if node.condition is not None:
        _visit(node.condition, hidden - own, inside)
    found.idle.extend(inside.idle)
    found.idle.extend(v for v in variables if v.name not in {*inside.names, "_"})
    found.read.extend(name for name in inside.read if name.id not in own)
