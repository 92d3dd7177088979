"""Constants that the spec computes, as expressions in the names of their block.

A value of the compiler is concrete (0.1, 64, true). Beside it travels, where the spec did not write it
as a literal, the `Term` that it came from (`drop`, `64 * 2^i`, `i > 0`), so that emitted code can say
what the spec said. Integers carry their term inside the `Dim` (its generic twin); all else travels as a
`Traced` value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from nnspec.ir import dims
from nnspec.ir.dims import Atom, Dim, Replace
from nnspec.records import dataclass

LARGEST_TERM = 100_000
DEEPEST_TERM = 150


@dataclass(frozen=True)
class Term:
    """An expression over constants: an operator and its arguments.

    `kind` is one of: literal (arguments: one Python value), name (one identifier), dim (one `Dim`), list,
    tuple, index (object, position), and / or / not, compare (operator, left, right), arithmetic
    (operator, left, right), negate, choice (condition, then, otherwise), call (function name, *arguments),
    and, in lists of tensors, value (its number).
    """

    kind: str
    arguments: tuple[Any, ...]
    _size: int = field(default=1, init=False, repr=False, compare=False)
    _depth: int = field(default=1, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Terms share their parts: what is small in memory may be endless when written out.
        parts = [part for part in self.arguments if isinstance(part, Term)]
        if not parts:
            return
        size = 1 + sum(part.size for part in parts)
        depth = 1 + max(part.depth for part in parts)
        if size > LARGEST_TERM or depth > DEEPEST_TERM:
            raise dims.DimError("this value is described by too long an expression")
        object.__setattr__(self, "_size", size)
        object.__setattr__(self, "_depth", depth)

    @property
    def size(self) -> int:
        """The number of operators in it, written out."""
        return self._size

    @property
    def depth(self) -> int:
        """How many operators stand in one another."""
        return self._depth

    @property
    def key(self) -> str:
        """A canonical text; equal for equal terms. Raises `DimError` where it would be too long."""
        return self._key

    @property
    def comparable(self) -> bool:
        """Whether it is short enough to be compared with others, and to be read where it is written."""
        try:
            return bool(self._key)
        except dims.DimError:
            return False

    @cached_property
    def _key(self) -> str:
        parts = (
            part.key if isinstance(part, Term | Dim) else repr(part)
            for part in self.arguments
        )
        text = f"{self.kind}({','.join(parts)})"
        if len(text) > dims.LONGEST_KEY:
            raise dims.DimError("this value is described by too long an expression")
        return text

    def substitute(self, replace: Replace) -> Dim:
        """As an integer, with atoms of its dims replaced (the interface of `dims.Opaque`)."""
        return dims.opaque(self.replaced(replace, {}))

    def replaced(self, replace: Replace, names: Mapping[str, Term]) -> Term:
        """With atoms of its dims replaced, and its names by terms."""
        if self.kind == "name":
            return names.get(self.arguments[0], self)
        parts: list[Any] = []
        for part in self.arguments:
            if isinstance(part, Term):
                part = part.replaced(replace, names)
            elif isinstance(part, Dim):
                part = part.substitute(replace)
            parts.append(part)
        return Term(self.kind, tuple(parts))

    def atoms(self) -> Iterator[Atom]:
        """Every atom of every dim in it."""
        for part in self.arguments:
            if isinstance(part, Term | Dim):
                yield from part.atoms()

    def names(self) -> Iterator[str]:
        """Every name of a constant in it (symbols of dims apart)."""
        if self.kind == "name":
            yield self.arguments[0]
        for part in self.arguments:
            if isinstance(part, Term):
                yield from part.names()
            elif isinstance(part, Dim):
                for atom in part.atoms():
                    if isinstance(atom.opaque, Term):
                        yield from atom.opaque.names()

    def mentioned(self) -> set[str]:
        """Every name in it, of constants and of sizes."""
        return {*self.names(), *(atom.symbol for atom in self.atoms() if atom.symbol)}


@dataclass(frozen=True, slots=True)
class Traced:
    """A constant that is no integer, and the term that it came from (None for a literal)."""

    value: Any
    term: Term | None = None


def literal(value: Any) -> Term:
    """The term of a literal."""
    return Term("literal", (value,))


def name(identifier: str) -> Term:
    """The term of a name."""
    return Term("name", (identifier,))
