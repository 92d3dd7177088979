"""What a pattern of axes means, element by element; shares no code with nnspec."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np


def groups_of(side: str, rest: int) -> list[list[str]]:
    """One list of names for each axis; `...` becomes `rest` names."""
    names = " ".join(f"rest{i}" for i in range(rest))
    bare = side.replace("(...)", f"( {names} )").replace("...", names)
    groups: list[list[str]] = []
    depth = 0
    for word in bare.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            groups.append([])
            depth = 1
        elif word == ")":
            depth = 0
        elif depth:
            groups[-1] += [] if word == "1" else [word]
        else:
            groups.append([] if word == "1" else [word])
    return groups


def rearranged(x: np.ndarray, pattern: str, sizes: Mapping[str, int]) -> np.ndarray:
    """Each element put where the pattern sends it."""
    left, right = pattern.split("->")
    rest = x.ndim - len(groups_of(left.replace("...", ""), 0)) if "..." in left else 0
    before, after = groups_of(left, rest), groups_of(right, rest)
    known = dict(sizes)
    for group, size in zip(before, x.shape, strict=True):
        unknown = [name for name in group if name not in known]
        for name in unknown:
            others = np.prod([known.get(n, 1) for n in group if n != name], dtype=int)
            known[name] = size // int(others) if len(unknown) == 1 else 0
    shape = [int(np.prod([known[n] for n in group], dtype=int)) for group in after]
    result = np.full(shape, np.nan)
    names = [name for group in before for name in group]
    for values in itertools.product(*(range(known[name]) for name in names)):
        at = dict(zip(names, values, strict=True))
        source = tuple(_place(group, at, known) for group in before)
        result[tuple(_place(group, at, known) for group in after)] = x[source]
    return result


def _place(group: list[str], at: Mapping[str, int], known: Mapping[str, int]) -> int:
    place = 0
    for name in group:
        place = place * known[name] + at[name]
    return place
