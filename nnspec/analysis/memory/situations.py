"""Situations of functions on the machine, and what a call does in one: all that another call must share to be the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.memory.layout import Sizes
from nnspec.analysis.memory.peaks import Peaks
from nnspec.analysis.uses import Place
from nnspec.ir.dims import Dim
from nnspec.ir.types import DType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.memory.machine import Storage

    Numbered: TypeAlias = Mapping[int, Storage] | Sequence[Storage]


@dataclass(frozen=True)
class Argument:
    """How an argument looks from inside: `group` numbers its storage, `same` the first equal argument."""

    shape: Sizes
    strides: Sizes
    dtype: DType
    size: Dim
    needs: bool
    state: bool
    group: int
    same: int


@dataclass(frozen=True)
class Context:
    """A function, what it is given, and which of its results matter for gradients.

    `place` is where it is called, if that matters: to a machine with a ledger.
    """

    function: str
    frozen: bool
    recording: bool
    arguments: tuple[Argument, ...]
    used: tuple[bool, ...]
    place: Place = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.function, self.arguments, self.used, self.place))


@dataclass(frozen=True)
class Result:
    """How a result lies: in the storage of an argument (`group`), or in a new one (`fresh`)."""

    shape: Sizes
    strides: Sizes
    dtype: DType
    needs: bool
    group: int | None
    fresh: int
    passes: int | None


@dataclass(frozen=True)
class Unread:
    """What is kept for the results at some places, which nothing reads, while any of these lives.

    It is bytes inside, or the storage of an argument (`group`) or of a result (`fresh`).
    """

    places: tuple[int, ...]
    size: Dim
    group: int | None = None
    fresh: int | None = None


@dataclass(frozen=True)
class Effect:
    """What a call does: `sizes` of the new storages of its results, `kept` bytes inside besides.

    `kept_groups` and `kept_fresh` number the storages of arguments and results that are kept inside; `unread` is
    what is kept besides for results that nothing reads.
    `again` are the peaks of computing it once more, as far as the last operation that keeps something (None if
    that is not known), where loops have as many `turns` at least.
    """

    peaks: Peaks
    again: tuple[Dim, ...] | None
    turns: tuple[tuple[Dim, int], ...]
    results: tuple[Result, ...]
    sizes: tuple[Dim, ...]
    kept: Dim
    kept_groups: tuple[int, ...]
    kept_fresh: tuple[int, ...]
    unread: tuple[Unread, ...]

    def kept_of(self, groups: Numbered, fresh: Numbered) -> list[Storage]:
        """The storages that are kept, of those of arguments and the new ones of results."""
        return [
            *(groups[group] for group in self.kept_groups),
            *(fresh[place] for place in self.kept_fresh),
        ]


@dataclass(frozen=True)
class Gradient:
    """How a gradient lies that is handed in or out: `group` numbers those handed in; -1 is a new storage.

    One that is handed in may be `held` by others, its storage at least, or wait elsewhere as it is (`waits`). `same` is
    the first that is handed out which is the very same.
    """

    shape: Sizes
    strides: Sizes
    dtype: DType
    size: Dim
    group: int
    held: bool = False
    waits: bool = False
    same: int = -1


@dataclass(frozen=True)
class Behind:
    """The situation of a backward pass: gradients of results, and those that arguments have already.

    `held` tells of each storage that is kept (of groups, then of new ones) whether others keep it too.
    """

    context: Context
    grads: tuple[Gradient | None, ...]
    before: tuple[Gradient | None, ...]
    held: tuple[bool, ...]
    again: bool


@dataclass(frozen=True)
class BackwardEffect:
    """What the backward pass of a call does: gradients of arguments, bytes of those of parameters.

    `beside` is what their storages have besides. `taken` are storages handed in that gradients of parameters lie in, each with
    the bytes of these, which are not among the others.
    """

    peaks: Peaks
    grads: tuple[Gradient | None, ...]
    parameters: Dim
    beside: Dim
    taken: tuple[tuple[int, Dim], ...]
