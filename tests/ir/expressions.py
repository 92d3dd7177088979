"""Random integer expressions, with their meaning by plain arithmetic."""

from __future__ import annotations

from hypothesis import strategies as st

from nnspec.ir.dims import Dim, dim, maximum, minimum, symbol

# An expression as nested tuples: ("+", left, right), ("symbol", name), ("int", value).
Tree = tuple

NAMES = {"B": 1, "T": 1, "H": 4, "W": 6}  # the scale of each
_leaves = st.one_of(
    st.integers(-9, 40).map(lambda n: ("int", n)),
    st.sampled_from(sorted(NAMES)).map(lambda name: ("symbol", name)),
)
TREES = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(["+", "-", "*", "//", "%", "min", "max"]), inner, inner
        ),
        st.tuples(st.just("^"), inner, st.integers(0, 3).map(lambda n: ("int", n))),
    ),
    max_leaves=12,
)
POINTS = st.fixed_dictionaries(
    {name: st.integers(1, 30).map(lambda n, s=s: n * s) for name, s in NAMES.items()}
)


def evaluate(tree: Tree, values: dict[str, int]) -> int:
    """The meaning, by plain arithmetic. Raises ZeroDivisionError."""
    if tree[0] == "int":
        return tree[1]
    if tree[0] == "symbol":
        return values[tree[1]]
    left, right = evaluate(tree[1], values), evaluate(tree[2], values)
    return {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "//": lambda: left // right,
        "%": lambda: left % right,
        "^": lambda: left**right,
        "min": lambda: min(left, right),
        "max": lambda: max(left, right),
    }[tree[0]]()


def build(tree: Tree, leaf: dict[str, Dim]) -> Dim:
    """The same as a dim. Raises `DimError`."""
    if tree[0] == "int":
        return dim(tree[1])
    if tree[0] == "symbol":
        return leaf[tree[1]]
    left, right = build(tree[1], leaf), build(tree[2], leaf)
    return {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "//": lambda: left // right,
        "%": lambda: left % right,
        "^": lambda: left**right,
        "min": lambda: minimum(left, right),
        "max": lambda: maximum(left, right),
    }[tree[0]]()


SYMBOLS = {name: symbol(name, scale) for name, scale in NAMES.items()}
