"""One body of emitted code: what remains when all the places that it stands for have been laid together.

The tree follows the statements of the spec. Every `Value` is made in one place: by a step, or where
several values meet in a variable (`Join` behind an `if`, `Carried` around a loop).
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeAlias

from nnspec.ir import graph
from nnspec.ir.types import TensorType
from nnspec.pycode.expressions import Expr
from nnspec.records import dataclass
from nnspec.targets.layout import Permutation
from nnspec.targets.lowering import Construct


@dataclass(eq=False)
class Value:
    """A result of a step. `uses` counts the places that read it, `name` is the spec's name for it."""

    type: TensorType
    order: Permutation
    name: str | None = None
    uses: int = 0
    outside: bool = False


@dataclass(eq=False)
class Join:
    """A value that is one or another, by the way that a branch went: the variable `name` holds it."""

    name: str
    value: Value
    then: Value | None = None
    otherwise: Value | None = None


@dataclass(eq=False)
class Carried:
    """What a loop hands from turn to turn in a variable.

    `initial` is what it holds before the first turn, `entry` at the start of a turn, `final` at its end,
    `exit` behind the loop.
    """

    initial: Value
    entry: Value
    exit: Value
    final: Value | None = None


@dataclass(frozen=True)
class Turn:
    """The place of a layer in a list: a fixed number, or the turn of a loop."""

    index: int | None
    loop: int | None = None


@dataclass(eq=False)
class Step:
    """A node: what the constructor makes for it, and the expression of its results.

    `nodes` are those that it stands for, each with the key of its function; `drafts` are the results of the
    first of them, before all were brought to the same names. `traces` are the keys of the functions that come by it.
    """

    label: str
    turns: tuple[Turn, ...]
    constructs: tuple[Construct, ...]
    results: tuple[Expr, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    owns: bool
    drafts: tuple[Expr, ...] = ()
    frozen: bool = False
    shares: bool = False
    reads_weight: bool = False
    listed: tuple[tuple[int, int, str], ...] = ()
    wanted: tuple[Permutation | None, ...] = ()
    nodes: tuple[tuple[str, int], ...] = ()
    traces: frozenset[str] = frozenset()

    @property
    def layer(self) -> tuple[str, tuple[Turn, ...]]:
        """Its layer, by label and place in lists: in one trace, steps with the same apply the same."""
        return self.label, self.turns


@dataclass(frozen=True)
class Origin:
    """Where an expression's value comes from: a result of a step, or (without a place) all of them."""

    step: Step
    place: int | None


@dataclass(eq=False)
class Bind:
    """A variable of the spec comes to hold a value."""

    name: str
    value: Value


@dataclass(eq=False)
class Branch:
    """An `if` on constants, which stands for its `sources`.

    `mark` is a layer that only its first way makes: where that is there, it went that way.
    """

    condition: Expr
    then: list[Item] = field(default_factory=list["Item"])
    otherwise: list[Item] = field(default_factory=list["Item"])
    joins: list[Join] = field(default_factory=list["Join"])
    mark: Step | None = None
    sources: tuple[graph.Branch, ...] = ()


@dataclass(eq=False)
class Loop:
    """A `for` that stays a loop, and stands for its `sources`."""

    uid: int
    pattern: Any
    variables: tuple[str, ...]
    iterable: Expr
    body: list[Item]
    carried: dict[str, Carried]
    depth: int
    sources: tuple[graph.Loop, ...] = ()


@dataclass(eq=False)
class Requirement:
    """A condition that the spec requires. `symbols` are the sizes in it that are known only at run time, as people know them."""

    condition: Expr
    message: str | None
    symbols: tuple[str, ...]


@dataclass(eq=False)
class Guard:
    """A condition that went one way wherever the block is used: the class is made for that way alone."""

    condition: Expr
    taken: bool


@dataclass(eq=False)
class Result:
    """The values that the body gives back."""

    values: tuple[Value, ...]


Item: TypeAlias = Step | Bind | Branch | Loop | Requirement | Guard | Result


@dataclass(frozen=True)
class Running:
    """A size that loops carry, of an axis of a tensor or an integer itself: one variable of the constructor."""

    symbol: str
    name: str
    axis: int | None
    initial: Expr
    update: Expr
    uid: int
