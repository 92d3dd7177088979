"""How a target says the few things that the two say differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nnspec.pycode.expressions import Expr


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
