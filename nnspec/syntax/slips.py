"""Explains syntax errors."""

from __future__ import annotations

from nnspec.syntax.situation import Finding, Situation


def explain(situation: Situation) -> Finding:
    """The most telling explanation of a fault."""
    return situation.finding("E0101", f"{situation.shown()} cannot stand here")
