"""Random amounts with maxima and sums over turns in one another, and their meaning by plain arithmetic."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from hypothesis import strategies as st

from nnspec.ir.dims import Dim, dim, greatest, maximum, minimum, series, symbol

# An amount as nested tuples. ("turn", n) and ("left", n) are a turn of the n-th loop around it, and how many are
# left, this one included; ("greatest", value, first, stop) is the largest over turns, ("sum", ...) the sum.
Tree = tuple

NAMES = ("B", "i", "depth")
OVER_TURNS = ("greatest", "sum")
POINTS = st.fixed_dictionaries({name: st.integers(1, 7) for name in NAMES})
Turn = tuple[int, int]
"""The number of a turn, and where turns stop."""


def amount(chance: random.Random, size: int = 4, loops: int = 0) -> Tree:
    """An amount that is never negative, with `loops` around it."""
    if size == 0 or chance.random() < 0.1:
        leaves = ["int", "symbol", "turn", "left"] if loops else ["int", "symbol"]
        kind = chance.choice(leaves)
        if kind == "int":
            return (kind, chance.randint(0, 9))
        return (
            kind,
            chance.choice(NAMES) if kind == "symbol" else chance.randrange(loops),
        )
    kind = chance.choice(["+", "*", "+", "*", "max", "min", "//", "2^", *OVER_TURNS])
    if kind == "2^":
        exponents = [
            ("int", 2),
            *((w, n) for w in ("turn", "left") for n in range(loops)),
        ]
        return (kind, chance.choice(exponents))
    one = amount(chance, size - 1, loops + (kind in OVER_TURNS))
    if kind in OVER_TURNS:
        return (kind, one, _bound(chance, loops), _bound(chance, loops))
    if kind == "//":
        return (kind, one, ("int", chance.randint(2, 5)))
    return (kind, one, amount(chance, size - 1, loops))


def _bound(chance: random.Random, loops: int) -> Tree:
    """A first turn or a stop: a number from 1 on, a name, or a turn of another loop, and a little more."""
    leaves = [("int", 1), ("symbol", "depth"), ("symbol", "i")]
    leaves += [("turn", place) for place in range(loops)]
    return ("+", chance.choice(leaves), ("int", chance.randint(0, 3)))


AMOUNTS = st.builds(amount, st.randoms(use_true_random=False))
MAXIMA = st.builds(
    lambda chance: (
        chance.choice(OVER_TURNS),
        amount(chance, 3, 1),
        _bound(chance, 0),
        _bound(chance, 0),
    ),
    st.randoms(use_true_random=False),
)


def evaluate(tree: Tree, values: Mapping[str, int], turns: Sequence[Turn] = ()) -> int:
    """The meaning, by plain arithmetic."""
    match tree:
        case ("int", number):
            return number
        case ("symbol", name):
            return values[name]
        case ("turn", place):
            return turns[place][0]
        case ("left", place):
            return turns[place][1] - turns[place][0]
        case ("2^", exponent):
            return 2 ** evaluate(exponent, values, turns)
        case ("greatest" | "sum", value, first, stop):
            low, high = (evaluate(bound, values, turns) for bound in (first, stop))
            every = [[*turns, (turn, high)] for turn in range(low, high)]
            found = [evaluate(value, values, inner) for inner in every]
            return sum(found) if tree[0] == "sum" else max(found, default=0)
        case (kind, one, other):
            left, right = evaluate(one, values, turns), evaluate(other, values, turns)
            operations = {
                "+": lambda: left + right,
                "*": lambda: left * right,
                "//": lambda: left // right,
                "min": lambda: min(left, right),
                "max": lambda: max(left, right),
            }
            return operations[kind]()
    raise AssertionError(tree)


def build(
    tree: Tree,
    leaves: Mapping[str, Dim],
    names: Iterator[str] | None = None,
    turns: Sequence[tuple[Dim, Dim]] = (),
) -> Dim:
    """The same as a dim, whose turns have these names. Raises `DimError`."""
    names = (f"i@{place}" for place in count()) if names is None else names

    def inner(part: Tree) -> Dim:
        return build(part, leaves, names, turns)

    match tree:
        case ("int", number):
            return dim(number)
        case ("symbol", name):
            return leaves[name]
        case ("turn", place):
            return turns[place][0]
        case ("left", place):
            return turns[place][1] - turns[place][0]
        case ("2^", exponent):
            return dim(2) ** inner(exponent)
        case ("greatest" | "sum", value, first, stop):
            turn, low, high = next(names), inner(first), inner(stop)
            inside = [*turns, (symbol(turn), high)]
            made = series if tree[0] == "sum" else greatest
            return made(build(value, leaves, names, inside), turn, low, high)
        case (kind, one, other):
            left, right = inner(one), inner(other)
            operations = {
                "+": lambda: left + right,
                "*": lambda: left * right,
                "//": lambda: left // right,
                "min": lambda: minimum(left, right),
                "max": lambda: maximum(left, right),
            }
            return operations[kind]()
    raise AssertionError(tree)


SYMBOLS = {name: symbol(name) for name in NAMES}
