"""Who watches the comparisons of sizes: rules of operators compare values, and their twins learn of it here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nnspec.ir.dims.integers import Dim

Witness: TypeAlias = "Callable[[str, Dim, Dim], None]"

current: Witness | None = None


@contextmanager
def witnessed(witness: Witness) -> Generator[None]:
    """Tells `witness` of every comparison made inside, as it turned out, and of every conversion (`int`).

    Rules of operators compare values; this is how their twins learn what that hangs on.
    """
    global current
    outer, current = current, witness
    try:
        yield
    finally:
        current = outer


def tell(sign: str, left: Dim, right: Dim) -> None:
    """Tells the witness, whose own comparisons nobody is told of."""
    global current
    witness, current = current, None
    assert witness is not None
    try:
        witness(sign, left, right)
    finally:
        current = witness
