"""Where a model is cut into stages: equal shares, and cuts that are moved by one operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def equal_shares(upto: Sequence[float], stages: int) -> tuple[int, ...]:
    """Cuts where what is in front of them is nearest to the share of the stages there.

    `upto` is what the first n operators have, for each n. Every stage has operators.
    """
    count = len(upto) - 1
    starts = [0]
    for stage in range(1, stages):
        wanted = upto[-1] * stage / stages
        places = range(starts[-1] + 1, count - (stages - stage) + 1)
        starts.append(min(places, key=lambda place: abs(upto[place] - wanted)))
    return (*starts, count)


def neighbours(starts: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All in which one cut has moved by one operator."""
    for place in range(1, len(starts) - 1):
        for moved in (starts[place] - 1, starts[place] + 1):
            if starts[place - 1] < moved < starts[place + 1]:
                yield (*starts[:place], moved, *starts[place + 1 :])
