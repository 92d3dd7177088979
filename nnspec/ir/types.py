"""Types of run-time values: an element type and a shape of exact dims."""

from __future__ import annotations

from enum import StrEnum

from nnspec.ir.dims import Dim, Size, dim, product
from nnspec.records import dataclass


class DType(StrEnum):
    """Element types. FLOAT is the policy's float: float32 unless the user of the emitted code chooses
    another; F32 stays float32 under every policy.
    """

    FLOAT = "float"
    F16 = "f16"
    BF16 = "bf16"
    F32 = "f32"
    F64 = "f64"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "u8"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        return self in _FLOATS

    @property
    def is_integer(self) -> bool:
        return not self.is_float and self is not DType.BOOL

    @property
    def bytes(self) -> int:
        """Size of an element; FLOAT counts as float32."""
        return _BYTES[self]


_FLOATS = {DType.FLOAT, DType.F16, DType.BF16, DType.F32, DType.F64}
_BYTES = {
    DType.FLOAT: 4,
    DType.F16: 2,
    DType.BF16: 2,
    DType.F32: 4,
    DType.F64: 8,
    DType.I8: 1,
    DType.I16: 2,
    DType.I32: 4,
    DType.I64: 8,
    DType.U8: 1,
    DType.BOOL: 1,
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """What is known of a tensor before it exists."""

    shape: tuple[Dim, ...]
    dtype: DType = DType.FLOAT

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    def with_shape(self, *shape: Size) -> TensorType:
        """The same element type in another shape."""
        return TensorType(tuple(dim(size) for size in shape), self.dtype)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape of another element type."""
        return TensorType(self.shape, dtype)

    def __str__(self) -> str:
        prefix = "" if self.dtype is DType.FLOAT else self.dtype.value
        return f"{prefix}[{', '.join(str(size) for size in self.shape)}]"


def tensor(*shape: Size, dtype: DType = DType.FLOAT) -> TensorType:
    """A tensor type, conveniently."""
    return TensorType(tuple(dim(size) for size in shape), dtype)
