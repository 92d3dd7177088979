"""Compares what the layers and operators of both programs gave, value by value."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from nnspec.verify.compare import error, largest
from nnspec.verify.exchange import Array, Call
from nnspec.verify.labels import Expected
from nnspec.verify.orders import to_logical
from nnspec.verify.parties import Party
from nnspec.verify.samples import shape_at


@dataclass(frozen=True)
class Difference:
    """How far a value is apart in the two programs; what is wrong with it where it is that."""

    expected: Expected
    error: float
    fault: str = ""

    def told(self) -> str:
        """The value and its error, for a person."""
        name = f"`{self.expected.path}` ({self.expected.what})"
        return (
            f"{name}: {self.fault}"
            if self.fault
            else f"{name} differs by {self.error:.1e}"
        )


def differences(
    expected: Sequence[Expected],
    sizes: Mapping[str, int],
    torch: tuple[Party, Sequence[Call]],
    keras: tuple[Party, Sequence[Call]],
) -> list[Difference]:
    """The difference of every expected value, in the order in which they are computed."""
    sides = [
        (party, _by_name(calls, {value.keys[party.target] for value in expected}))
        for party, calls in (torch, keras)
    ]
    scale = largest(
        a for calls in sides[0][1].values() for call in calls for a in call.results
    )
    found: list[Difference] = []
    for value in expected:
        made = [_next(value, party, calls) for party, calls in sides]
        if value.optional and None in made:
            continue
        pairs = [(party, call) for (party, _), call in zip(sides, made, strict=True)]
        found.append(_difference(value, sizes, pairs, scale))
    return [*found, *_surplus(expected, sides)]


def _by_name(calls: Sequence[Call], names: set[str]) -> dict[str, deque[Call]]:
    found: dict[str, deque[Call]] = {name: deque() for name in names}
    for call in calls:
        if call.path in found:
            found[call.path].append(call)
    return found


def _next(
    value: Expected, party: Party, calls: Mapping[str, deque[Call]]
) -> Call | None:
    waiting = calls[value.keys[party.target]]
    return waiting.popleft() if waiting else None


def _difference(
    value: Expected,
    sizes: Mapping[str, int],
    sides: Sequence[tuple[Party, Call | None]],
    scale: float,
) -> Difference:
    values: list[list[Array]] = []
    for party, call in sides:
        if call is None:
            did = "compute" if value.by_probe else "call"
            return Difference(value, inf, f"{party.title} did not {did} it")
        results = _logical(value, party, call)
        fault = _fault(value, sizes, results)
        if fault:
            return Difference(value, inf, f"in {party.title} {fault}")
        values.append(results)
    wanted, found = values
    apart = [error(f, w, scale) for f, w in zip(found, wanted, strict=True)]
    return Difference(value, max(apart, default=0.0))


def _logical(value: Expected, party: Party, made: Call) -> list[Array]:
    orders = value.orders[party.target]
    if len(orders) != len(made.results):
        return list(made.results)
    return [to_logical(a, order) for a, order in zip(made.results, orders, strict=True)]


def _fault(value: Expected, sizes: Mapping[str, int], results: Sequence[Array]) -> str:
    if len(results) != len(value.results):
        return f"it gives {len(results)} results instead of {len(value.results)}"
    for result, kind in zip(results, value.results, strict=True):
        wanted = shape_at(kind, sizes)
        if result.shape != wanted:
            return f"its result is {list(result.shape)} instead of {list(wanted)}"
    return ""


def _surplus(
    expected: Sequence[Expected],
    sides: Sequence[tuple[Party, Mapping[str, deque[Call]]]],
) -> Iterator[Difference]:
    last = {tuple(value.keys.values()): value for value in expected}
    for value in last.values():
        if any(calls[value.keys[party.target]] for party, calls in sides):
            yield Difference(value, inf, "it is computed more often than the spec says")
