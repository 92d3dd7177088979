"""A second look at generated text: only what emitted programs need may stand in it.

The writer already keeps a spec's text out of the code. This check does not trust it: it
parses the finished text and refuses every node, name, import and attribute that is not
on a list.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Set

_NODES: tuple[type[ast.AST], ...] = (
    *(ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.Pass, ast.Expr),
    *(ast.FunctionDef, ast.ClassDef, ast.arguments, ast.arg, ast.Return, ast.Raise),
    *(ast.Assign, ast.AnnAssign, ast.If, ast.For, ast.Continue, ast.With, ast.withitem),
    ast.expr_context,
    *(ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.keyword, ast.Starred),
    *(ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
    *(ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.comprehension),
    *(ast.JoinedStr, ast.FormattedValue),
)
_BUILTINS = frozenset(
    [
        "super",
        "range",
        "sorted",
        "reversed",
        "hasattr",
        "slice",
        "enumerate",
        "zip",
        "iter",
        "next",
        "len",
        "tuple",
        "list",
        "int",
        "float",
        "isinstance",
        "ValueError",
        "sum",
        "min",
        "max",
        "bool",
        "str",
        "dict",
        "object",
        "property",
        "abs",
        "all",
        "any",
    ]
)
_NAMED = (ast.FunctionDef, ast.ClassDef)
_LABELLED = (ast.keyword, ast.arg, *_NAMED)
_REFUSED = frozenset(dir(builtins)) - _BUILTINS


class UnsafeCode(ValueError):
    """Generated text holds something that emitted programs never need."""


def check(text: str, allowed_names: Set[str], allowed_imports: Set[str]) -> None:
    """Raise UnsafeCode, naming node and line, for anything that is on no list.

    `allowed_names` are names that the program may use without defining or importing
    them, besides a few harmless builtins; `allowed_imports` are whole dotted modules.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        raise UnsafeCode(f"the text does not parse: {fault}") from fault
    nodes = list(ast.walk(tree))
    known = allowed_names | _BUILTINS | _defined(nodes, allowed_imports)
    top = {id(node) for node in tree.body}
    for node in nodes:
        if not isinstance(node, _NODES):
            raise _unsafe(node, "is never emitted")
        if isinstance(node, ast.Name):
            _check_name(node, known, allowed_names)
        elif isinstance(node, ast.Attribute):
            _check_attribute(node)
        elif isinstance(node, ast.Assign):
            _check_dunder_targets(node, id(node) in top)
        elif isinstance(node, _LABELLED):
            _check_label(node)
        elif isinstance(node, ast.FormattedValue) and node.conversion != -1:
            raise _unsafe(node, "converts a value")


def _unsafe(node: ast.AST, reason: str) -> UnsafeCode:
    line = getattr(node, "lineno", 0)
    return UnsafeCode(f"line {line}: {type(node).__name__} {reason}")


def _is_dunder(name: str) -> bool:
    return name.startswith("__")


def _defined(nodes: Iterable[ast.AST], allowed_imports: Set[str]) -> set[str]:
    """Every name that the text binds; imports are checked on the way."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                _check_import(node, alias.name, allowed_imports)
                found.add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            _check_import(node, node.module or "", allowed_imports)
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, _NAMED):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _check_import(
    node: ast.Import | ast.ImportFrom, module: str, allowed: Set[str]
) -> None:
    if isinstance(node, ast.ImportFrom):
        if node.level:
            raise _unsafe(node, "is relative")
        if any(alias.name == "*" for alias in node.names):
            raise _unsafe(node, "imports everything")
    if any(_is_dunder(part) for part in module.split(".")[1:]):
        raise _unsafe(node, f"imports {module}")
    if module != "__future__" and module not in allowed:
        raise _unsafe(node, f"imports {module}")
    for alias in node.names:
        if _is_dunder(alias.name) or _is_dunder(alias.asname or ""):
            raise _unsafe(node, f"imports {alias.name}")


def _check_name(node: ast.Name, known: Set[str], allowed: Set[str]) -> None:
    if node.id == "__all__" and isinstance(node.ctx, ast.Store):
        return
    if _is_dunder(node.id):
        raise _unsafe(node, f"uses {node.id}")
    if isinstance(node.ctx, ast.Load) and node.id not in known:
        raise _unsafe(node, f"uses {node.id}, which nothing defines")
    if node.id in _REFUSED and node.id not in allowed and node.id not in known:
        raise _unsafe(node, f"uses {node.id}")


def _check_attribute(node: ast.Attribute) -> None:
    if not _is_dunder(node.attr):
        return
    value = node.value
    of_super = (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "super"
    )
    if node.attr != "__init__" or not of_super:
        raise _unsafe(node, f"uses {node.attr}")


def _check_dunder_targets(node: ast.Assign, is_top: bool) -> None:
    for target in node.targets:
        for part in ast.walk(target):
            if not isinstance(part, ast.Name) or part.id != "__all__":
                continue
            if not is_top or part is not target or not _is_names(node.value):
                raise _unsafe(node, "defines __all__ in an unusual way")


def _is_names(value: ast.expr) -> bool:
    if not isinstance(value, ast.List):
        return False
    constants = [item for item in value.elts if isinstance(item, ast.Constant)]
    names = [item for item in constants if isinstance(item.value, str)]
    return len(names) == len(value.elts)


def _check_label(node: ast.keyword | ast.arg | ast.FunctionDef | ast.ClassDef) -> None:
    label = node.arg if isinstance(node, ast.keyword | ast.arg) else node.name
    if label is None or not _is_dunder(label):
        return
    if not (isinstance(node, ast.FunctionDef) and label in ("__init__", "__call__")):
        raise _unsafe(node, f"is called {label}")
