"""The class `Dim`, and its arithmetic: polynomials where they can say it, and a new atom where they cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
        return _both(self, MINUS_ONE, _multiply)

    def __sub__(self, other: Size) -> Dim:
        return _both(self, other, _subtract)

    def __rsub__(self, other: Size) -> Dim:
        return dim(other) + -self

    def __mul__(self, other: Size) -> Dim:
        return _both(self, other, _multiply)

    def __rmul__(self, other: Size) -> Dim:
        return dim(other) * self

    def __floordiv__(self, other: Size) -> Dim:
        return _both(self, other, _floor_divide)

    def __rfloordiv__(self, other: Size) -> Dim:
        return dim(other) // self

    def __mod__(self, other: Size) -> Dim:
        return _both(self, other, _remainder)

    def __rmod__(self, other: Size) -> Dim:
        return dim(other) % self

    def __pow__(self, other: Size) -> Dim:
        return _both(self, other, _power)

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
        return self if self.constant is not None else Substitution(replace).of(self)

    def at(self, values: Mapping[str, Size]) -> Dim:
        """The value with symbols (by name) replaced by sizes."""
        return self.substitute(_replacing(values))


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
    return _of_atom(atom) * scale if scale != 1 else _of_atom(atom)


def polynomial(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    """The sum of monomials (factors in the order of their keys), each with its coefficient."""
    return _of_table(polynomials.collect(terms))


def opaque(value: Opaque) -> Dim:
    """The integer that an expression of the spec stands for."""
    return _of_atom(Atom("opaque", opaque=value))


def minimum(*values: Size) -> Dim:
    """The least of several sizes."""
    return _extreme("min", values, min)


def maximum(*values: Size) -> Dim:
    """The greatest of several sizes."""
    return _extreme("max", values, max)


def rebuilt(atom: Atom, change: Callable[[Dim], Dim]) -> Dim:
    """An atom as a value, each of its arguments changed."""
    if not atom.arguments:
        return _of_atom(atom)
    if atom.bound:
        from nnspec.ir.dims.turns import rebound

        return rebound(atom, change)
    return _made(atom.kind, [change(argument) for argument in atom.arguments])


def product(values: Iterable[Size]) -> Dim:
    """The product of several sizes; 1 for none."""
    result = ONE
    for value in values:
        result = dim(value) if result is ONE else result * value
    return result


def total(values: Iterable[Size]) -> Dim:
    """The sum of several sizes; 0 for none."""
    result = ZERO
    for value in values:
        result = dim(value) if result is ZERO else result + value
    return result


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


def _of_atom(atom: Atom) -> Dim:
    return Dim(((((atom, 1),), 1),), None)


def _of_table(table: Table) -> Dim:
    terms = [(m, c) for m, c in table.items() if c]
    if not terms:
        return ZERO
    if len(terms) == 1 and not terms[0][0]:
        return dim(terms[0][1])
    return Dim(polynomials.in_order(terms), None)


def _terms(value: Dim) -> Terms:
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
    return _of_table(polynomials.collect((*left.terms, *right.terms)))


def _subtract(left: Dim, right: Dim) -> Dim:
    return _add(left, _multiply(right, MINUS_ONE))


def _multiply(left: Dim, right: Dim) -> Dim:
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
    return _of_table(relations.reduced(table) if relations.current else table)


def _floor_divide(left: Dim, right: Dim) -> Dim:
    if right.constant == 0:
        raise DimError(f"`{left} // 0` has no value")
    if left.constant is not None and right.constant is not None:
        return dim(left.constant // right.constant)
    if right.constant == 1 or left.constant == 0:
        return left.value
    if _same(left, right):
        return ONE
    if right.constant is not None and right.constant < 0:
        return _floor_divide(-left, -right)
    quotient, rest = _divide(left, right)
    if rest.constant == 0:
        return quotient
    if right.constant is not None and rest.constant is not None:
        return quotient + rest.constant // right.constant
    inner = _single_atom(rest)
    if inner is not None and inner.kind == "//" and right.constant is not None:
        # (a // b) // c is a // (b * c) where c is positive, as it is here.
        below = inner.arguments[1] * right
        return quotient + _floor_divide(inner.arguments[0], below)
    factor = polynomials.shared_factor(_terms(rest), _terms(right))
    if factor > 1:
        rest, right = _reduced(rest, factor), _reduced(right, factor)
    return quotient + _of_atom(Atom("//", (rest.value, right.value)))


def _reduced(value: Dim, factor: int) -> Dim:
    return _of_table(polynomials.exact_quotient(_terms(value), factor))


def _remainder(left: Dim, right: Dim) -> Dim:
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
    return _of_atom(Atom("%", (rest.value, right.value)))


def _divide(left: Dim, right: Dim) -> tuple[Dim, Dim]:
    """`left` as quotient * right + rest, taking out every term that divides exactly."""
    if relations.current:
        exact = relations.quotient(_terms(left), _terms(right))
        if exact is not None:
            return _of_table(exact), ZERO
    quotient, rest = polynomials.divide(_terms(left), _terms(right))
    return _of_table(quotient), _of_table(rest)


def _single_atom(value: Dim) -> Atom | None:
    return polynomials.single_atom(value.terms)


def _power(left: Dim, right: Dim) -> Dim:
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
            result = _multiply(result, left)
        return result
    if left.constant == 1:
        return ONE
    return _of_atom(Atom("^", (left.value, right.value)))


def _bounded_power(base: int, exponent: int) -> int:
    if abs(base) > 1 and exponent * (abs(base).bit_length() - 1) > MOST_BITS:
        raise DimTooLarge(f"`{base} ^ {exponent}` has more than {MOST_BITS} bits")
    return base**exponent


def _extreme(kind: str, values: Iterable[Size], choose: Callable[..., int]) -> Dim:
    dims = [dim(value) for value in values]
    result = _extreme_value(kind, [d.value for d in dims], choose, positive=True)
    if any(d.generic is not d for d in dims):
        return result.named(_extreme_value(kind, [d.generic for d in dims], choose))
    return result


def _extreme_value(
    kind: str, values: list[Dim], choose: Callable[..., int], *, positive: bool = False
) -> Dim:
    """The least or greatest; `positive` where every symbol is a size, and so at least 1.

    The names in a generic twin are constants of the spec as well, and those may be anything.
    """
    flat: dict[str, Dim] = {}
    constants: list[int] = []
    for value in values:
        atom = _single_atom(value)
        parts = atom.arguments if atom is not None and atom.kind == kind else (value,)
        for part in parts:
            if part.constant is not None:
                constants.append(part.constant)
            else:
                flat[part.key] = part
    if constants:
        bound = choose(constants)
        # A bound of 1 or less decides nothing from below.
        idle = positive and kind == "max" and bound <= 1
        if not (idle and any(_single_symbol(f) for f in flat.values())):
            flat[str(bound)] = dim(bound)
    if len(flat) == 1:
        return next(iter(flat.values()))
    return _of_atom(Atom(kind, tuple(flat[key] for key in sorted(flat))))


def _single_symbol(value: Dim) -> bool:
    atom = _single_atom(value)
    return atom is not None and atom.kind == "symbol"


def _replacing(values: Mapping[str, Size]) -> Replace:
    """Gives the sizes of symbols that have one by name."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind != "symbol" or atom.symbol not in values:
            return None
        value = dim(values[atom.symbol])
        if atom.scale == 1:
            return value
        if value.is_constant and int(value) % atom.scale:
            message = f"{atom.symbol} must divide by {atom.scale}, and {value} does not"
            raise DimError(message)
        return value // atom.scale

    return replace


class Substitution:
    """Replaces atoms in values: each atom and each product once, however many values and places have it.

    The amounts of a maximum have mostly the same products, and few of them what is replaced. `replace` has to give
    the same for the same atom at all times.
    """

    __slots__ = ("_atoms", "_products", "_relations", "_replace")

    def __init__(self, replace: Replace) -> None:
        self._replace = replace
        self._relations = relations.current
        self._atoms: dict[Atom, Dim | None] = {}
        self._products: dict[Monomial, Terms | None] = {}

    @staticmethod
    def by_name(values: Mapping[str, Size]) -> Substitution:
        """Replaces symbols by sizes."""
        return Substitution(_replacing(values))

    def of(self, value: Dim) -> Dim:
        """A value with its atoms replaced; the value itself where all of them stay.

        The generic twin is left as it is, since it speaks of other names.
        """
        if self._relations is not relations.current:
            self._relations = relations.current
            self._atoms, self._products = {}, {}
        found, twin = self._inner(value), value.generic
        return found if found is value or twin is value else found.named(twin)

    def _inner(self, value: Dim) -> Dim:
        if value.constant is not None:
            return value
        products = self._products
        found: list[Terms | None] = []
        for monomial, _ in value.terms:
            if monomial not in products:
                products[monomial] = self._product(monomial)
            found.append(products[monomial])
        if not any(terms is not None for terms in found):
            return value
        return _summed(value.terms, found)

    def _product(self, monomial: Monomial) -> Terms | None:
        """A product with its atoms replaced; those that stay are multiplied at once. None where all of them do."""
        factor = ONE
        staying: list[tuple[Atom, int]] = []
        for atom, power in monomial:
            found = self._atom(atom)
            if found is None:
                staying.append((atom, power))
                continue
            raised = found if power == 1 else _power(found, dim(power))
            factor = _multiply(factor, raised)
        if len(staying) == len(monomial):
            return _related(monomial)
        rest = _of_monomial(tuple(staying)) if staying else ONE
        return _terms(_multiply(rest, factor))

    def _atom(self, atom: Atom) -> Dim | None:
        """What takes the place of an atom; None where it stays."""
        if atom not in self._atoms:
            found = self._replace(atom)
            self._atoms[atom] = self._inside(atom) if found is None else found.value
        return self._atoms[atom]

    def _inside(self, atom: Atom) -> Dim | None:
        """An atom of which something inside is replaced; None where it stays."""
        if atom.opaque is not None:
            return atom.opaque.substitute(self._replace)
        if atom.bound:
            from nnspec.ir.dims.turns import substituted

            return substituted(atom, self._replace)
        arguments = [self._inner(each) for each in atom.arguments]
        pairs = zip(arguments, atom.arguments, strict=True)
        if not relations.current and all(new is old for new, old in pairs):
            return None
        return _made(atom.kind, arguments) if arguments else None


def _summed(terms: Terms, found: Sequence[Terms | None]) -> Dim:
    """The sum of terms whose products have become others, or stayed."""
    table: Table = {}
    known = table.get
    for (monomial, coefficient), product in zip(terms, found, strict=True):
        if product is None:
            table[monomial] = known(monomial, 0) + coefficient
            continue
        for one, count in product:
            table[one] = known(one, 0) + coefficient * count
    return _of_table(table)


def _of_monomial(monomial: Monomial) -> Dim:
    if relations.current:
        return _of_table(relations.reduced({monomial: 1}))
    return Dim(((monomial, 1),), None)


def _related(monomial: Monomial) -> Terms | None:
    """A product as relations write it; None where it stays."""
    if not relations.current:
        return None
    found = relations.reduced({monomial: 1})
    return None if monomial in found else _terms(_of_table(found))


def _made(kind: str, arguments: list[Dim]) -> Dim:
    match kind:
        case "//":
            return _floor_divide(*arguments)
        case "%":
            return _remainder(*arguments)
        case "^":
            return _power(*arguments)
        case "min":
            return _extreme_value("min", arguments, min)
        case _:
            return _extreme_value("max", arguments, max)
