"""What sizes are made of: atoms, which a polynomial multiplies and adds, and the errors of sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from nnspec.ir.dims.integers import Dim

# Bounds that keep everything fast.
MOST_BITS = 4096
LONGEST_KEY = 4000


class DimError(Exception):
    """An integer expression that has no value, or is too large to handle."""


class DimTooLarge(DimError):
    """An integer expression beyond the bounds that keep everything fast."""


class Opaque(Protocol):
    """An integer that only the spec's own expression describes (a conditional, a list element)."""

    @property
    def key(self) -> str: ...
    def substitute(self, replace: Replace) -> Dim: ...
    def atoms(self) -> Iterator[Atom]: ...


class Atom:
    """A factor of a monomial. `key` is canonical: equal keys mean equal atoms."""

    __slots__ = ("arguments", "key", "kind", "opaque", "scale", "symbol")

    def __init__(
        self,
        kind: str,
        arguments: tuple[Dim, ...] = (),
        symbol: str = "",
        scale: int = 1,
        opaque: Opaque | None = None,
    ) -> None:
        self.kind = kind
        self.arguments = arguments
        self.symbol = symbol
        self.scale = scale
        self.opaque = opaque
        if kind == "symbol":
            self.key = symbol if scale == 1 else f"{symbol}//{scale}"
        elif opaque is not None:
            self.key = f"<{opaque.key}>"
        else:
            self.key = f"{kind}({','.join(a.key for a in arguments)})"
        if len(self.key) > LONGEST_KEY:
            raise DimTooLarge("this size is described by too long an expression")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key


Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
Replace: TypeAlias = "Callable[[Atom], Dim | None]"
