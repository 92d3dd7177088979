"""What operators with a sliding window share: sizes for each axis, padding, and the sizes of results.

The tensors are [B, C, *S] with one to three spatial axes. Every size is computed by arithmetic on the
dims that were given, so that emitted constructors can say what the spec said.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeAlias

from nnspec.ir.dims import ZERO, Dim, dim
from nnspec.ir.types import TensorType
from nnspec.ops.base import OpError, require_float
from nnspec.ops.checked import Before
from nnspec.ops.windows import Windows
from nnspec.pycode.expressions import Default, default

Sizes: TypeAlias = tuple[Dim, ...]
Pairs: TypeAlias = tuple[tuple[Dim, Dim], ...]


def _nested(value: Any) -> Any:
    if isinstance(value, list | tuple):
        items: Sequence[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return tuple(_nested(item) for item in items)
    return dim(value) if type(value) is int else value


PerAxis = Annotated[Dim | tuple[Dim, ...], Before(_nested)]
Padding = Annotated[
    Dim | tuple[Dim | tuple[Dim, Dim], ...] | Literal["same"], Before(_nested)
]
CausalPadding = Annotated[
    Dim | tuple[Dim | tuple[Dim, Dim], ...] | Literal["same", "causal"],
    Before(_nested),
]
PadPairs = Annotated[tuple[Dim | tuple[Dim, Dim], ...], Before(_nested)]


def spatial_axes(x: TensorType) -> int:
    """The number of spatial axes of [B, C, *S]. Raises `OpError` unless there are one to three."""
    require_float(x)
    if x.rank not in (3, 4, 5):
        raise OpError(
            f"needs [batch, channels, *space] with one to three axes of space, and got {x}",
            input="x",
            hint="give the tensor 3 to 5 axes, the channels at axis 1",
            code="E0403",
        )
    return x.rank - 2


def per_axis(
    value: Dim | tuple[Dim, ...], axes: int, param: str, least: int = 1
) -> Sizes:
    """One number for each spatial axis. Raises `OpError` if there are others, or one is too small."""
    sizes = value if isinstance(value, tuple) else (value,) * axes
    if len(sizes) != axes:
        raise OpError(
            f"has {len(sizes)} numbers, and the tensor has {axes} spatial axes",
            param=param,
            hint="give one number for all axes, or one for each",
            code="E0409",
        )
    for size in sizes:
        check_known(size, param, least)
    return sizes


_names_allowed = False


@contextmanager
def constants_as_names() -> Generator[None]:
    """Inside, constants may be names of the model's own: layers are described and not made."""
    global _names_allowed
    outer, _names_allowed = _names_allowed, True
    try:
        yield
    finally:
        _names_allowed = outer


def check_known(size: Dim, param: str, least: int) -> None:
    """Raises `OpError` unless the size is a known number that is large enough."""
    if not size.is_constant:
        if _names_allowed:
            return
        raise OpError(
            f"`{size}` is only known when the model runs, and a layer is made before",
            param=param,
            hint="give a constant",
            code="E0409",
        )
    if size.falls_below(least):
        raise OpError(
            f"must be at least {least}, not {size}", param=param, code="E0409"
        )


def pairs(padding: Dim | tuple[Dim | tuple[Dim, Dim], ...], axes: int) -> Pairs:
    """How many cells stand before and after each spatial axis. Raises `OpError` if that is unclear."""
    each = padding if isinstance(padding, tuple) else (padding,) * axes
    if len(each) != axes:
        raise OpError(
            f"has {len(each)} entries, and the tensor has {axes} spatial axes",
            param="padding",
            hint="give one number for all axes, or a number or a pair (before, after) for each",
            code="E0409",
        )
    found = tuple(
        entry if isinstance(entry, tuple) else (entry, entry) for entry in each
    )
    for entry in found:
        for size in entry:
            check_known(size, "padding", 0)
    return found


def reach(kernel: Sizes, dilation: Sizes) -> Sizes:
    """How far the last cell of a window lies behind the first, for each axis: d (k - 1)."""
    return tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))


def seen(
    before: TensorType,
    after: TensorType,
    windows: tuple[Sizes, Sizes, Sizes],
    padding: Pairs | None,
) -> TensorType | None:
    """What windows (kernel, stride and dilation) see of a tensor, of which they make another one.

    None where that cannot be said before sizes are known.
    """
    pads = (None,) * (before.rank - 2) if padding is None else padding
    rows = zip(before.shape[2:], after.shape[2:], *windows, pads, strict=True)
    sizes = [Windows(*row).seen() for row in rows]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    return before.with_shape(*before.shape[:2], *known)


def slid(size: Dim, stride: Dim, span: Dim, before: Dim, after: Dim, axis: int) -> Dim:
    """How many windows of `span` + 1 cells fit: (n + before + after - span - 1) // s + 1."""
    room = size + before + after
    result = (room - span - 1) // stride + 1
    if result.falls_below(1):
        padded = f" ({room} with padding)" if room != size else ""
        raise OpError(
            f"the window covers {span + 1} cells, and spatial axis {axis} has {size}{padded}",
            param="kernel",
            hint="use a smaller window, or more padding",
            code="E0408",
        )
    return result


def same_size(size: Dim, stride: Dim) -> Dim:
    """The size that "same" padding gives: n / s, rounded up."""
    return (size + stride - 1) // stride


def kernel_order(rank: int) -> tuple[int, ...]:
    """How a kernel's axes are moved from PyTorch to Keras: [out, in, *k] to [*k, in, out]."""
    return (*range(2, rank), 1, 0)


def check_groups(channels: Dim, features: Dim, groups: Dim) -> None:
    """Raises `OpError` unless the groups divide the channels and the features."""
    for size, name in ((channels, "channels"), (features, "features")):
        rest = size % groups
        if rest.is_constant and rest != 0:
            raise OpError(
                f"{groups} groups do not divide {size} {name}",
                param="groups",
                hint=f"use a number that divides {size}",
                code="E0407",
                sizes=(size, groups),
            )


# ---- how they are spelled ---------------------------------------------------------------------------


def is_literal(size: Dim, value: int) -> bool:
    """Whether a size is this number wherever its block is used."""
    return size == value and size.generic == value


def alike(one: Dim, other: Dim) -> bool:
    """Whether two sizes are the same wherever their block is used."""
    return one == other and one.generic == other.generic


def all_literal(sizes: Sequence[Dim], value: int) -> bool:
    """Whether every size is this number wherever the block is used."""
    return all(is_literal(size, value) for size in sizes)


def spelled(sizes: Sizes) -> Dim | Sizes:
    """One number where all are alike, else a tuple."""
    return sizes[0] if all(alike(size, sizes[0]) for size in sizes) else sizes


def option(sizes: Sizes, otherwise: int) -> Default:
    """A keyword's sizes, left out where they are the target's own default."""
    return default(spelled(sizes), otherwise)


def symmetric(padding: Pairs) -> Sizes | None:
    """The padding of each axis if it is the same on both sides."""
    if all(alike(before, after) for before, after in padding):
        return tuple(before for before, _ in padding)
    return None


def torch_pads(padding: Pairs) -> Sizes:
    """The order of `F.pad`: the last axis first."""
    return tuple(size for entry in reversed(padding) for size in entry)


def keras_pads(padding: Pairs) -> Any:
    """The argument of Keras's `ZeroPadding` and `Cropping` layers: as short as it can be said."""
    sides = symmetric(padding)
    if sides is not None:
        return spelled(sides)
    return padding[0] if len(padding) == 1 else padding


def around(padding: Pairs) -> tuple[tuple[Dim, Dim], ...]:
    """The argument of `ops.pad` for [B, *S, C]."""
    return ((ZERO, ZERO), *padding, (ZERO, ZERO))
