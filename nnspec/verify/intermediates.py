"""Compares what the layers of both programs gave, call by call."""

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
    """How far a call of a layer is apart in the two programs; what is wrong with it where it is that."""

    expected: Expected
    error: float
    fault: str = ""

    def told(self) -> str:
        """The layer and its error, for a person."""
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
    """The difference of every expected call, in the order in which they end."""
    in_torch = _by_path(torch[1], {call.torch for call in expected})
    in_keras = _by_path(keras[1], {call.keras for call in expected})
    scale = largest(
        a for calls in in_torch.values() for call in calls for a in call.results
    )
    found: list[Difference] = []
    for call in expected:
        sides = [
            (torch[0], in_torch[call.torch]),
            (keras[0], in_keras[call.keras]),
        ]
        found.append(_difference(call, sizes, sides, scale))
    return [*found, *_surplus(expected, in_torch, in_keras)]


def _by_path(calls: Sequence[Call], paths: set[str]) -> dict[str, deque[Call]]:
    found: dict[str, deque[Call]] = {path: deque() for path in paths}
    for call in calls:
        if call.path in found:
            found[call.path].append(call)
    return found


def _difference(
    call: Expected,
    sizes: Mapping[str, int],
    sides: Sequence[tuple[Party, deque[Call]]],
    scale: float,
) -> Difference:
    values: list[list[Array]] = []
    for party, calls in sides:
        if not calls:
            return Difference(call, inf, f"{party.title} did not call it")
        results = _logical(call, party, calls.popleft())
        fault = _fault(call, sizes, results)
        if fault:
            return Difference(call, inf, f"in {party.title} {fault}")
        values.append(results)
    wanted, found = values
    apart = [error(f, w, scale) for f, w in zip(found, wanted, strict=True)]
    return Difference(call, max(apart, default=0.0))


def _logical(call: Expected, party: Party, made: Call) -> list[Array]:
    orders = party.permutations.get(call.path)
    if orders is None or len(orders) != len(made.results):
        return list(made.results)
    return [to_logical(a, order) for a, order in zip(made.results, orders, strict=True)]


def _fault(call: Expected, sizes: Mapping[str, int], results: Sequence[Array]) -> str:
    if len(results) != len(call.results):
        return f"it gives {len(results)} results instead of {len(call.results)}"
    for result, kind in zip(results, call.results, strict=True):
        wanted = shape_at(kind, sizes)
        if result.shape != wanted:
            return f"its result is {list(result.shape)} instead of {list(wanted)}"
    return ""


def _surplus(
    expected: Sequence[Expected], *sides: Mapping[str, deque[Call]]
) -> Iterator[Difference]:
    in_torch, in_keras = sides
    for call in {call.path: call for call in expected}.values():
        if in_torch[call.torch] or in_keras[call.keras]:
            yield Difference(call, inf, "it is called more often than the spec says")
