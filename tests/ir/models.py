"""Programs of short texts, for the tests of what is done with programs."""

from __future__ import annotations

from nnspec.compiler import load_source
from nnspec.ir.graph import Program
from nnspec.source import Source
from nnspec.spec import Spec


def spec(text: str, **settings: str | int) -> Spec:
    """The one model of a text."""
    written = {name: str(value) for name, value in settings.items()}
    (found,) = load_source(Source("net.nns", text), None, written)
    return found


def program(text: str, **settings: str | int) -> Program:
    """The program of the one model of a text."""
    return spec(text, **settings).program
