"""Programs of short texts, for the tests of what is done with programs."""

from __future__ import annotations

from nnspec.compiler import load_source
from nnspec.ir.graph import Program
from nnspec.source import Source
from nnspec.spec import Spec


def spec(text: str, **settings: str) -> Spec:
    """The one model of a text."""
    (found,) = load_source(Source("net.nns", text), None, settings)
    return found


def program(text: str, **settings: str) -> Program:
    """The program of the one model of a text."""
    return spec(text, **settings).program
