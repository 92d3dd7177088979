"""The LALR(1) machine: runs the tables over tokens, builds nodes as it reduces, and mends what it can.

It recurses nowhere. Beside the usual stacks it keeps, for each symbol, where it starts and how deep the tree
under it is, so that nesting is refused before anything has to walk it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from nnspec.diagnostics import SpecError
from nnspec.records import dataclass
from nnspec.source import Location, Span
from nnspec.syntax.ast import MOST_NESTING
from nnspec.syntax.lexer import END, Tokens
from nnspec.syntax.tables import ACCEPT, LOOKAHEADS, RULES, STATES

# What a rule calls once all its parts are there: the parts, and the span of the whole.
Build = Callable[[list[Any], Span], Any]

DEEPEST_STACK = 24 * MOST_NESTING
"""States that may wait at once; what nests no deeper than allowed never needs as many."""

FLAT = frozenset(
    [
        "positional",
        "keyword",
        "target",
        "targets",
        "values",
        "names",
        "dotted",
        "results",
        "subscripts",
        "arguments",
        "parameters",
        "annotations",
        "annotation",
        "parameter",
        "body",
        "statement",
        "declaration",
        "start",
        "stage",
        "comparator",
        "add_operator",
        "multiply_operator",
        "supplied",
        "else_if",
        "pattern_name",
        "parenthesis",
        "shape",
    ]
)
"""Rules whose nodes add no depth of their own to the tree."""


def _load() -> list[dict[str, int]]:
    """For each state: a symbol leads to a state (from 0) or asks for a reduction (~rule)."""
    rows: list[dict[str, int]] = []
    for shifts, reductions in STATES:
        row = dict(shifts)
        for rule, lookahead in reductions.items():
            row.update(dict.fromkeys(LOOKAHEADS[lookahead], ~rule))
        rows.append(row)
    return rows


ROWS = _load()


class Nested(SpecError):
    """The tree would be deeper than anything may be."""


@dataclass(slots=True)
class Engine:
    """The stacks of one parse."""

    tokens: Tokens
    builders: dict[str, Build]
    states: list[int] = field(default_factory=lambda: [0])
    values: list[Any] = field(default_factory=list[Any])
    starts: list[int] = field(default_factory=list[int])
    depths: list[int] = field(default_factory=list[int])
    last_end: int = 0

    def feed(self, kind: str, index: int) -> bool:
        """Takes a token of some kind (at `index`, or put in before it); false where none may stand.

        Nothing is reduced before a token that may not stand, so that a mend finds the stacks as they were.
        The end of the text is taken when the whole has been reduced to `start`, the only value left.
        """
        states = self.states
        if len(states) > DEEPEST_STACK:
            raise self.too_deep(self.tokens.span(index))
        action = ROWS[states[-1]].get(kind)
        if action is None or (action < 0 and not _shift(states.copy(), kind)):
            return False
        while action < 0:
            self._reduce(~action, index)
            if kind == END and states[-1] == ACCEPT:
                return True
            action = ROWS[states[-1]][kind]
        states.append(action)
        self.values.append(index)
        self.starts.append(self.tokens.starts[index])
        self.depths.append(0)
        self.last_end = self.tokens.ends[index]
        return True

    def _reduce(self, number: int, index: int) -> None:
        origin, size, action, steps = RULES[number]
        values, starts, depths, states = (
            self.values,
            self.starts,
            self.depths,
            self.states,
        )
        if size == 1 and not action:
            del states[-1]
            states.append(ROWS[states[-1]][origin])
            return
        if size:
            children = values[-size:]
            start, depth = starts[-size], max(depths[-size:])
            del values[-size:], starts[-size:], depths[-size:], states[-size:]
        else:
            children, start, depth = [], self.tokens.starts[index], 0
        parts = _parts(children, steps)
        span = Span(start, max(start, self.last_end))
        if action == "*":
            value: Any = parts
        elif not action:
            value = parts[0]
        else:
            value = self.builders[action](parts, span)
            depth += action not in FLAT
            if depth > MOST_NESTING:
                raise self.too_deep(span)
        values.append(value)
        starts.append(start)
        depths.append(depth)
        states.append(ROWS[states[-1]][origin])

    def too_deep(self, span: Span) -> Nested:
        """The refusal of a tree that is deeper than `MOST_NESTING`."""
        return Nested(
            "E0015",
            f"this nests more than {MOST_NESTING} levels deep",
            Location(self.tokens.source, span),
            hint="give the inner parts names, or move them to a block or fn",
        )

    def accepts(self, *kinds: str) -> bool:
        """Whether these tokens may follow one another here; changes nothing."""
        stack = list(self.states)
        return all(_shift(stack, kind) for kind in kinds)

    def expected(self) -> list[str]:
        """The kinds of token that may follow here, sorted."""
        known = sorted(
            kind for kind in ROWS[self.states[-1]] if kind.isupper() or kind == END
        )
        return [kind for kind in known if self.accepts(kind)]

    def unwind(self, symbol: str, kind: str) -> bool:
        """Drops what is unfinished, back to the innermost place where `symbol` and a `kind` may begin."""
        for depth in range(len(self.states), 0, -1):
            row = ROWS[self.states[depth - 1]]
            if symbol in row and _shift(self.states[:depth], kind):
                del self.states[depth:]
                del (
                    self.values[depth - 1 :],
                    self.starts[depth - 1 :],
                    self.depths[depth - 1 :],
                )
                return True
        return False


def _parts(children: list[Any], steps: tuple[int | None, ...]) -> list[Any]:
    """The children that a builder gets; a list that comes first is reused, to keep lists linear."""
    parts: list[Any] = []
    for step in steps:
        if step is None:
            parts.append(None)
        elif step >= 0:
            parts.append(children[step])
        elif parts:
            parts.extend(children[~step])
        else:
            parts = children[~step]
    return parts


def _shift(stack: list[int], kind: str) -> bool:
    """Lets a bare stack of states take a token; false where it may not stand."""
    while True:
        action = ROWS[stack[-1]].get(kind)
        if action is None:
            return False
        if action >= 0:
            stack.append(action)
            return True
        origin, size = RULES[~action][:2]
        if size:
            del stack[-size:]
        stack.append(ROWS[stack[-1]][origin])
        if kind == END and stack[-1] == ACCEPT:
            return True
