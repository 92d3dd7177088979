"""The names that have a meaning in every file: functions of constants, element types, kinds of constants."""

from __future__ import annotations

from nnspec.ir.types import DType

BUILTINS = frozenset(
    [
        "range",
        "len",
        "enumerate",
        "zip",
        "reversed",
        "shape",
        "rank",
        "dtype",
        "int",
        "float",
        "ceil",
        "floor",
        "isqrt",
        "sum",
        "min",
        "max",
        "abs",
        "sqrt",
        "log",
        "exp",
        "any",
        "all",
    ]
)
DTYPES: dict[str, DType] = {dtype.value: dtype for dtype in DType}
SCALAR_TYPES = frozenset(["int", "float", "bool", "str", "dtype", "block", "fn"])
