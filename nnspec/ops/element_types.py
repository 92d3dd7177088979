"""How each backend names element types, and where tensors that it creates are put."""

from __future__ import annotations

from typing import Any

from nnspec.ir.types import DType
from nnspec.ops.base import Io
from nnspec.pycode.expressions import Expr, Namespace, expression

_torch, _ops, _config = Namespace("torch"), Namespace("ops"), Namespace("keras.config")

# Both frameworks use these names; the policy's float has none.
FRAMEWORK_NAMES = {
    DType.F16: "float16",
    DType.BF16: "bfloat16",
    DType.F32: "float32",
    DType.F64: "float64",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.U8: "uint8",
    DType.BOOL: "bool",
}


def dtype_expression(io: Io, dtype: DType) -> Expr:
    """An element type as the target names it: `torch.int64`, `"int64"`, `x.dtype`."""
    if dtype is not DType.FLOAT:
        name = FRAMEWORK_NAMES[dtype]
        return getattr(_torch, name) if io.target == "torch" else expression(name)
    policy = io.device(floating=True).get("dtype")
    if policy is not None:
        return policy
    return _torch.get_default_dtype() if io.target == "torch" else _config.floatx()


def created(io: Io, dtype: DType) -> dict[str, Any]:
    """Keywords of a call that creates a tensor of this element type."""
    if dtype is DType.FLOAT:
        return dict(io.device(floating=True))
    return {"dtype": dtype_expression(io, dtype), **io.device()}


def converted(io: Io, x: Expr, dtype: DType) -> Expr:
    """A tensor with its elements converted."""
    wanted = dtype_expression(io, dtype)
    return x.method("to", wanted) if io.target == "torch" else _ops.cast(x, wanted)
