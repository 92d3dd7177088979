"""What writers ask of a target, and the parts of a body of each other. Only type checkers load it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import nnspec.targets.merged as merged
from nnspec.pycode.expressions import Expr
from nnspec.pycode.statements import Statement

# ---- how a target says the few things that the two say differently ----


class Target(Protocol):
    """Which target it is, and whether its lists of layers may lie in lists."""

    @property
    def target(self) -> str: ...

    @property
    def nested_lists(self) -> bool: ...


class Lists(Protocol):
    """How a target makes lists of layers."""

    def listing(self, items: Sequence[Expr], parameters: bool = False) -> Expr:
        """A list of submodules, or of bare parameters."""
        ...

    def keyed(
        self, entries: Sequence[tuple[str, Expr]], parameters: bool = False
    ) -> Expr:
        """A table of submodules (or parameters) by the turn of a loop."""
        ...


class ConstructorDialect(Target, Lists, Protocol):
    """What constructors say differently."""

    def generated(self, element: Expr, target: Expr, iterable: Expr) -> Expr:
        """A list of submodules by a comprehension."""
        ...

    def frozen(self, part: Expr) -> Statement:
        """Says that the weights of a layer, or of all of them, are not trained."""
        ...


class ForwardDialect(Target, Protocol):
    """What forward passes say differently."""

    @property
    def traces_sizes(self) -> bool:
        """Whether a size may be a tensor of a traced graph, which no `if` can decide on."""
        ...

    def shape(self, tensor: Expr) -> Expr:
        """All the sizes of a tensor."""
        ...

    def tensor(self, parameter: Expr) -> Expr:
        """A parameter as a tensor."""
        ...


# ---- parts of a body ----


class Scope(Protocol):
    """What the names of the spec are called in a body."""

    def spelled(self, expression: Expr) -> Expr:
        """An expression with its sizes and constants spelled. Raises `Unspellable`."""
        ...


class Layers(Protocol):
    """How a body comes by its layers: they lie in the instance, or are made where they are applied."""

    def prepare(self, step: merged.Step) -> None:
        """Writes what has to stand before the step that applies layers."""
        ...

    def module(self, step: merged.Step, suffix: str) -> Expr:
        """A layer of a step, by its suffix."""
        ...

    def crowds(self, step: merged.Step, pending: Expr) -> bool:
        """Whether the layers of a step leave no room on a line for an expression."""
        ...

    def is_made(self, branch: merged.Branch) -> Expr | None:
        """A condition on the layer that a branch alone makes; None where its own condition is to be asked."""
        ...

    def flattens(self, loop: merged.Loop) -> bool:
        """Whether a loop is written as the one inside it, over one flat list."""
        ...

    def begin(self, loop: merged.Loop) -> None:
        """Writes what has to stand before a loop."""
        ...

    def opened(self, loop: merged.Loop) -> tuple[Expr, Expr]:
        """The target and the iterable of a loop."""
        ...

    def take(self, loop: merged.Loop) -> None:
        """Writes what has to stand at the start of a turn."""
        ...

    def end_turn(self, loop: merged.Loop) -> None:
        """Writes what has to stand at the end of a turn."""
        ...

    def inside(self) -> AbstractContextManager[None]:
        """Inside is a loop: behind it, its turns have no layers any more."""
        ...
