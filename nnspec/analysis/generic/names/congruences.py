"""What conditions say of remainders: where `depth % 3 == 0`, it needs no word that `(depth + 1) % 3 != 2`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.dims.polynomials import single_atom
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.names.conditions import Condition


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of one name plus a number, divided by a number: `(depth + 1) % 3`."""

    name: str
    plus: int
    divisor: int


def without_certain_remainders(conditions: Iterable[Condition]) -> list[Condition]:
    """The conditions without those that others decide, which say what is left of a name."""
    rest = list(conditions)
    known: dict[str, Condition] = {}
    for each in rest:
        remainder = remainder_of(each)
        if remainder is not None and each.operator == "==":
            known.setdefault(remainder.name, each)
    return [each for each in rest if not _is_implied(each, known.values())]


def _is_implied(condition: Condition, known: Iterable[Condition]) -> bool:
    asked = remainder_of(condition)
    for each in known:
        remainder = remainder_of(each)
        if asked is None or remainder is None or each is condition:
            continue
        if remainder.name != asked.name or remainder.divisor % asked.divisor:
            continue
        number = int(each.right) - remainder.plus + remainder.divisor * asked.divisor
        left = (number + asked.plus) % asked.divisor
        if Assumptions().holds(condition.operator, left, condition.right):
            return True
    return False


def remainder_of(condition: Condition) -> Remainder | None:
    """The remainder that a condition compares with a number."""
    atom = single_atom(condition.left.terms)
    if atom is None or atom.kind != "%" or condition.turns:
        return None
    dividend, divisor = atom.arguments
    if divisor.constant is None or condition.right.constant is None:
        return None
    plus = _plus(dividend)
    return plus and Remainder(plus[0], plus[1], divisor.constant)


def _plus(size: Dim) -> tuple[str, int] | None:
    """The one name of which a size is so much more."""
    names = size.symbols()
    if len(names) != 1:
        return None
    (name,) = names
    more = (size - symbol(name)).constant
    return None if more is None else (name, more)
