"""An emitted program with probes in it: the same program, in which every result of a step is shown.

`F.relu(self.fc(x))` becomes `nnspec_probe(1, F.relu(nnspec_probe(0, self.fc(x))))`. A probe gives back what
it is given, so a program computes with probes what it computes without; `without_probes` takes them out
again, to show that nothing else was changed.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import field

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode import statements as py
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.records import dataclass

PROBE = "nnspec_probe"


@dataclass(frozen=True)
class Probed:
    """The text of a program with probes, and by number which results of which nodes each shows.

    A node is the key of its function and its number there; a probe without a place shows all results
    of its nodes at once.
    """

    source: str
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Shown:
    """What a probe shows: a result of nodes that share one place of the program, or all results."""

    nodes: tuple[tuple[str, int], ...]
    place: int | None


@dataclass
class Probes:
    """Puts probes into statements and numbers them."""

    shown: list[Shown] = field(default_factory=list[Shown])

    def body(self, statements: Sequence[py.Statement]) -> tuple[py.Statement, ...]:
        """The same statements, with probes."""
        return tuple(self._statement(statement) for statement in statements)

    def _statement(self, statement: py.Statement) -> py.Statement:
        match statement:
            case py.Class(name, bases, body, doc, decorators):
                return py.Class(name, bases, self.body(body), doc, decorators)
            case py.Function(name, arguments, returns, body, doc, decorators):
                inside = self.body(body)
                return py.Function(name, arguments, returns, inside, doc, decorators)
            case py.For(target, iterable, body):
                return py.For(target, self._expression(iterable), self.body(body))
            case py.If(condition, then, otherwise):
                condition = self._expression(condition)
                return py.If(condition, self.body(then), self.body(otherwise))
            case py.Assign(targets, value, comment):
                return py.Assign(targets, self._expression(value), comment)
            case py.Return(values, comment):
                return py.Return(tuple(map(self._expression, values)), comment)
            case _:
                return statement

    def _expression(self, root: Expr) -> Expr:
        parts = [self._expression(child) for child in root.children]
        found = root.rebuilt(parts) if parts else root
        for origin in root.origins:
            if isinstance(origin, merged.Origin):
                found = self._shown(found, origin)
        return found

    def _shown(self, value: Expr, origin: merged.Origin) -> Expr:
        number = len(self.shown)
        self.shown.append(Shown(origin.step.nodes, origin.place))
        return tree.Call(Name(PROBE), (Literal(number), value))


class _Without(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = node.func
        return (
            node.args[1]
            if isinstance(called, ast.Name) and called.id == PROBE
            else node
        )


def without_probes(source: str) -> str:
    """What a program says once its probes are taken out, in a form that can be compared."""
    return ast.dump(_Without().visit(ast.parse(source)))
