"""Names of operators as people write them: `blocks`, `blocks.3`, `blocks.0-5`.

An operator is named by its path in the model. A label names it and all below it; two
numbers with a dash between them name what is numbered from the first to the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_RANGE = re.compile(r"(\d+)-(\d+)")


def selects(label: str, name: str) -> bool:
    """Whether a label names an operator, or something that it lies below."""
    wanted, parts = label.split("."), name.split(".")
    if len(wanted) > len(parts):
        return False
    return all(map(_is_part, wanted, parts))


def _is_part(wanted: str, part: str) -> bool:
    span = _RANGE.fullmatch(wanted)
    if span is None or not part.isdigit():
        return wanted == part
    return int(span[1]) <= int(part) <= int(span[2])


def folded(names: Sequence[str]) -> list[str]:
    """The names in their order, those that count on from each other as one."""
    found: list[str] = []
    run: list[tuple[str, int]] = []
    for name in names:
        stem, _, number = name.rpartition(".")
        if run and number.isdigit() and run[-1] == (stem, int(number) - 1):
            run.append((stem, int(number)))
            continue
        found += _as_one(run)
        run = [(stem, int(number))] if stem and number.isdigit() else []
        if not run:
            found.append(name)
    return [*found, *_as_one(run)]


def _as_one(run: Sequence[tuple[str, int]]) -> Iterable[str]:
    if not run:
        return
    (stem, first), (_, last) = run[0], run[-1]
    yield f"{stem}.{first}" if first == last else f"{stem}.{first}-{last}"
