"""What one compilation may spend: counted before it is spent, so that no spec can exhaust the machine."""

from __future__ import annotations

from nnspec.diagnostics import SpecError
from nnspec.records import dataclass
from nnspec.source import Location

_LIMITS = {"nodes": 8_000, "turns": 100_000, "elements": 200_000, "functions": 5_000}


@dataclass(slots=True)
class Budget:
    """Counts down what is left. The limits are far above any real architecture."""

    nodes: int = _LIMITS["nodes"]
    turns: int = _LIMITS["turns"]
    elements: int = _LIMITS["elements"]
    functions: int = _LIMITS["functions"]

    def take(self, what: str, amount: int, location: Location) -> None:
        """Spends `amount` of `what`. Raises `SpecError` if that is more than is left."""
        left: int = getattr(self, what)
        if amount > left:
            raise SpecError(
                "E0502",
                f"this spec expands to more than {_LIMITS[what]:,} {_MEANING[what]}",
                location,
                hint="make its loops and lists shorter",
            )
        setattr(self, what, left - amount)


_MEANING = {
    "nodes": "operations",
    "turns": "loop turns",
    "elements": "list elements",
    "functions": "distinct blocks",
}
MOST_CALL_DEPTH = 48
