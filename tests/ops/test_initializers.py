"""Initializers that a weight cannot have are refused where they are written."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecErrors
from nnspec.source import Source


def read(line: str) -> None:
    text = f"model M {{\n  input x: [B, 4]\n  {line}\n}}\n"
    load_source(Source("initializers.nns", text), None, {})


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "output y = x + Param([4], init=init.orthogonal())",
            "E0409",
            "2 axes or more",
        ),
        (
            "output y = x -> Linear(4, bias_init=init.orthogonal())",
            "E0409",
            "this one has 1",
        ),
        ("output y = x -> Linear(4, init=init.normal(std=-1))", "E0305", "`std`"),
        ("output y = x -> Linear(4, init=init.trunc_normal(0))", "E0305", "`std`"),
        ("output y = x -> Linear(4, init=init.uniform(-0.1))", "E0305", "`bound`"),
        (
            "output y = x -> Linear(4, init=init.kaiming_normal(4, gain=0))",
            "E0305",
            "`gain`",
        ),
        (
            "output y = x -> Linear(4, init=init.kaiming_uniform(0))",
            "E0305",
            "at least 1",
        ),
        (
            "output y = x -> Linear(4, init=init.xavier_uniform(4, B))",
            "E0305",
            "not B",
        ),
    ],
)
def test_what_cannot_be_is_refused(line: str, code: str, message: str) -> None:
    with pytest.raises(SpecErrors) as found:
        read(line)
    (diagnostic,) = found.value.diagnostics
    assert diagnostic.code == code
    assert message in diagnostic.message
    assert diagnostic.location is not None
    assert diagnostic.hint
