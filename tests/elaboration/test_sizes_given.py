"""Sizes that are given from Python: what a model does not have, or cannot be, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.diagnostics import SpecErrors
from nnspec.ir.dims import symbol
from tests.ir.models import spec

NET = spec(
    """
    model Net {
      input x: [B, T, 4]
      require T <= 8
      output y = x -> Linear(2)
    }
    """
)


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        ({"Q": 3}, "E0302"),
        ({"b": 3}, "E0302"),
        ({"B": 0}, "E0705"),
        ({"B": "3"}, "E0705"),
        ({"B": 1.5}, "E0705"),
        ({"B": True}, "E0705"),
        ({"T": 9}, "E0503"),
    ],
)
def test_wrong_sizes_are_refused(sizes: dict[str, Any], code: str) -> None:
    for ask in (NET.cost, NET.summary):
        with pytest.raises(SpecErrors) as caught:
            ask(**sizes)
        assert [each.code for each in caught.value.diagnostics] == [code]


def test_sizes_may_stay_open() -> None:
    assert str(NET.cost(B=symbol("N"), T=2).flops) == "32 * N"


def test_a_target_that_does_not_exist_is_named() -> None:
    target: Any = "jax"
    with pytest.raises(ValueError, match="no target `jax`"):
        NET.source(target)
