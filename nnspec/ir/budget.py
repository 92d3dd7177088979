"""What one compilation may spend: counted before it is spent, so that no spec can exhaust the machine."""

from __future__ import annotations

from dataclasses import dataclass

from nnspec.diagnostics import SpecError
from nnspec.source import Location


@dataclass(slots=True)
class Budget:
    """Counts down what is left. The limits are far above any real architecture."""

    nodes: int = 50_000
    turns: int = 100_000
    elements: int = 200_000
    functions: int = 5_000

    def take(self, what: str, amount: int, location: Location) -> None:
        """Spends `amount` of `what`. Raises `SpecError` if that is more than is left."""
        left: int = getattr(self, what)
        if amount > left:
            raise SpecError(
                "E0502",
                f"this spec expands to more {_MEANING[what]} than nnspec handles"
                f" ({amount:,} more, and {left:,} are left)",
                location,
                hint="make the loop or list shorter",
            )
        setattr(self, what, left - amount)


_MEANING = {
    "nodes": "operations",
    "turns": "loop turns",
    "elements": "list elements",
    "functions": "distinct blocks",
}
MOST_CALL_DEPTH = 48
