"""The helper functions that emitted files carry keep the rules of emitted code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from nnspec.pycode import safety

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
ALLOWED = {
    "torch": {
        "__future__",
        "math",
        "torch",
        "torch.nn",
        "torch.nn.functional",
        "torch.utils.checkpoint",
    },
    "keras": {"__future__", "math", "keras"},
}


def tree(target: str) -> ast.Module:
    return ast.parse(Path(f"nnspec/targets/helpers_{target}.py").read_text())


HELPERS = [
    (target, node.name)
    for target in ALLOWED
    for node in tree(target).body
    if isinstance(node, DEFINITIONS)
]


@pytest.mark.parametrize(("target", "name"), HELPERS, ids=lambda value: value)
def test_helper_holds_what_emitted_code_may_hold(target: str, name: str) -> None:
    body = tree(target).body
    others = {node.name for node in body if isinstance(node, DEFINITIONS)}
    chosen: list[ast.stmt] = [
        node
        for node in body
        if (isinstance(node, IMPORTS) and not _for_types_only(node))
        or (isinstance(node, DEFINITIONS) and node.name == name)
    ]
    assert len(chosen) > 1
    text = ast.unparse(ast.Module(chosen, []))
    safety.check(text, others, ALLOWED[target])


def _for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "collections.abc"
