"""Proof that the two emitted programs of a spec compute the same function.

Both are built as emitted, each in a process of its own, get the same weights, and are compared number
by number on unlike sizes. Nothing else in the package imports a framework.
"""

from __future__ import annotations

from nnspec.verify.proof import verify
from nnspec.verify.report import Check, VerifyReport

__all__ = ["Check", "VerifyReport", "verify"]
