"""What of a program is drawn: levels of cards and wires, folded as the spec is written.

A `Level` is the inside of a function, or of a loop whose turns are alike; it is worked out once, however
often it is called. Its cards are layers with what only follows them (an activation, a view), blocks,
operations, inputs and outputs. Its wires carry values, with their types.
"""

from __future__ import annotations

from nnspec.ir.graph import Path, Program
from nnspec.ir.types import TensorType
from nnspec.picture.cards import Family, Row
from nnspec.records import dataclass


@dataclass(frozen=True)
class Outlet:
    """What leaves a card at one place: values of one type that go the same way."""

    values: tuple[int, ...]
    type: TensorType

    @property
    def label(self) -> str:
        """The type, and of how many values where there are several."""
        times = f"{len(self.values)} x " if len(self.values) > 1 else ""
        return f"{times}{self.type}"


@dataclass(frozen=True)
class Wire:
    """From an outlet of a card to another card, by their places in the level."""

    source: int
    outlet: int
    target: int


@dataclass(frozen=True)
class Card:
    """What is drawn as one thing.

    `label` is what the spec calls it, `count` how often a loop runs it, `inside` the level that opens.
    `nodes` are the places of all nodes of the function that it stands for. A `sign` is drawn in a circle.
    `shared` is how often its layer is used in the function, with the same weights, 0 for once.
    """

    family: Family
    rows: tuple[Row, ...]
    label: str = ""
    count: int = 1
    inside: str | None = None
    path: Path = ()
    nodes: tuple[int, ...] = ()
    sign: str = ""
    outlets: tuple[Outlet, ...] = ()
    shared: int = 0

    @property
    def sharing(self) -> str:
        """What is said of weights that several uses have in common: they count once."""
        return f"shared by {self.shared:,} uses" if self.shared else ""

    @property
    def name(self) -> str:
        """One line of text for it."""
        return self.sign or self.rows[0].text


@dataclass(frozen=True)
class Level:
    """Cards in the order in which they run, and what flows between them."""

    key: str
    function: str
    cards: tuple[Card, ...]
    wires: tuple[Wire, ...]


@dataclass(frozen=True)
class Outline:
    """All levels of a program by their keys; `top` is the model itself."""

    program: Program
    top: str
    levels: dict[str, Level]

    def count(self) -> int:
        """The cards of all levels."""
        return sum(len(level.cards) for level in self.levels.values())
