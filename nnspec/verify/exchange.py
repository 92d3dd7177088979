"""What goes back and forth between `verify` and its workers. Nothing here knows a framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from numpy.typing import NDArray

from nnspec.records import dataclass

Array = NDArray[Any]


@dataclass(frozen=True)
class Program:
    """An emitted program: the text of its file and the function that builds the model."""

    source: str
    factory: str


@dataclass(frozen=True)
class Described:
    """A tensor that a built model holds: its shape, and whether training changes it."""

    shape: tuple[int, ...]
    trained: bool


@dataclass(frozen=True)
class Call:
    """One call of a layer, or a value that a probe showed: under which name, and what came out.

    A layer has its path in the framework for a name, a value has that of `shown`.
    """

    path: str
    results: tuple[Array, ...]


def shown(path: str, probe: int, place: int) -> str:
    """The name of a value that a probe showed: the path of the layer around it, the probe's number, and
    the value's place among those that it was given.
    """
    return f"{path}#{probe}.{place}"


@dataclass
class Outcome:
    """What one run of a model gave. Gradients and state are by name, and there after training only."""

    outputs: list[Array]
    gradients: dict[str, Array] = field(default_factory=dict[str, Array])
    state: dict[str, Array] = field(default_factory=dict[str, Array])
    calls: list[Call] = field(default_factory=list[Call])


@dataclass(frozen=True)
class Axis:
    """A size of an exported program's input: `factor * symbol + plus`.

    A fixed size has no symbol; one that is open but no such expression has the symbol `ANY`.
    """

    symbol: str | None
    factor: int = 1
    plus: int = 0


ANY = "*"


@dataclass(frozen=True)
class Export:
    """How a program is exported: the axes of each input, and the bounds of the open symbols.

    `samples` are inputs at unlike sizes; the first is exported, all are run.
    """

    axes: tuple[tuple[Axis, ...], ...]
    bounds: Mapping[str, tuple[int, int | None]]
    samples: tuple[tuple[Array, ...], ...]


class Failed(Exception):
    """A worker could not do what it was asked: the emitted program failed, or the worker itself."""
