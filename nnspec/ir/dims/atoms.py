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
# So many maxima and sums over turns may stand in one another.
MOST_NESTED = 4


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

    Atoms are compared and hashed all the time, so they are the texts that make them equal. The largest and the sum over
    the turns of a loop have a `bound` symbol, which stands for a turn in its first argument and for nothing elsewhere.
    """

    __slots__ = ("arguments", "bound", "kind", "opaque", "scale", "symbol")

    kind: str
    arguments: tuple[Dim, ...]
    symbol: str
    scale: int
    opaque: Opaque | None
    bound: str

    def __new__(
        cls,
        kind: str,
        arguments: tuple[Dim, ...] = (),
        symbol: str = "",
        scale: int = 1,
        opaque: Opaque | None = None,
        bound: str = "",
    ) -> Atom:
        if kind == "symbol":
            key = symbol if scale == 1 else f"{symbol}//{scale}"
        elif opaque is not None:
            key = f"<{opaque.key}>"
        else:
            parts = (a.key for a in arguments)
            key = f"{kind}({','.join((bound, *parts) if bound else parts)})"
        if len(key) > LONGEST_KEY * _rooms(kind, arguments):
            raise DimTooLarge("this size is described by too long an expression")
        self = str.__new__(cls, key)
        self.kind = kind
        self.arguments = arguments
        self.symbol = symbol
        self.scale = scale
        self.opaque = opaque
        self.bound = bound
        return self

    @property
    def key(self) -> str:
        """The canonical text."""
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (
            self.kind,
            self.arguments,
            self.symbol,
            self.scale,
            self.opaque,
            self.bound,
        )

    def __repr__(self) -> str:
        return str(self)


def _rooms(kind: str, arguments: tuple[Dim, ...]) -> int:
    """How many times as long an atom may be: a maximum is long, since it says all that it is the largest of."""
    if kind == "max":
        return len(arguments)
    if kind in ("greatest", "sum"):
        inner = (atom for atom in arguments[0].atoms() if atom.kind == "max")
        return 1 + sum(len(atom.arguments) for atom in inner)
    return 1


Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
Replace: TypeAlias = "Callable[[Atom], Dim | None]"
