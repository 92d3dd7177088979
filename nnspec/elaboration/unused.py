"""What is bound and never read: liveness, followed from the end of a body to its beginning.

A warning means that no way through the body reads the value. A loop may run again, so what its body
reads anywhere counts as read behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nnspec.diagnostics import Diagnostic, Severity
from nnspec.elaboration.references import leaves, of_expressions, of_type
from nnspec.ir.values import Module
from nnspec.source import Location, Span
from nnspec.syntax import ast

Routine = ast.Block | ast.Fn | ast.Model


def returns(statement: ast.Stmt) -> bool:
    """Whether nothing behind a statement is reached."""
    if isinstance(statement, ast.If):
        branches = (statement.then, statement.otherwise)
        return all(b is not None and any(map(returns, b.statements)) for b in branches)
    return isinstance(statement, ast.Return)


def names(module: Module, node: Routine) -> list[Diagnostic]:
    """The values and parameters of a routine that nothing reads, in the order of the text."""
    results = () if isinstance(node, ast.Model) else node.results
    claimed = {name for kind in results for name in of_type(kind).names}
    liveness = _Liveness(module, claimed)
    live = liveness.before(node.body.statements, set(claimed))
    read, sizes = set(live), set[str]()
    for parameter in node.parameters:
        live |= of_type(parameter.type).names
        live |= of_expressions(parameter.default).names
    for parameter in node.parameters:
        # A tensor may be there for a size alone, which its type is the first to name.
        named = of_type(parameter.type).names - sizes
        sizes |= named
        used = parameter.name in live or parameter.name == "_" or named & read
        if not used:
            liveness.parameter(node, parameter)
    return sorted(liveness.found, key=_start)


def _start(diagnostic: Diagnostic) -> int:
    return diagnostic.location.span.start if diagnostic.location else 0


class _Liveness:
    """Walks statements backwards, with the names that are read later."""

    def __init__(self, module: Module, claimed: set[str]) -> None:
        self.source = module.file.source
        self.claimed = claimed
        self.found: list[Diagnostic] = []

    def _warn(self, code: str, message: str, span: Span, hint: str) -> None:
        place = Location(self.source, span)
        severity = Severity.WARNING
        self.found.append(
            Diagnostic(code, message, place, hint=hint, severity=severity)
        )

    def parameter(self, node: Routine, parameter: ast.Parameter) -> None:
        """Says that a parameter is never read."""
        message = f"`{node.name}` never uses its parameter `{parameter.name}`"
        self._warn("W0202", message, parameter.span, "use it, or delete it")

    def before(self, statements: Iterable[ast.Stmt], live: set[str]) -> set[str]:
        """What is live in front of statements, from what is live behind them."""
        reached: list[ast.Stmt] = []
        for statement in statements:
            reached.append(statement)
            if returns(statement):
                break
        for statement in reversed(reached):
            live = self._one(statement, live)
        return live

    def _one(self, node: ast.Stmt, live: set[str]) -> set[str]:
        match node:
            case ast.Bind():
                return self._bind(node, live)
            case ast.Input(name=name, type=kind):
                if name not in live:
                    message = f"the input `{name}` is never used"
                    self._warn("W0202", message, node.span, "use it, or delete it")
                return (live - {name}) | of_type(kind).names
            case ast.Output(target=target, value=value):
                value = value or ast.Name(target.span, target.name)
                live = live - {target.name} | of_type(target.type).names
                return live | self._read(value)
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                one = self.before(then.statements, set(live))
                rest = otherwise.statements if otherwise else ()
                return one | self.before(rest, set(live)) | self._read(condition)
            case ast.For():
                return self._for(node, live)
            case ast.Require(condition=condition):
                return live | self._read(condition)
            case ast.Return(values=values):
                return self.claimed | self._read(*values)
            case _:
                return live

    def _bind(self, node: ast.Bind, live: set[str]) -> set[str]:
        for target in node.targets:
            # A claim is a reason of its own to bind a name.
            if target.name in live or target.name == "_" or target.type is not None:
                continue
            several = len(node.targets) > 1
            self._warn(
                "W0201",
                f"`{target.name}` is bound here and never read",
                target.span,
                "write `_` for what is not needed"
                if several
                else "use it, or delete it",
            )
        live = live - {target.name for target in node.targets}
        for target in node.targets:
            live |= of_type(target.type).names
        return live | self._read(*node.values)

    def _for(self, node: ast.For, live: set[str]) -> set[str]:
        again = _names_read(node.body.statements)
        inside = self.before(node.body.statements, live | again)
        variables = leaves(node.pattern)
        for leaf in variables:
            if leaf.name not in {*inside, "_"}:
                self._idle(leaf)
        own = {leaf.name or "" for leaf in variables}
        return live | (inside - (own - live)) | self._read(node.iterable)

    def _idle(self, leaf: ast.Pattern) -> None:
        message = f"the loop variable `{leaf.name}` is never read"
        self._warn("W0201", message, leaf.span, "write `_` for what is not needed")

    def _read(self, *expressions: ast.Expr) -> set[str]:
        found = of_expressions(*expressions)
        for leaf in found.idle:
            self._idle(leaf)
        return found.names


def _names_read(statements: Iterable[ast.Stmt]) -> set[str]:
    """Every name that statements read anywhere."""
    found: set[str] = set()
    for statement in statements:
        match statement:
            case ast.Bind(targets=targets, values=values):
                found |= of_expressions(*values).names
                for target in targets:
                    found |= of_type(target.type).names
            case ast.Output(target=target, value=value):
                found |= of_expressions(value).names | {target.name}
            case ast.If(condition=condition, then=then, otherwise=otherwise):
                found |= of_expressions(condition).names | _names_read(then.statements)
                found |= _names_read(otherwise.statements if otherwise else ())
            case ast.For(iterable=iterable, body=body):
                found |= of_expressions(iterable).names | _names_read(body.statements)
            case ast.Require(condition=condition):
                found |= of_expressions(condition).names
            case ast.Return(values=values):
                found |= of_expressions(*values).names
            case _:
                pass
    return found


# ---- `use` --------------------------------------------------------------------------------------


def uses(module: Module) -> Iterator[Diagnostic]:
    """What a file takes from the library and never mentions."""
    read = _names_in_file(module.file)
    for use in module.file.uses:
        named = [
            (use.alias if len(use.names) == 1 else None) or n for n, _ in use.names
        ]
        spans = [span for _, span in use.names]
        if not use.names:
            named = [n for n, d in module.names.items() if _comes_from(d.module, use)]
            if not named or any(name in read for name in named):
                continue
            named, spans = [use.path], [use.path_span]
        for name, span in zip(named, spans, strict=True):
            if name not in read:
                yield Diagnostic(
                    "W0203",
                    f"`{name}` is taken from the library and never used",
                    Location(module.file.source, span),
                    hint="delete it",
                    severity=Severity.WARNING,
                )


def _comes_from(module: Module, use: ast.Use) -> bool:
    return module.file.source.name == f"{use.path.replace('.', '/')}.nns"


def _names_in_file(file: ast.File) -> set[str]:
    found: set[str] = set()
    for declaration in file.declarations:
        match declaration:
            case ast.Constant(bind=bind):
                found |= of_expressions(*bind.values).names
            case ast.Variant(model=model, arguments=arguments):
                found |= of_expressions(*(a.value for a in arguments)).names | {model}
            case _:
                found |= _names_read(declaration.body.statements)
                for parameter in declaration.parameters:
                    found |= of_type(parameter.type).names
                    found |= of_expressions(parameter.default).names
    return found
