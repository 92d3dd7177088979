"""Every operator says what it costs, and the rules hold on small cases that are worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.ir.dims import Dim, dim
from nnspec.ir.types import TensorType, tensor
from nnspec.ops import OPS
from nnspec.ops.base import NoFlops, OpError, Product


@pytest.mark.parametrize("name", OPS)
def test_every_operator_has_a_rule_for_elementwise_operations(name: str) -> None:
    operator = OPS[name]
    own = operator.elementwise is not NoFlops.elementwise
    assert own or operator.per_result is not None


def test_an_operator_without_the_rule_is_an_error() -> None:
    class Silent(NoFlops):
        """Says nothing of its elementwise operations."""

        def infer(self, x: TensorType) -> TensorType:
            return x

        def torch(self, io: Any) -> Any:
            return io["x"]

        def keras(self, io: Any) -> Any:
            return io["x"]

    with pytest.raises(OpError) as found:
        Silent().elementwise(tensor(2, 3))
    assert found.value.code == "E0901"


X = tensor(2, 3, 8, 8)
ROWS = tensor(4, 5, 6)
CASES: list[tuple[str, dict[str, Any], tuple[Any, ...], int]] = [
    ("relu", {}, (ROWS,), 4 * 5 * 6),
    ("add", {}, (ROWS, tensor(6)), 4 * 5 * 6),
    ("Linear", {"features": 7}, (ROWS,), 4 * 5 * 7),
    ("Linear", {"features": 7, "bias": False}, (ROWS,), 0),
    ("softmax", {}, (ROWS,), 5 * 4 * 5 * 6),
    ("sum", {"dim": dim(2)}, (ROWS,), 4 * 5 * 6),
    ("mean", {"dim": dim(2)}, (ROWS,), 4 * 5 * 6 + 4 * 5),
    ("LayerNorm", {}, (ROWS,), 8 * 4 * 5 * 6),
    ("LayerNorm", {"bias": False}, (ROWS,), 7 * 4 * 5 * 6),
    ("BatchNorm", {}, (X,), 4 * 2 * 3 * 64),
    ("max_pool", {"kernel": dim(2)}, (X,), 4 * 2 * 3 * 16),
    ("reshape", {"shape": (dim(20), dim(6))}, (ROWS,), 0),
    ("resize", {"size": (dim(4), dim(4)), "method": "bilinear"}, (X,), 9 * 6 * 16),
    ("einsum", {"pattern": "a b c, c -> a b c"}, ((ROWS, tensor(6)),), 4 * 5 * 6),
]


@pytest.mark.parametrize(("name", "fields", "inputs", "count"), CASES)
def test_elementwise_operations(
    name: str, fields: dict[str, Any], inputs: tuple[Any, ...], count: int
) -> None:
    assert OPS[name](**fields).elementwise(*inputs) == count


def test_attention_is_two_products() -> None:
    q, k, v = tensor(2, 4, 5, 8), tensor(2, 4, 6, 8), tensor(2, 4, 6, 3)
    scores = 2 * 4 * 5 * 6
    assert OPS["attention"]().products(q, k, v) == (
        Product(("q",), ("k",), dim(2 * scores * 8)),
        Product(("q", "k", "bias"), ("v",), dim(2 * scores * 3)),
    )


def test_views_move_nothing_and_copies_do() -> None:
    transposed = OPS["rearrange"](pattern="a b c -> a c b").traffic(ROWS)
    merged = OPS["rearrange"](pattern="a b c -> a (c b)").traffic(ROWS)
    assert transposed.reads == transposed.writes == ()
    assert merged.reads == (ROWS,)
    assert _elements(merged.writes) == 4 * 5 * 6


def _elements(tensors: tuple[TensorType, ...]) -> Dim:
    (each,) = tensors
    return each.elements
