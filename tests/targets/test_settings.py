"""Constants that are set from outside, in programs whose model needs no factory otherwise."""

from __future__ import annotations

import ast

import pytest

from nnspec.targets import emitted
from tests.ir.models import spec

TEXT = """
model Net(depth: int = 4) {
  input x: [B, 8]
  for _ in range(depth) { x = x -> layers: Linear(8) -> relu }
  output y = x
}
"""


@pytest.mark.parametrize("target", ["torch", "keras"])
@pytest.mark.parametrize("settings", [{}, {"depth": "2"}])
def test_each_name_is_defined_once(target, settings):
    found = emitted(spec(TEXT, **settings).program, target)
    tree = ast.parse(found.source)
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert len(names) == len(set(names))
    assert found.factory in names
    assert ("depth=2" in found.source) is bool(settings)
