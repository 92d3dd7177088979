"""What is known of the symbols, and what follows from it.

Symbols are at least 1. `require` adds bounds (`T <= 1024`) and divisibility (`H % 32 == 0`), the
latter by rewriting the symbol as a multiple (see `dims.symbol`). Proofs are by interval arithmetic over
the polynomial, so they are sound but not complete: what cannot be decided is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import inf

from nnspec.ir.dims import Atom, Dim, Size, dim
from nnspec.records import dataclass

Interval = tuple[float, float]

MOST_RAISED = 64
"""Of powers with a larger exponent it is enough to know that they are as large as with this one."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Bounds of each symbol, both inclusive, and what each is known to be a multiple of."""

    bounds: Mapping[str, tuple[int, int | None]] = field(
        default_factory=dict[str, tuple[int, int | None]]
    )
    multiples: Mapping[str, int] = field(default_factory=dict[str, int])

    def with_lower(self, name: str, bound: int) -> Assumptions:
        """The same with `name >= bound` as well."""
        low, high = self.bounds.get(name, (1, None))
        return self._with(name, (max(low, bound), high))

    def with_upper(self, name: str, bound: int) -> Assumptions:
        """The same with `name <= bound` as well."""
        low, high = self.bounds.get(name, (1, None))
        return self._with(name, (low, bound if high is None else min(high, bound)))

    def with_multiple(self, name: str, factor: int) -> Assumptions:
        """The same with `name % factor == 0` as well."""
        return Assumptions(self.bounds, {**self.multiples, name: factor})

    def fault(self, name: str, size: int) -> str | None:
        """What forbids a size of a symbol ("is at least 3"); None where nothing does."""
        low, high = self.bounds.get(name, (1, None))
        factor = self.multiples.get(name, 1)
        if size < low:
            return f"is at least {low}"
        if high is not None and size > high:
            return f"is at most {high}"
        return f"is a multiple of {factor}" if size % factor else None

    def _with(self, name: str, bounds: tuple[int, int | None]) -> Assumptions:
        return Assumptions({**self.bounds, name: bounds}, self.multiples)

    def holds(self, operator: str, left: Size, right: Size) -> bool | None:
        """Whether a comparison holds for all values of the symbols; None where it depends on them."""
        low, high = self.interval(dim(left) - right)
        match operator:
            case "==":
                return True if low == high == 0 else None if low <= 0 <= high else False
            case "!=":
                equal = self.holds("==", left, right)
                return None if equal is None else not equal
            case "<=":
                return True if high <= 0 else False if low > 0 else None
            case "<":
                return True if high < 0 else False if low >= 0 else None
            case ">=":
                return self.holds("<=", right, left)
            case _:
                return self.holds("<", right, left)

    def interval(self, value: Dim) -> Interval:
        """The least and the greatest that the value can be, as far as can be told."""
        if value.constant is not None:
            return (value.constant, value.constant)
        low = high = 0.0
        exact = _Exact()
        for monomial, coefficient in value.terms:
            bounds: Interval = (coefficient, coefficient)
            for atom, power in monomial:
                for _ in range(power):
                    bounds = _times(bounds, self._atom(atom))
            low, high = exact.add(low, bounds[0]), exact.add(high, bounds[1])
        return low, high

    def _atom(self, atom: Atom) -> Interval:
        if atom.kind == "symbol":
            low, high = self.bounds.get(atom.symbol, (1, None))
            return -(-low // atom.scale), inf if high is None else high // atom.scale
        if atom.opaque is not None:
            return (-inf, inf)
        if atom.bound:
            return self._over_turns(atom)
        parts = [self.interval(argument) for argument in atom.arguments]
        match atom.kind:
            case "min":
                return min(p[0] for p in parts), min(p[1] for p in parts)
            case "max":
                return max(p[0] for p in parts), max(p[1] for p in parts)
            case "//":
                return _floor_quotient(*parts)
            case "%":
                return (0, parts[1][1] - 1) if parts[1][0] > 0 else (-inf, inf)
            case _:
                return _power(*parts)

    def _over_turns(self, atom: Atom) -> Interval:
        """What the largest or the sum over turns can be."""
        value, first, stop = atom.arguments
        low, high = self.interval(first)[0], self.interval(stop)[1]
        if high <= low:
            return 0, 0
        turns = (int(low) if low > -inf else 1, int(high) - 1 if high < inf else None)
        inside = self._with(atom.bound, turns).interval(value)
        if atom.kind == "greatest":
            return 0, max(0, inside[1])
        fewest = max(0, self.interval(stop)[0] - self.interval(first)[1])
        return _times((fewest, high - low), inside)


class _Exact:
    """Adds bounds without rounding where they are whole (floats hold no large integers exactly)."""

    def add(self, left: float, right: float) -> float:
        # Infinity first: adding it to an integer beyond the floats would overflow.
        for bound in (left, right):
            if abs(bound) == inf:
                return bound
        return int(left) + int(right)


def _times(one: Interval, other: Interval) -> Interval:
    ends = [_end(a, b) for a in one for b in other]
    return min(ends), max(ends)


def _end(a: float, b: float) -> float:
    if a == 0 or b == 0:
        return 0
    if inf in (abs(a), abs(b)):
        return inf if (a > 0) == (b > 0) else -inf
    return a * b


def _power(base: Interval, exponent: Interval) -> Interval:
    if base[0] < 1 or exponent[0] < 0:
        return (-inf, inf)
    return int(base[0]) ** int(min(exponent[0], MOST_RAISED)), inf


def _floor_quotient(above: Interval, below: Interval) -> Interval:
    if below[0] <= 0:
        return (-inf, inf)
    ends = [_quotient(a, b) for a in above for b in below]
    return min(ends), max(ends)


def _quotient(a: float, b: float) -> float:
    if abs(a) == inf:
        return a
    if b == inf:
        return 0 if a >= 0 else -1
    return a // b
