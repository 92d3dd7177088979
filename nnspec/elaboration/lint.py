"""What can be said of a file before anything is evaluated.

Names that mean nothing, parameters declared twice, values that are never used, statements that are never
reached. Elaboration sees only what some model reaches, with its constants; this sees every body.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nnspec.diagnostics import (
    MOST_DIAGNOSTICS,
    Diagnostic,
    Diagnostics,
    Label,
    Severity,
)
from nnspec.elaboration import foreign, lookup, unused
from nnspec.elaboration.references import (
    References,
    binders,
    leaves,
    of_expressions,
    of_type,
)
from nnspec.ir.predefined import BUILTINS, SCALAR_TYPES
from nnspec.ir.values import Module
from nnspec.source import Location, Span
from nnspec.syntax import ast

Routine = ast.Block | ast.Fn | ast.Model


def lint(module: Module, operators: Collection[str]) -> Diagnostics:
    """All findings about the declarations of a file."""
    found = Diagnostics()
    for declaration in module.file.declarations:
        match declaration:
            case ast.Constant(bind=bind):
                _Names(module, operators, found).resolve(
                    of_expressions(*bind.values), {}
                )
            case ast.Variant(arguments=arguments):
                values = of_expressions(*(argument.value for argument in arguments))
                _Names(module, operators, found).resolve(values, {})
            case _:
                _routine(module, operators, declaration, found)
    found.extend(unused.uses(module))
    return found


def _routine(
    module: Module, operators: Collection[str], node: Routine, found: Diagnostics
) -> None:
    errors = len(found.errors)
    names = _Names(module, operators, found)
    names.bound_at = dict(_bindings(node.body.statements))
    names.body(node.body.statements, names.parameters(node))
    for result in () if isinstance(node, ast.Model) else node.results:
        names.kind(result)
    _unreachable(module, node.body.statements, found)
    _results(module, node, found)
    if not found.errors[errors:]:  # what is misspelt would look unused
        found.extend(unused.names(module, node))


# ---- what a routine must have -------------------------------------------------------------------


def _results(module: Module, node: Routine, found: Diagnostics) -> None:
    """A model outputs something, a block or fn returns something."""
    wanted = ast.Return | ast.Output  # of the wrong one, elaboration speaks
    if any(isinstance(s, wanted) for s in _all(node.body.statements)):
        return
    place = Location(module.file.source, node.name_span)
    if isinstance(node, ast.Model):
        message = f"the model `{node.name}` has no output"
        hint = "add `output name = value`"
        found.add(Diagnostic("E0506", message, place, hint=hint))
        return
    kind = "block" if isinstance(node, ast.Block) else "function"
    message = f"the {kind} `{node.name}` returns nothing"
    found.add(Diagnostic("E0508", message, place, hint="end it with `return value`"))


def _all(statements: Iterable[ast.Stmt]) -> Iterable[ast.Stmt]:
    for statement in statements:
        yield statement
        for body in bodies(statement):
            yield from _all(body.statements)


def bodies(statement: ast.Stmt) -> list[ast.Body]:
    """The bodies inside a statement."""
    match statement:
        case ast.For(body=body):
            return [body]
        case ast.If(then=then, otherwise=otherwise):
            return [then] if otherwise is None else [then, otherwise]
        case _:
            return []


def _unreachable(
    module: Module, statements: tuple[ast.Stmt, ...], found: Diagnostics
) -> None:
    for place, statement in enumerate(statements):
        for body in bodies(statement):
            _unreachable(module, body.statements, found)
        if unused.returns(statement) and place + 1 < len(statements):
            source = module.file.source
            behind = statements[place + 1]
            label = Label(Location(source, statement.span), "everything ends here")
            found.add(
                Diagnostic(
                    "W0204",
                    "this is never reached",
                    Location(source, behind.span),
                    (label,),
                    "put it before the `return`, or delete it",
                    Severity.WARNING,
                )
            )
            return


# ---- names --------------------------------------------------------------------------------------


def _bindings(statements: Iterable[ast.Stmt]) -> Iterable[tuple[str, Span]]:
    """Every place that binds a name; where there are several, the last is the one that counts."""
    for statement in _all(statements):
        match statement:
            case ast.Bind(targets=targets):
                yield from ((target.name, target.span) for target in targets)
            case ast.Output(target=target):
                yield target.name, target.span
            case ast.Input(name=name):
                yield name, statement.span
            case ast.For(pattern=pattern):
                yield from ((leaf.name or "", leaf.span) for leaf in leaves(pattern))
            case _:
                pass


class _Names:
    """Resolves names statement by statement; what may be bound counts as bound."""

    def __init__(
        self, module: Module, operators: Collection[str], found: Diagnostics
    ) -> None:
        self.module, self.operators, self.found = module, operators, found
        self.bound_at: dict[str, Span] = {}
        # The names that the statement binds whose values are looked at.
        self._binding: set[str] = set()

    def parameters(self, node: Routine) -> dict[str, None]:
        """The names that the parameters bind; their faults are noted."""
        first: dict[str, ast.Parameter] = {}
        later = [parameter.name for parameter in node.parameters]
        visible: dict[str, None] = {}
        for parameter in node.parameters:
            if parameter.name in first:
                self._twice(node, parameter, first[parameter.name])
            first.setdefault(parameter.name, parameter)
            self._default(parameter, later, visible)
            later.pop(0)
            visible[parameter.name] = None
        for parameter in node.parameters:
            self.shape(parameter.type, visible)
        return visible

    def _twice(
        self, node: Routine, parameter: ast.Parameter, first: ast.Parameter
    ) -> None:
        source = self.module.file.source
        label = Label(Location(source, first.span), "the first one")
        message = f"`{node.name}` has two parameters named `{parameter.name}`"
        place = Location(source, parameter.span)
        hint = "give one of them another name"
        self.found.add(Diagnostic("E0208", message, place, (label,), hint))

    def _default(
        self, parameter: ast.Parameter, later: list[str], visible: dict[str, None]
    ) -> None:
        read = of_expressions(parameter.default)
        for name in read.read:
            if name.id in later and name.id not in visible:
                message = (
                    f"the default of `{parameter.name}` uses `{name.id}`,"
                    " which has no value yet"
                )
                place = Location(self.module.file.source, name.span)
                hint = "a default sees the parameters before it: change their order"
                self.found.add(Diagnostic("E0311", message, place, hint=hint))
        others = [name for name in read.read if name.id not in later]
        self.resolve(References(others), visible)

    def shape(self, kind: ast.TypeExpr | None, visible: dict[str, None]) -> None:
        """A type: lone names bind, the others must mean something."""
        self.kind(kind)
        lone = binders(kind)
        visible.update((name, None) for name in lone)
        self.resolve(of_type(kind), visible)

    def kind(self, written: ast.TypeExpr | None) -> None:
        """Notes a type in which no kind of constants, and no tensor, is named."""
        if isinstance(written, ast.ShapeType):
            self.kind(written.element)
        if isinstance(written, ast.ScalarType) and written.name not in SCALAR_TYPES:
            message = f"there is no kind of constants named `{written.name}`"
            place = Location(self.module.file.source, written.span)
            hint = foreign.kind_hint(written.name)
            self.found.add(Diagnostic("E0215", message, place, hint=hint))

    def body(self, statements: Iterable[ast.Stmt], visible: dict[str, None]) -> None:
        """Resolves statements in order; `visible` grows."""
        for statement in statements:
            self._one(statement, visible)

    def _one(self, node: ast.Stmt, visible: dict[str, None]) -> None:
        match node:
            case ast.Input(name=name, type=kind):
                self.shape(kind, visible)
                visible[name] = None
            case ast.Output(target=target, value=value):
                value = value or ast.Name(target.span, target.name)
                self.resolve(of_expressions(value), visible)
                self.shape(target.type, visible)
                visible[target.name] = None
            case ast.Bind(targets=targets, values=values):
                self._binding = {target.name for target in targets}
                self.resolve(of_expressions(*values), visible)
                self._binding = set()
                for target in targets:
                    self.shape(target.type, visible)
                    visible[target.name] = None
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                self.resolve(of_expressions(condition), visible)
                one, other = dict(visible), dict(visible)
                self.body(then.statements, one)
                self.body(otherwise.statements if otherwise else (), other)
                visible.update(one)
                visible.update(other)
            case ast.For(pattern=pattern, iterable=iterable, body=body):
                self.resolve(of_expressions(iterable), visible)
                inside = dict(visible)
                inside.update((leaf.name or "", None) for leaf in leaves(pattern))
                self.body(body.statements, inside)
            case ast.Require(condition=condition):
                known = {**visible, lookup.COSTS: None}
                self.resolve(of_expressions(condition), known)
            case ast.Return(values=values):
                self.resolve(of_expressions(*values), visible)
            case _:
                pass

    def resolve(self, read: References, visible: dict[str, None]) -> None:
        """Notes each name that certainly means nothing where it stands."""
        for name in read.read:
            if name.id not in visible and not self._declared(name.id):
                self._unknown(name, visible)

    def _declared(self, name: str) -> bool:
        return name in self.module.names or lookup.is_given(name, self.operators)

    def _unknown(self, name: ast.Name, visible: dict[str, None]) -> None:
        if (
            len(self.found.found) >= MOST_DIAGNOSTICS
        ):  # the search for near names takes time
            self.found.suppressed += 1
            return
        source = self.module.file.source
        place = Location(source, name.span)
        bound = self.bound_at.get(name.id)
        if bound is None:
            known = [*visible, *self.module.names, *self.operators, *BUILTINS]
            code, message, hint = lookup.unknown_text(name.id, known)
            self.found.add(Diagnostic(code, message, place, hint=hint))
            return
        label = Label(Location(source, bound), "it is bound here")
        if bound.start >= name.span.start:
            message = f"`{name.id}` is used before it is bound"
            hint = "bind it first"
        elif name.id in self._binding:
            message = f"`{name.id}` is used before it is bound"
            hint = f"bind `{name.id}` first: before a loop, and the loop carries it"
        else:
            message = f"`{name.id}` is bound inside of a loop, and unknown behind it"
            hint = f"bind `{name.id}` before the loop as well: then the loop carries it"
        self.found.add(Diagnostic("E0213", message, place, (label,), hint))
