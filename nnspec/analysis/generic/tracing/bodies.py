"""What a program is made of when its constants are names: nodes, calls, and turns of loops that are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, TypeAlias

from nnspec.analysis.generic.blocks.reals import Real
from nnspec.analysis.generic.names.conditions import Condition
from nnspec.analysis.uses import Site
from nnspec.ir.dims import Dim
from nnspec.ir.slices import Range
from nnspec.ir.types import TensorType
from nnspec.ops.base import Weight
from nnspec.records import dataclass


@dataclass(frozen=True, eq=False)
class GenericSite(Site):
    """A node whose operator and types speak of the constants of the model.

    `uncertain` are arguments that are 0 in some turns of loops, and not in others.
    """

    given: tuple[Any, ...] = ()
    found: tuple[TensorType, ...] = ()
    uncertain: tuple[str, ...] = ()

    @cached_property
    def types(self) -> tuple[Any, ...]:
        return self.given

    @cached_property
    def results(self) -> tuple[TensorType, ...]:
        return self.found

    @cached_property
    def weights(self) -> Mapping[str, Weight]:
        if self.node.op is None or not self.node.owns:
            return {}
        return self.node.op.weights(*self.given)


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A node with an operator."""

    site: GenericSite
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call of a function."""

    body: Body
    site: Site
    key: str


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """The turns of a `loop`, by its key, from `first` to below `stop`, which differ in their number alone.

    `turn` is the symbol of that number in what `body` says.
    """

    body: Body
    turn: str
    first: int
    stop: Dim
    loop: str
    key: str


Part: TypeAlias = Leaf | Call | Repeated


@dataclass(frozen=True, eq=False)
class Body:
    """Parts in the order in which they run, and the conditions under which they are these."""

    parts: tuple[Part, ...]
    conditions: tuple[Condition, ...] = ()
    key: str = field(default="", init=False)

    @cached_property
    def is_certain(self) -> bool:
        """Whether all turns of its loops do the same, and not only take the same sizes."""
        return all(
            not part.site.uncertain if isinstance(part, Leaf) else part.body.is_certain
            for part in self.parts
        )

    def __post_init__(self) -> None:
        conditions = ",".join(str(condition.key) for condition in self.conditions)
        key = f"({';'.join(part.key for part in self.parts)}|{conditions})"
        object.__setattr__(self, "key", digest(key))


def digest(text: str) -> str:
    """A short text that is equal for equal texts."""
    from hashlib import blake2b

    return blake2b(text.encode(), digest_size=16).hexdigest()


def key_of(value: Any) -> str:
    """A text that is equal for values that count the same in the constants of the model.

    Of a number that is no integer, such as the rate of dropout, only whether it is 0 counts.
    """
    if isinstance(value, float):
        return "real" if value else "0.0"
    if isinstance(value, Real):
        names = ",".join(sorted(value.names))
        return f"{key_of(value.value)}({names};{key_of(value.zero)})"
    if isinstance(value, Dim):
        return value.generic.key
    if isinstance(value, TensorType):
        return f"{value.dtype.value}[{','.join(key_of(size) for size in value.shape)}]"
    if isinstance(value, Range):
        return f"range{key_of((value.start, value.stop, value.step))}"
    if isinstance(value, tuple | list):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        return f"({','.join(key_of(item) for item in items)})"
    if isinstance(value, Mapping):
        pairs: Any = value.items()  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]
        return f"{{{','.join(f'{key}:{key_of(item)}' for key, item in pairs)}}}"
    return repr(value)
