"""What sizes are made of: atoms, which a polynomial multiplies and adds, and the errors of sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from nnspec.ir.dims.integers import Dim

# Bounds that keep everything fast.
MOST_BITS = 4096
LONGEST_KEY = 4000
HIGHEST_POWER = 16


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


class Atom(str):
    """A factor of a monomial: a canonical text, its `key`, and what that stands for.

    Atoms are compared and hashed all the time, so they are the texts that make them equal.
    """

    __slots__ = ("arguments", "kind", "opaque", "scale", "symbol")

    kind: str
    arguments: tuple[Dim, ...]
    symbol: str
    scale: int
    opaque: Opaque | None

    def __new__(
        cls,
        kind: str,
        arguments: tuple[Dim, ...] = (),
        symbol: str = "",
        scale: int = 1,
        opaque: Opaque | None = None,
    ) -> Atom:
        if kind == "symbol":
            key = symbol if scale == 1 else f"{symbol}//{scale}"
        elif opaque is not None:
            key = f"<{opaque.key}>"
        else:
            key = f"{kind}({','.join(a.key for a in arguments)})"
        # A maximum may be long, since it says all that it is the largest of.
        parts = len(arguments) if kind == "max" else 1
        if len(key) > LONGEST_KEY * parts:
            raise DimTooLarge("this size is described by too long an expression")
        self = str.__new__(cls, key)
        self.kind = kind
        self.arguments = arguments
        self.symbol = symbol
        self.scale = scale
        self.opaque = opaque
        return self

    @property
    def key(self) -> str:
        """The canonical text."""
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (self.kind, self.arguments, self.symbol, self.scale, self.opaque)

    def __repr__(self) -> str:
        return str(self)


Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
Replace: TypeAlias = "Callable[[Atom], Dim | None]"
