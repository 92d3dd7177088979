"""What is said of a figure that no formula in constants says."""

from __future__ import annotations

from nnspec.analysis.figures import Figure
from nnspec.diagnostics import SpecError


def unsaid(figure: Figure, because: str) -> SpecError:
    """There is no formula in constants."""
    return SpecError(
        "E0906",
        f"`{figure.name}` has no formula in constants: {because}",
        hint="ask for it in the free sizes alone",
    )
