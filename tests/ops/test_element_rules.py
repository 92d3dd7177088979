"""Types of results, and what is refused, of functions of elements and their like."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.types import DType, TensorType, tensor
from nnspec.ops import OPS
from nnspec.ops.base import OpError
from nnspec.ops.checked import FieldError

B, H, W = symbol("B"), symbol("H"), symbol("W")
EVEN = symbol("E", 2)


def i64(*shape: int | Dim) -> TensorType:
    return tensor(*shape, dtype=DType.I64)


def truth(*shape: int | Dim) -> TensorType:
    return tensor(*shape, dtype=DType.BOOL)


def typed(dtype: DType, *shape: int | Dim) -> TensorType:
    return tensor(*shape, dtype=dtype)


RESULTS: list[tuple[str, dict[str, Any], list[TensorType | None], str]] = [
    ("add", {}, [tensor(B, 3, H), tensor(3, 1)], "[B, 3, H]"),
    ("add", {}, [tensor(1, 4), tensor(B, 1)], "[B, 4]"),
    ("add", {}, [tensor(), tensor(B)], "[B]"),
    ("add", {"y_value": H}, [tensor(B), None], "[B]"),
    ("add", {"y_value": 2}, [i64(B), None], "i64[B]"),
    ("add", {}, [tensor(3), typed(DType.F32, 3)], "[3]"),
    ("add", {"y_value": 1.5}, [typed(DType.BF16, 3), None], "bf16[3]"),
    ("equal", {"y_value": 0}, [i64(B, 7), None], "bool[B, 7]"),
    ("where", {"y_value": 0}, [truth(B, 1), tensor(4), None], "[B, 4]"),
    ("clip", {"low_value": 0}, [i64(B), None, None], "i64[B]"),
    ("cast", {"dtype": DType.F16}, [i64(B, 7)], "f16[B, 7]"),
    ("glu", {}, [tensor(B, EVEN)], "[B, E // 2]"),
    ("glu", {"dim": 1}, [tensor(B, 2 * H, W)], "[B, H, W]"),
    ("mean", {"dim": [-1, 1]}, [tensor(B, 3, H)], "[B]"),
    ("mean", {"dim": 1, "keep": True}, [tensor(B, 3, H)], "[B, 1, H]"),
    ("mean", {}, [tensor(B, 3)], "[]"),
    ("sum", {"dim": 0}, [typed(DType.I32, 3, B)], "i32[B]"),
    ("var", {"dim": 1, "correction": 1}, [tensor(B, H)], "[B]"),
    ("any", {"dim": 1}, [truth(B, H)], "bool[B]"),
    ("argmax", {"dim": -1}, [tensor(B, H)], "i64[B]"),
    ("argmin", {"dim": 0, "keep": True}, [tensor(B, H)], "i64[1, H]"),
    ("sort", {}, [i64(B)], "i64[B]"),
    ("arange", {"start": H}, [], "i64[H]"),
    ("arange", {"start": dim(2), "stop": H + 2}, [], "i64[H]"),
    ("arange", {"start": 0, "stop": 2 * H, "step": 2}, [], "i64[H]"),
    ("arange", {"start": 5, "stop": 0, "step": -2}, [], "i64[3]"),
    ("zeros", {"shape": [B, 3]}, [], "[B, 3]"),
    ("full", {"shape": [B], "value": 1, "dtype": DType.U8}, [], "u8[B]"),
    ("tensor", {"values": [[1, 2], [3, 4.5]]}, [], "[2, 2]"),
    ("tensor", {"values": 3}, [], "i64[]"),
    ("eye", {"size": H}, [], "[H, H]"),
    ("RandomNormal", {"shape": [B, 2]}, [], "[B, 2]"),
    ("Param", {"shape": [1, 2]}, [], "[1, 2]"),
    ("gather", {"dim": 1}, [tensor(B, H, 3), i64(B, 5, W)], "[B, 5, W, 3]"),
    ("take", {"dim": 1}, [tensor(B, H, 3), i64(5, W)], "[B, 5, W, 3]"),
    ("one_hot", {"classes": H}, [i64(B)], "[B, H]"),
    (
        "scatter_add",
        {"dim": 1},
        [tensor(B, H, 3), i64(B, W), tensor(B, W, 3)],
        "[B, H, 3]",
    ),
    ("PReLU", {"shared": False}, [tensor(B, 3, H, W)], "[B, 3, H, W]"),
    ("DropPath", {"rate": 0.5}, [tensor(B, 3)], "[B, 3]"),
]


@pytest.mark.parametrize(("op", "fields", "inputs", "expected"), RESULTS)
def test_result(op: str, fields: Any, inputs: Any, expected: str) -> None:
    assert str(OPS[op](**fields).infer(*inputs)) == expected


def test_topk_gives_values_and_places() -> None:
    values, places = OPS["topk"](k=2, dim=1).infer(tensor(B, H, 3))
    assert (str(values), str(places)) == ("[B, 2, 3]", "i64[B, 2, 3]")


IMPLIED: list[tuple[str, dict[str, Any], str]] = [
    ("topk", {"k": 5}, "H - 4"),
    ("topk", {"k": 5, "dim": 0}, "B - 4"),
    ("var", {"dim": 1, "correction": 2}, "H - 2"),
    ("std", {"correction": 1}, "B * H - 1"),
]


@pytest.mark.parametrize(("op", "fields", "expected"), IMPLIED)
def test_what_must_be_at_least_1(op: str, fields: Any, expected: str) -> None:
    (size,) = OPS[op](**fields).implied(tensor(B, H))
    assert str(size) == expected


def test_equal_sizes_keep_the_name_that_one_of_them_has() -> None:
    width = symbol("width")
    plain, known = tensor(64), tensor(dim(64).named(width))
    for pair in ((plain, known), (known, plain)):
        assert OPS["add"]().infer(*pair).shape[0].generic == width


WRONG: list[tuple[str, dict[str, Any], list[TensorType | None], str, str | None]] = [
    ("relu", {}, [i64(3)], "E0404", "x"),
    ("floor", {}, [i64(3)], "E0404", "x"),
    ("abs", {}, [truth(3)], "E0404", "x"),
    ("glu", {}, [tensor(B, 5)], "E0407", "x"),
    ("glu", {}, [tensor(B, H)], "E0407", "x"),
    ("glu", {"dim": 2}, [tensor(B, 4)], "E0402", "dim"),
    ("glu", {}, [i64(4)], "E0404", "x"),
    ("hardtanh", {"low": 1, "high": 0}, [tensor(3)], "E0409", "low"),
    ("PReLU", {}, [tensor(3)], "E0403", "x"),
    ("PReLU", {}, [i64(3, 3)], "E0404", "x"),
    ("add", {}, [tensor(B, 3), tensor(B, 4)], "E0411", "y"),
    ("add", {}, [tensor(B), tensor(H)], "E0411", "y"),
    ("add", {}, [tensor(3), i64(3)], "E0405", None),
    ("add", {}, [tensor(3), None], "E0409", "y"),
    ("add", {"x_value": 1, "y_value": 2}, [None, None], "E0409", "x"),
    ("add", {"y_value": 1.5}, [i64(3), None], "E0405", "y"),
    ("add", {"y_value": True}, [tensor(3), None], "E0405", "y"),
    ("add", {"y_value": 300}, [typed(DType.U8, 3), None], "E0405", "y"),
    ("add", {"y_value": -1}, [typed(DType.U8, 3), None], "E0405", "y"),
    ("add", {}, [truth(3), truth(3)], "E0404", "x"),
    ("divide", {}, [i64(3), i64(3)], "E0404", "x"),
    ("divide", {"x_value": 1}, [None, i64(3)], "E0404", "y"),
    ("floor_divide", {"y_value": 0}, [i64(3), None], "E0409", "y"),
    ("remainder", {"y_value": 0.0}, [tensor(3), None], "E0409", "y"),
    ("power", {"y_value": -1}, [i64(3), None], "E0404", "y"),
    ("negative", {}, [typed(DType.U8, 3)], "E0404", "x"),
    ("negative", {}, [truth(3)], "E0404", "x"),
    ("clip", {}, [tensor(3), None, None], "E0409", "low"),
    (
        "clip",
        {"low_value": 2, "high_value": 1},
        [tensor(3), None, None],
        "E0409",
        "low",
    ),
    ("clip", {"low_value": 0.5}, [i64(3), None, None], "E0405", "low"),
    ("clip", {}, [tensor(3), tensor(4), None], "E0411", "low"),
    ("less", {}, [truth(3), truth(3)], "E0404", "x"),
    ("equal", {"y_value": 1}, [truth(3), None], "E0405", "y"),
    ("equal", {}, [truth(3), i64(3)], "E0405", None),
    ("logical_and", {}, [truth(3), tensor(3)], "E0404", "y"),
    ("logical_or", {}, [truth(3), truth(4)], "E0411", "y"),
    ("logical_not", {}, [i64(3)], "E0404", "x"),
    ("where", {"y_value": 0}, [tensor(3), tensor(3), None], "E0404", "condition"),
    ("where", {"x_value": 1, "y_value": 0}, [truth(3), None, None], "E0409", "x"),
    ("where", {}, [truth(3), tensor(3), None], "E0409", "y"),
    ("where", {"y_value": 0}, [truth(4), tensor(3), None], "E0411", "condition"),
    ("mean", {}, [i64(3)], "E0404", "x"),
    ("mean", {"dim": 2}, [tensor(3, 4)], "E0402", "dim"),
    ("mean", {"dim": [1, -1]}, [tensor(3, 4)], "E0402", "dim"),
    ("mean", {"dim": []}, [tensor(3, 4)], "E0402", "dim"),
    ("sum", {}, [truth(3)], "E0404", "x"),
    ("max", {}, [truth(3)], "E0404", "x"),
    ("any", {}, [tensor(3)], "E0404", "x"),
    ("var", {"dim": 1, "correction": 4}, [tensor(3, 4)], "E0408", "correction"),
    ("argmax", {"dim": 1}, [tensor(3)], "E0402", "dim"),
    ("argmax", {"dim": 0}, [truth(3)], "E0404", "x"),
    ("softmax", {"dim": -3}, [tensor(3, 4)], "E0402", "dim"),
    ("softmax", {}, [i64(3)], "E0404", "x"),
    ("cumsum", {"dim": 1}, [tensor(3)], "E0402", "dim"),
    ("cumsum", {"dim": 0}, [truth(3)], "E0404", "x"),
    ("topk", {"k": 5}, [tensor(3, 4)], "E0406", "k"),
    ("topk", {"k": H + 1}, [tensor(3, H)], "E0406", "k"),
    ("sort", {}, [truth(3)], "E0404", "x"),
    ("arange", {}, [], "E0409", "stop"),
    ("arange", {"start": 0}, [], "E0408", "start"),
    ("arange", {"start": 3, "stop": 3}, [], "E0408", "stop"),
    ("arange", {"start": 3, "stop": 5, "step": 0}, [], "E0409", "step"),
    ("arange", {"start": 3, "stop": 5, "step": H}, [], "E0409", "step"),
    ("zeros", {"shape": [3, 0]}, [], "E0408", "shape"),
    ("full", {"shape": [3], "value": 0.5, "dtype": DType.I64}, [], "E0405", "value"),
    ("tensor", {"values": []}, [], "E0406", "values"),
    ("tensor", {"values": [[1], [2, 3]]}, [], "E0406", "values"),
    ("tensor", {"values": [1, [2]]}, [], "E0406", "values"),
    ("tensor", {"values": ["a"]}, [], "E0404", "values"),
    ("tensor", {"values": [H, 1]}, [], "E0409", "values"),
    ("tensor", {"values": [True, 1]}, [], "E0405", "values"),
    ("RandomUniform", {"shape": [-1]}, [], "E0408", "shape"),
    ("Param", {"shape": [0]}, [], "E0408", "shape"),
    ("Param", {"shape": [B, 3]}, [], "E0409", "shape"),
    ("gather", {"dim": 1}, [tensor(B, 3), i64(H, 3)], "E0406", "index"),
    ("gather", {"dim": 1}, [tensor(B, 3), i64()], "E0406", "index"),
    ("gather", {"dim": 1}, [tensor(B, 3), tensor(B, 3)], "E0404", "index"),
    ("gather", {"dim": 2}, [tensor(B, 3), i64(B, 3)], "E0402", "dim"),
    ("take", {"dim": 2}, [tensor(B, 3), i64(B, 3)], "E0402", "dim"),
    ("take", {}, [tensor(B, 3), typed(DType.U8, 3)], "E0404", "index"),
    ("one_hot", {"classes": 3}, [tensor(3)], "E0404", "index"),
    ("scatter_add", {"dim": 0}, [tensor(5), i64(3), tensor(4)], "E0406", "updates"),
    ("scatter_add", {"dim": 0}, [tensor(5), i64(3), i64(3)], "E0405", "updates"),
    ("scatter_add", {"dim": 0}, [truth(5), i64(3), truth(3)], "E0404", "x"),
    ("Dropout", {"rate": 0.5}, [i64(3)], "E0404", "x"),
    ("ChannelDropout", {"rate": 0.5}, [tensor(B, 3)], "E0403", "x"),
    ("DropPath", {"rate": 0.5}, [tensor()], "E0403", "x"),
]


@pytest.mark.parametrize(("op", "fields", "inputs", "code", "blamed"), WRONG)
def test_refused(
    op: str, fields: Any, inputs: Any, code: str, blamed: str | None
) -> None:
    with pytest.raises(OpError) as caught:
        OPS[op](**fields).infer(*inputs)
    error = caught.value
    assert (error.code, error.param or error.input) == (code, blamed)
    assert error.hint


BAD_FIELDS = [
    ("softplus", {"beta": 0}),
    ("celu", {"alpha": -1.0}),
    ("soft_shrink", {"threshold": -0.1}),
    ("gelu", {"approximate": "sigmoid"}),
    ("Dropout", {"rate": 1}),
    ("DropPath", {"rate": -0.1}),
    ("topk", {"k": 0}),
    ("eye", {"size": 0}),
    ("one_hot", {"classes": 0}),
    ("var", {"correction": -1}),
    ("relu", {"slope": 0.1}),
]


@pytest.mark.parametrize(("op", "fields"), BAD_FIELDS)
def test_bad_argument(op: str, fields: dict[str, Any]) -> None:
    with pytest.raises(FieldError):
        OPS[op](**fields)
