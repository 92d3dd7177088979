"""A loop while its body is elaborated, turn by turn."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property

from nnspec.elaboration.escaping import Escaping
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Iteration
from nnspec.ir.terms import Term
from nnspec.ir.values import Sequence, Value
from nnspec.records import dataclass
from nnspec.syntax import ast


@dataclass(eq=False)
class Turning:
    """A loop while it turns.

    `outer` are the names that are known before it, `carried` those of them that its body binds anew;
    `history` is what each of these holds before each turn and behind the last, `lists` how lists of tensors were made,
    `constants` the integers among them (see `graph.Loop`), `known` what the names of the loop stand for, as the outside
    knows it.
    """

    frame: Frame
    node: ast.For
    uid: int
    iterable: Value
    outer: set[str]
    carried: list[str]
    history: dict[str, list[int]]
    iterations: list[Iteration] = field(default_factory=list[Iteration])
    lists: dict[str, list[Term]] = field(default_factory=dict[str, "list[Term]"])
    constants: dict[str, list[Dim]] = field(default_factory=dict[str, "list[Dim]"])
    known: dict[str, Dim] = field(default_factory=dict[str, Dim])

    @cached_property
    def escaping(self) -> Escaping:
        """What its turns hand on in lists and constants."""
        return Escaping(self.uid)

    @property
    def elements(self) -> Term | None:
        """How the list of tensors was made that it goes through, if loops grew that."""
        return self.iterable.made if isinstance(self.iterable, Sequence) else None

    def key(self, name: str, axis: int | None = None) -> str:
        """The symbol of an integer or list that it carries, or of a size of a tensor."""
        return f"{name}@{self.uid}" if axis is None else f"{name}.{axis}@{self.uid}"

    def counts(self, name: str) -> bool:
        """Whether a name has meant an integer before every turn so far, and does so now."""
        return len(self.constants.get(name, ())) == len(self.iterations) + 1
