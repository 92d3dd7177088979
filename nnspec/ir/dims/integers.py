"""The class `Dim`, and its arithmetic: polynomials where they can say it, and a new atom where they cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

import nnspec.ir.dims.polynomials as polynomials
import nnspec.ir.dims.relations as relations
import nnspec.ir.dims.twins as twins
import nnspec.ir.dims.witness as witness
from nnspec.ir.dims.atoms import (
    HIGHEST_POWER,
    MOST_BITS,
    Atom,
    DimError,
    DimTooLarge,
    Monomial,
    Opaque,
    Replace,
)
from nnspec.ir.dims.polynomials import Table, Terms
from nnspec.ir.dims.text import show


class Dim:
    """An exact integer expression. Immutable; make one with `dim`, `symbol` and arithmetic."""

    __slots__ = ("_generic", "_hash", "_key", "constant", "terms")

    def __init__(
        self,
        terms: Terms,
        constant: int | None,
        generic: Dim | None = None,
    ) -> None:
        self.terms = terms
        self.constant = constant
        self._generic = generic
        self._key: str | None = None
        self._hash: int | None = None

    # ---- the two forms -----------------------------------------------------------------------

    @property
    def generic(self) -> Dim:
        """The twin in the names of the enclosing block; the value itself where there is none."""
        return self if self._generic is None else self._generic

    def named(self, generic: Dim) -> Dim:
        """This value, known in its block as `generic`."""
        plain = generic.generic
        return Dim(self.terms, self.constant, None if _same(plain, self) else plain)

    @property
    def value(self) -> Dim:
        """This value without its generic twin."""
        return self if self._generic is None else Dim(self.terms, self.constant)

    # ---- identity ----------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """A canonical text; equal for equal values."""
        if self._key is None:
            self._key = (
                str(self.constant)
                if self.constant is not None
                else "+".join(
                    f"{coefficient}*{'*'.join(f'{a.key}^{p}' for a, p in monomial)}"
                    for monomial, coefficient in self.terms
                )
            )
        return self._key

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dim):
            same = _same(self, other)
        elif isinstance(other, int):
            same = self.constant == other
        else:
            return NotImplemented
        if witness.current is not None:
            witness.tell("==" if same else "!=", self, dim(other))
        return same

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = (
                hash(self.constant) if self.constant is not None else hash(self.terms)
            )
        return self._hash

    @property
    def is_constant(self) -> bool:
        """Whether the value is a plain integer."""
        return self.constant is not None

    def __int__(self) -> int:
        if self.constant is None:
            raise DimError(f"`{self}` is not known yet")
        if witness.current is not None:
            witness.tell("int", self, self)
        return self.constant

    __index__ = __int__

    def falls_below(self, bound: int) -> bool:
        """Whether the value is a number below a bound: for checks that refuse, and decide nothing else.

        No witness is told of it (see `witnessed`).
        """
        return self.constant is not None and self.constant < bound

    def __bool__(self) -> bool:
        return self != 0

    def __str__(self) -> str:
        return show(self)

    def __repr__(self) -> str:
        return f"Dim({show(self)})"

    # ---- arithmetic --------------------------------------------------------------------------

    def __add__(self, other: Size) -> Dim:
        return _both(self, other, _add)

    def __radd__(self, other: Size) -> Dim:
        return dim(other) + self

    def __neg__(self) -> Dim:
        return _both(self, MINUS_ONE, multiply)

    def __sub__(self, other: Size) -> Dim:
        return _both(self, other, _subtract)

    def __rsub__(self, other: Size) -> Dim:
        return dim(other) + -self

    def __mul__(self, other: Size) -> Dim:
        return _both(self, other, multiply)

    def __rmul__(self, other: Size) -> Dim:
        return dim(other) * self

    def __floordiv__(self, other: Size) -> Dim:
        return _both(self, other, floor_divide)

    def __rfloordiv__(self, other: Size) -> Dim:
        return dim(other) // self

    def __mod__(self, other: Size) -> Dim:
        return _both(self, other, remainder)

    def __rmod__(self, other: Size) -> Dim:
        return dim(other) % self

    def __pow__(self, other: Size) -> Dim:
        return _both(self, other, raised)

    def __rpow__(self, other: Size) -> Dim:
        return dim(other) ** self

    def ceil_divide(self, other: Size) -> Dim:
        """The quotient rounded up."""
        return -((-self) // other)

    # Orderings hold for constants only; what depends on symbols goes through `Assumptions`.

    def __lt__(self, other: Size) -> bool:
        return _ordered("<", self, dim(other))

    def __le__(self, other: Size) -> bool:
        return not _ordered(">", self, dim(other))

    def __gt__(self, other: Size) -> bool:
        return _ordered(">", self, dim(other))

    def __ge__(self, other: Size) -> bool:
        return not _ordered("<", self, dim(other))

    # ---- looking inside ----------------------------------------------------------------------

    def atoms(self) -> Iterator[Atom]:
        """Every atom, the ones inside other atoms too; of those that speak of a turn, all but its symbol."""
        for monomial, _ in self.terms:
            for atom, _ in monomial:
                yield atom
                for argument in atom.arguments:
                    if atom.bound:
                        yield from (a for a in argument.atoms() if a != atom.bound)
                    else:
                        yield from argument.atoms()
                if atom.opaque is not None:
                    yield from atom.opaque.atoms()

    def symbols(self) -> set[str]:
        """The names of the symbols that the value depends on."""
        return {atom.symbol for atom in self.atoms() if atom.kind == "symbol"}

    def substitute(self, replace: Replace) -> Dim:
        """The value with each atom for which `replace` gives a dim replaced by it.

        The generic twin is left as it is, since it speaks of other names.
        """
        if self.constant is not None:
            return self
        from nnspec.ir.dims.substitution import Substitution

        return Substitution(replace).of(self)

    def at(self, values: Mapping[str, Size]) -> Dim:
        """The value with symbols (by name) replaced by sizes."""
        if self.constant is not None:
            return self
        from nnspec.ir.dims.substitution import Substitution

        return Substitution.by_name(values).of(self)


Size: TypeAlias = int | Dim

_CONSTANTS = {n: Dim((), n) for n in range(-1, 257)}
MINUS_ONE, ZERO, ONE = _CONSTANTS[-1], _CONSTANTS[0], _CONSTANTS[1]


def dim(value: Size) -> Dim:
    """The dim of an integer; a dim as it is."""
    if isinstance(value, Dim):
        return value
    found = _CONSTANTS.get(value)
    if found is not None:
        return found
    if value.bit_length() > MOST_BITS:
        raise DimTooLarge(f"this integer has more than {MOST_BITS} bits")
    return Dim((), int(value))


@lru_cache(maxsize=4096)
def symbol(name: str, scale: int = 1) -> Dim:
    """A named size of at least 1, known to be a multiple of `scale`."""
    atom = Atom("symbol", symbol=name, scale=scale)
    return of_atom(atom) * scale if scale != 1 else of_atom(atom)


def lone_symbol(value: Dim) -> Atom | None:
    """The symbol that a value is (so often as its scale says), and nothing else; None where it is anything else."""
    if len(value.terms) != 1:
        return None
    ((monomial, coefficient),) = value.terms
    if len(monomial) != 1:
        return None
    ((atom, power),) = monomial
    is_one = power == 1 and atom.kind == "symbol" and coefficient == atom.scale
    return atom if is_one else None


def polynomial(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    """The sum of monomials (factors in the order of their keys), each with its coefficient."""
    return of_table(polynomials.collect(terms))


def opaque(value: Opaque) -> Dim:
    """The integer that an expression of the spec stands for."""
    return of_atom(Atom("opaque", opaque=value))


# ---- comparisons ---------------------------------------------------------------------------------

_REVERSED = {"<": ">=", ">": "<="}


def _same(left: Dim, right: Dim) -> bool:
    if left.constant is not None or right.constant is not None:
        return left.constant == right.constant
    return left.terms == right.terms


def _ordered(sign: str, left: Dim, right: Dim) -> bool:
    for side in (left, right):
        if side.constant is None:
            raise DimError(f"`{side}` is not known yet")
    assert left.constant is not None
    assert right.constant is not None
    below = left.constant < right.constant
    holds = below if sign == "<" else left.constant > right.constant
    if witness.current is not None:
        witness.tell(sign if holds else _REVERSED[sign], left, right)
    return holds


# ---- the arithmetic of values (twins are added by `_both`) ---------------------------------------


def _both(left: Dim, right: Size, operation: Callable[[Dim, Dim], Dim]) -> Dim:
    if not isinstance(right, Dim):
        right = dim(right)
    result = operation(left, right)
    # The twins live in slots of this very class; asking for `generic` would hide whether there is one.
    left_twin, right_twin = left._generic, right._generic  # pyright: ignore[reportPrivateUsage]
    if (left_twin is None and right_twin is None) or not twins.kept:
        return result
    return result.named(
        operation(
            left if left_twin is None else left_twin,
            right if right_twin is None else right_twin,
        )
    )


def of_atom(atom: Atom) -> Dim:
    """The value of an atom."""
    return Dim(((((atom, 1),), 1),), None)


def of_table(table: Table) -> Dim:
    """The sum of monomials with their coefficients, of which some may be 0."""
    terms = [(m, c) for m, c in table.items() if c]
    if not terms:
        return ZERO
    if len(terms) == 1 and not terms[0][0]:
        return dim(terms[0][1])
    return Dim(polynomials.in_order(terms), None)


def terms_of(value: Dim) -> Terms:
    """The terms of a value, of a constant too."""
    return value.terms if value.constant is None else (((), value.constant),)


def _add(left: Dim, right: Dim) -> Dim:
    if left.constant is not None:
        if right.constant is not None:
            return dim(left.constant + right.constant)
        left, right = right, left
    more = right.constant
    if more is not None:
        if more == 0:
            return left.value
        return Dim(polynomials.shifted(left.terms, more), None)
    summed = polynomials.summed(left.terms, right.terms)
    if summed is not None:
        return Dim(summed, None)
    return of_table(polynomials.collect((*left.terms, *right.terms)))


def _subtract(left: Dim, right: Dim) -> Dim:
    return _add(left, multiply(right, MINUS_ONE))


def multiply(left: Dim, right: Dim) -> Dim:
    """The product of two values."""
    if left.constant is not None:
        if right.constant is not None:
            return dim(left.constant * right.constant)
        left, right = right, left
    factor = right.constant
    if factor is not None:
        if factor == 1:
            return left.value
        if factor == 0:
            return ZERO
        return Dim(polynomials.scaled(left.terms, factor), None)
    table = polynomials.multiply(left.terms, right.terms)
    return of_table(relations.reduced(table) if relations.current else table)


def floor_divide(left: Dim, right: Dim) -> Dim:
    """The quotient rounded down. Raises `DimError` for one by 0."""
    if right.constant == 0:
        raise DimError(f"`{left} // 0` has no value")
    if left.constant is not None and right.constant is not None:
        return dim(left.constant // right.constant)
    if right.constant == 1 or left.constant == 0:
        return left.value
    if _same(left, right):
        return ONE
    if right.constant is not None and right.constant < 0:
        return floor_divide(-left, -right)
    quotient, rest = _divide(left, right)
    if rest.constant == 0:
        return quotient
    if right.constant is not None and rest.constant is not None:
        return quotient + rest.constant // right.constant
    inner = polynomials.single_atom(rest.terms)
    if inner is not None and inner.kind == "//" and right.constant is not None:
        # (a // b) // c is a // (b * c) where c is positive, as it is here.
        below = inner.arguments[1] * right
        return quotient + floor_divide(inner.arguments[0], below)
    factor = polynomials.shared_factor(terms_of(rest), terms_of(right))
    if factor > 1:
        rest, right = _reduced(rest, factor), _reduced(right, factor)
    return quotient + of_atom(Atom("//", (rest.value, right.value)))


def _reduced(value: Dim, factor: int) -> Dim:
    return of_table(polynomials.exact_quotient(terms_of(value), factor))


def remainder(left: Dim, right: Dim) -> Dim:
    """What `floor_divide` leaves, with the sign of `right`. Raises `DimError` for a division by 0."""
    if right.constant == 0:
        raise DimError(f"`{left} % 0` has no value")
    if left.constant is not None and right.constant is not None:
        return dim(left.constant % right.constant)
    if right.constant in (1, -1) or _same(left, right):
        return ZERO
    _, rest = _divide(left, right)
    if rest.constant == 0:
        return ZERO
    if right.constant is not None and rest.constant is not None:
        return dim(rest.constant % right.constant)
    return of_atom(Atom("%", (rest.value, right.value)))


def _divide(left: Dim, right: Dim) -> tuple[Dim, Dim]:
    """`left` as quotient * right + rest, taking out every term that divides exactly."""
    if relations.current:
        exact = relations.quotient(terms_of(left), terms_of(right))
        if exact is not None:
            return of_table(exact), ZERO
    quotient, rest = polynomials.divide(terms_of(left), terms_of(right))
    return of_table(quotient), of_table(rest)


def raised(left: Dim, right: Dim) -> Dim:
    """A power. Raises `DimError` for what is no integer, and for one of a symbol above `HIGHEST_POWER`."""
    if right.constant is not None:
        if right.constant < 0:
            raise DimError(f"`{left} ^ {right}` is not an integer")
        if left.constant is not None:
            return dim(_bounded_power(left.constant, right.constant))
        if right.constant > HIGHEST_POWER:
            raise DimError(
                f"a symbol may be raised to the {HIGHEST_POWER}th power at most"
            )
        result = ONE
        for _ in range(right.constant):
            result = multiply(result, left)
        return result
    if left.constant == 1:
        return ONE
    return of_atom(Atom("^", (left.value, right.value)))


def _bounded_power(base: int, exponent: int) -> int:
    if abs(base) > 1 and exponent * (abs(base).bit_length() - 1) > MOST_BITS:
        raise DimTooLarge(f"`{base} ^ {exponent}` has more than {MOST_BITS} bits")
    return base**exponent
