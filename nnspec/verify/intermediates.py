"""Compares what the layers and operators of both programs gave, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from nnspec.records import dataclass
from nnspec.verify.compare import EXACT, error, largest
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
    """The difference of every expected value, in the order in which they are computed.

    PyTorch runs in the order of the spec. A Keras graph may run the uses of one instance in another, so
    of the values with one name each is compared with that which is nearest.
    """
    sides = [
        (party, _by_name(calls, {value.keys[party.target] for value in expected}))
        for party, calls in (torch, keras)
    ]
    scale = largest(
        a for calls in sides[0][1].values() for call in calls for a in call.results
    )
    found: list[Difference] = []
    for value in expected:
        waiting = [(party, calls[value.keys[party.target]]) for party, calls in sides]
        missing = [party for party, calls in waiting if not calls]
        if missing and value.optional:
            for _, calls in waiting:
                del calls[:1]
            continue
        found.append(
            _missing(value, missing[0])
            if missing
            else _difference(value, sizes, waiting, scale)
        )
    return [*found, *_surplus(expected, sides)]


def _by_name(calls: Sequence[Call], names: set[str]) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {name: [] for name in names}
    for call in calls:
        if call.path in found:
            found[call.path].append(call)
    return found


def _missing(value: Expected, party: Party) -> Difference:
    did = "compute" if value.by_probe else "call"
    return Difference(value, inf, f"{party.title} did not {did} it")


def _difference(
    value: Expected,
    sizes: Mapping[str, int],
    waiting: Sequence[tuple[Party, list[Call]]],
    scale: float,
) -> Difference:
    """Compares the first of PyTorch's calls with the nearest of Keras's, and takes both away."""
    (torch, ours), (keras, theirs) = waiting
    wanted = _logical(value, torch, ours.pop(0))
    fault = _fault(value, sizes, wanted)
    if fault:
        return Difference(value, inf, f"in {torch.title} {fault}")
    results = [_logical(value, keras, call) for call in theirs]
    place, apart = _nearest(wanted, results, scale)
    theirs.pop(place)
    fault = _fault(value, sizes, results[place])
    if fault:
        return Difference(value, inf, f"in {keras.title} {fault}")
    return Difference(value, apart)


def _nearest(
    wanted: Sequence[Array], results: Sequence[Sequence[Array]], scale: float
) -> tuple[int, float]:
    """Which results are nearest, and how far they are; the first that are as good as equal are taken."""
    best = (0, inf)
    for place, found in enumerate(results):
        apart = inf
        if len(found) == len(wanted):
            errors = [error(f, w, scale) for f, w in zip(found, wanted, strict=True)]
            apart = max(errors, default=0.0)
        if apart < best[1]:
            best = place, apart
        if apart <= EXACT:
            break
    return best


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
    sides: Sequence[tuple[Party, Mapping[str, list[Call]]]],
) -> Iterator[Difference]:
    last = {tuple(value.keys.values()): value for value in expected}
    for value in last.values():
        if any(calls[value.keys[party.target]] for party, calls in sides):
            yield Difference(value, inf, "it is computed more often than the spec says")
