"""Exact integer expressions: every size, parameter count and FLOP count is one.

A `Dim` is a polynomial with integer coefficients over atoms; an atom is a symbol or something that a
polynomial cannot say (floor division, remainder, minimum, maximum, power, a choice made by the spec).
The normal form makes equality structural: two dims that multiply out to the same polynomial are equal.

A dim may carry a *generic* twin: the same quantity written in the names of the block in which it was
computed (`4 * width` beside 256). Arithmetic carries the twin along, so operators that compute shapes
compute the generic form without knowing of it. Equality, hashing and ordering look at the value alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import gcd
from typing import Protocol, TypeAlias

MOST_TERMS = 400
MOST_BITS = 4096
LONGEST_KEY = 4000


class DimError(Exception):
    """An integer expression that has no value, or is too large to handle."""


class DimTooLarge(DimError):
    """An integer expression beyond the bounds that keep everything fast."""


class Opaque(Protocol):
    """An integer that only the spec's own expression describes (a conditional, a list element)."""

    @property
    def key(self) -> str: ...
    def substitute(self, replace: Replace) -> Dim: ...
    def atoms(self) -> Iterator[Atom]: ...


class Atom:
    """A factor of a monomial. `key` is canonical: equal keys mean equal atoms."""

    __slots__ = ("arguments", "key", "kind", "opaque", "scale", "symbol")

    def __init__(
        self,
        kind: str,
        arguments: tuple[Dim, ...] = (),
        symbol: str = "",
        scale: int = 1,
        opaque: Opaque | None = None,
    ) -> None:
        self.kind = kind
        self.arguments = arguments
        self.symbol = symbol
        self.scale = scale
        self.opaque = opaque
        if kind == "symbol":
            self.key = symbol if scale == 1 else f"{symbol}//{scale}"
        elif opaque is not None:
            self.key = f"<{opaque.key}>"
        else:
            self.key = f"{kind}({','.join(a.key for a in arguments)})"
        if len(self.key) > LONGEST_KEY:
            raise DimTooLarge("this size is described by too long an expression")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key


Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
Replace: TypeAlias = "Callable[[Atom], Dim | None]"


class Dim:
    """An exact integer expression. Immutable; make one with `dim`, `symbol` and arithmetic."""

    __slots__ = ("_generic", "_hash", "_key", "constant", "terms")

    def __init__(
        self,
        terms: tuple[tuple[Monomial, int], ...],
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
        if isinstance(other, int):
            same = self.constant == other
        elif isinstance(other, Dim):
            same = _same(self, other)
        else:
            return NotImplemented
        if _witness is not None:
            _tell("==" if same else "!=", self, dim(other))
        return same

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = (
                hash(self.constant) if self.constant is not None else hash(self.key)
            )
        return self._hash

    @property
    def is_constant(self) -> bool:
        """Whether the value is a plain integer."""
        return self.constant is not None

    def __int__(self) -> int:
        if self.constant is None:
            raise DimError(f"`{self}` is not known yet")
        if _witness is not None:
            _tell("int", self, self)
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
        return _both(self, dim(other), _add)

    def __radd__(self, other: Size) -> Dim:
        return dim(other) + self

    def __neg__(self) -> Dim:
        return _both(self, MINUS_ONE, _multiply)

    def __sub__(self, other: Size) -> Dim:
        return self + -dim(other)

    def __rsub__(self, other: Size) -> Dim:
        return dim(other) + -self

    def __mul__(self, other: Size) -> Dim:
        return _both(self, dim(other), _multiply)

    def __rmul__(self, other: Size) -> Dim:
        return dim(other) * self

    def __floordiv__(self, other: Size) -> Dim:
        return _both(self, dim(other), _floor_divide)

    def __rfloordiv__(self, other: Size) -> Dim:
        return dim(other) // self

    def __mod__(self, other: Size) -> Dim:
        return _both(self, dim(other), _remainder)

    def __rmod__(self, other: Size) -> Dim:
        return dim(other) % self

    def __pow__(self, other: Size) -> Dim:
        return _both(self, dim(other), _power)

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
        """Every atom, the ones inside other atoms too."""
        for monomial, _ in self.terms:
            for atom, _ in monomial:
                yield atom
                for argument in atom.arguments:
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
        result = _substitute(self, replace)
        return result if self._generic is None else result.named(self._generic)

    def at(self, values: Mapping[str, Size]) -> Dim:
        """The value with symbols (by name) replaced by sizes."""

        def replace(atom: Atom) -> Dim | None:
            if atom.kind != "symbol" or atom.symbol not in values:
                return None
            value = dim(values[atom.symbol])
            if atom.scale == 1:
                return value
            if value.is_constant and int(value) % atom.scale:
                message = (
                    f"{atom.symbol} must divide by {atom.scale}, and {value} does not"
                )
                raise DimError(message)
            return value // atom.scale

        return self.substitute(replace)


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


def symbol(name: str, scale: int = 1) -> Dim:
    """A named size of at least 1, known to be a multiple of `scale`."""
    atom = Atom("symbol", symbol=name, scale=scale)
    return _of_atom(atom) * scale if scale != 1 else _of_atom(atom)


def polynomial(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    """The sum of monomials (factors in the order of their keys), each with its coefficient."""
    table: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        table[monomial] = table.get(monomial, 0) + coefficient
    return _of_terms(table)


def opaque(value: Opaque) -> Dim:
    """The integer that an expression of the spec stands for."""
    return _of_atom(Atom("opaque", opaque=value))


def minimum(*values: Size) -> Dim:
    """The least of several sizes."""
    return _extreme("min", values, min)


def maximum(*values: Size) -> Dim:
    """The greatest of several sizes."""
    return _extreme("max", values, max)


def product(values: Iterable[Size]) -> Dim:
    """The product of several sizes; 1 for none."""
    result = ONE
    for value in values:
        result = result * value
    return result


def total(values: Iterable[Size]) -> Dim:
    """The sum of several sizes; 0 for none."""
    result = ZERO
    for value in values:
        result = result + value
    return result


# ---- comparisons, and who watches them ------------------------------------------------------------

Witness: TypeAlias = "Callable[[str, Dim, Dim], None]"
_witness: Witness | None = None
_REVERSED = {"<": ">=", ">": "<="}


@contextmanager
def witnessed(witness: Witness) -> Generator[None]:
    """Tells `witness` of every comparison made inside, as it turned out, and of every conversion (`int`).

    Rules of operators compare values; this is how their twins learn what that hangs on.
    """
    global _witness
    outer, _witness = _witness, witness
    try:
        yield
    finally:
        _witness = outer


def _tell(sign: str, left: Dim, right: Dim) -> None:
    """Tells the witness, whose own comparisons nobody is told of."""
    global _witness
    witness, _witness = _witness, None
    assert witness is not None
    try:
        witness(sign, left, right)
    finally:
        _witness = witness


def _same(left: Dim, right: Dim) -> bool:
    if left.constant is not None or right.constant is not None:
        return left.constant == right.constant
    return left.key == right.key


def _ordered(sign: str, left: Dim, right: Dim) -> bool:
    for side in (left, right):
        if side.constant is None:
            raise DimError(f"`{side}` is not known yet")
    assert left.constant is not None
    assert right.constant is not None
    below = left.constant < right.constant
    holds = below if sign == "<" else left.constant > right.constant
    if _witness is not None:
        _tell(sign if holds else _REVERSED[sign], left, right)
    return holds


# ---- the arithmetic of values (twins are added by `_both`) ---------------------------------------


def _both(left: Dim, right: Dim, operation: Callable[[Dim, Dim], Dim]) -> Dim:
    result = operation(left, right)
    # The twins live in slots of this very class; asking for `generic` would hide whether there is one.
    left_twin, right_twin = left._generic, right._generic  # pyright: ignore[reportPrivateUsage]
    if left_twin is None and right_twin is None:
        return result
    return result.named(
        operation(
            left if left_twin is None else left_twin,
            right if right_twin is None else right_twin,
        )
    )


def _of_atom(atom: Atom) -> Dim:
    return Dim(((((atom, 1),), 1),), None)


def _of_terms(table: dict[Monomial, int]) -> Dim:
    terms = [(m, c) for m, c in table.items() if c]
    if not terms:
        return ZERO
    if len(terms) == 1 and not terms[0][0]:
        return dim(terms[0][1])
    if len(terms) > MOST_TERMS:
        raise DimTooLarge(f"this size is a sum of more than {MOST_TERMS} terms")
    terms.sort(key=_term_order)
    if max(abs(c).bit_length() for _, c in terms) > MOST_BITS:
        raise DimTooLarge(f"this size has coefficients of more than {MOST_BITS} bits")
    return Dim(tuple(terms), None)


def _term_order(term: tuple[Monomial, int]) -> tuple[int, list[tuple[str, int]]]:
    monomial, _ = term
    return (-sum(p for _, p in monomial), [(a.key, -p) for a, p in monomial])


def _table(value: Dim) -> dict[Monomial, int]:
    if value.constant is not None:
        return {(): value.constant}
    return dict(value.terms)


def _add(left: Dim, right: Dim) -> Dim:
    if left.constant is not None and right.constant is not None:
        return dim(left.constant + right.constant)
    if left.constant == 0:
        return right.value
    if right.constant == 0:
        return left.value
    table = _table(left)
    for monomial, coefficient in _table(right).items():
        table[monomial] = table.get(monomial, 0) + coefficient
    return _of_terms(table)


def _multiply(left: Dim, right: Dim) -> Dim:
    if left.constant is not None and right.constant is not None:
        return dim(left.constant * right.constant)
    if left.constant == 1:
        return right.value
    if right.constant == 1:
        return left.value
    left_table, right_table = _table(left), _table(right)
    if len(left_table) * len(right_table) > 4 * MOST_TERMS:
        raise DimTooLarge(f"this size is a sum of more than {MOST_TERMS} terms")
    table: dict[Monomial, int] = {}
    for one, c in left_table.items():
        for other, d in right_table.items():
            monomial = _join(one, other)
            table[monomial] = table.get(monomial, 0) + c * d
    return _of_terms(table)


def _join(one: Monomial, other: Monomial) -> Monomial:
    if not one:
        return other
    if not other:
        return one
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(
        sorted(((a, p) for a, p in powers.items() if p), key=lambda x: x[0].key)
    )


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
    quotient, rest = _split(left, right)
    if rest.constant == 0:
        return quotient
    if right.constant is not None and rest.constant is not None:
        return quotient + rest.constant // right.constant
    inner = _single_atom(rest)
    if inner is not None and inner.kind == "//" and right.constant is not None:
        # (a // b) // c is a // (b * c) where c is positive, as it is here.
        below = inner.arguments[1] * right
        return quotient + _floor_divide(inner.arguments[0], below)
    divisor = _shared(rest, right)
    if divisor > 1:
        rest, right = _exact(rest, divisor), _exact(right, divisor)
    return quotient + _of_atom(Atom("//", (rest.value, right.value)))


def _remainder(left: Dim, right: Dim) -> Dim:
    if right.constant == 0:
        raise DimError(f"`{left} % 0` has no value")
    if left.constant is not None and right.constant is not None:
        return dim(left.constant % right.constant)
    if right.constant in (1, -1) or _same(left, right):
        return ZERO
    _, rest = _split(left, right)
    if rest.constant == 0:
        return ZERO
    if right.constant is not None and rest.constant is not None:
        return dim(rest.constant % right.constant)
    return _of_atom(Atom("%", (rest.value, right.value)))


def _split(left: Dim, right: Dim) -> tuple[Dim, Dim]:
    """`left` as quotient * right + rest, taking out every term that divides exactly."""
    quotient: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    right_table = _table(right)
    if len(right_table) != 1:
        return ZERO, left
    ((divisor, factor),) = right_table.items()
    for monomial, coefficient in _table(left).items():
        lower = _divide_monomial(monomial, divisor)
        if lower is None:
            rest[monomial] = coefficient
            continue
        # A constant keeps its remainder; a symbolic term is only taken out where it divides.
        whole = (
            coefficient // factor if not monomial or coefficient % factor == 0 else 0
        )
        quotient[lower] = quotient.get(lower, 0) + whole
        if coefficient - whole * factor:
            rest[monomial] = coefficient - whole * factor
    return _of_terms(quotient), _of_terms(rest)


def _divide_monomial(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    powers = dict(monomial)
    for atom, power in divisor:
        if powers.get(atom, 0) < power:
            return None
        powers[atom] -= power
    return tuple((a, p) for a, p in powers.items() if p)


def _single_atom(value: Dim) -> Atom | None:
    if len(value.terms) != 1:
        return None
    (monomial, coefficient) = value.terms[0]
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    return monomial[0][0]


def _shared(left: Dim, right: Dim) -> int:
    """The greatest integer that divides every coefficient of both."""
    return gcd(*_table(left).values(), *_table(right).values())


def _exact(value: Dim, divisor: int) -> Dim:
    return _of_terms({m: c // divisor for m, c in _table(value).items()})


def _power(left: Dim, right: Dim) -> Dim:
    if right.constant is not None:
        if right.constant < 0:
            raise DimError(f"`{left} ^ {right}` is not an integer")
        if left.constant is not None:
            return dim(_bounded_power(left.constant, right.constant))
        if right.constant > 16:
            raise DimError("a symbol may be raised to the 16th power at most")
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


def _substitute(value: Dim, replace: Replace) -> Dim:
    result = ZERO
    for monomial, coefficient in value.terms:
        factor = dim(coefficient)
        for atom, power in monomial:
            factor = _multiply(factor, _power(_replaced(atom, replace), dim(power)))
        result = _add(result, factor)
    return result


def _replaced(atom: Atom, replace: Replace) -> Dim:
    found = replace(atom)
    if found is not None:
        return found.value
    if atom.opaque is not None:
        return atom.opaque.substitute(replace)
    if not atom.arguments:
        return _of_atom(atom)
    arguments = [_substitute_any(a, replace) for a in atom.arguments]
    match atom.kind:
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


def _substitute_any(value: Dim, replace: Replace) -> Dim:
    return value if value.constant is not None else _substitute(value, replace)


# ---- for people -----------------------------------------------------------------------------------

_SUM, _PRODUCT, _ATOM = 0, 1, 2


def show(value: Dim) -> str:
    """The value as a person would write it in a spec: `4 * width`, `H // 2`, `T^2`."""
    return _show(value, _SUM)


def _show(value: Dim, level: int) -> str:
    if value.constant is not None:
        return (
            str(value.constant)
            if value.constant >= 0 or level == _SUM
            else f"({value.constant})"
        )
    parts = [_show_term(monomial, coefficient) for monomial, coefficient in value.terms]
    if parts[0][0].startswith("-"):  # `3 - T` rather than `-T + 3`
        parts.sort(key=lambda part: part[0].startswith("-"))
    text, kind = parts[0]
    for part, _ in parts[1:]:
        text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    if len(parts) > 1:
        kind = _SUM
    return (
        f"({text})" if kind < level or (level > _SUM and text.startswith("-")) else text
    )


def _show_term(monomial: Monomial, coefficient: int) -> tuple[str, int]:
    if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
        return _show_atom(monomial[0][0])
    factors = [_show_power(atom, power) for atom, power in monomial]
    # A multiple of a scaled symbol reads as a quotient or a multiple of the symbol itself.
    scaled = next(
        (i for i, (a, p) in enumerate(monomial) if a.scale > 1 and p == 1), None
    )
    size = abs(coefficient)
    if scaled is not None:
        atom = monomial[scaled][0]
        if size % atom.scale == 0:
            factors[scaled], size = _name(atom), size // atom.scale
        elif atom.scale % size == 0:
            factors[scaled], size = f"({_name(atom)} // {atom.scale // size})", 1
    if size != 1 or not factors:
        factors.insert(0, str(size))
    text = " * ".join(factors)
    if coefficient < 0:
        return f"-{text}", _PRODUCT
    if len(factors) > 1:
        return text, _PRODUCT
    if scaled is not None and text.startswith("(") and text.endswith(")"):
        return text[1:-1], _PRODUCT
    return text, _ATOM


def _show_power(atom: Atom, power: int) -> str:
    text, kind = _show_atom(atom)
    if power == 1:
        return text if kind == _ATOM else f"({text})"
    plain = atom.kind == "symbol" and atom.scale == 1
    return f"{text}^{power}" if plain else f"({text})^{power}"


def _show_atom(atom: Atom) -> tuple[str, int]:
    if atom.kind == "symbol":
        if atom.scale == 1:
            return _name(atom), _ATOM
        return f"{_name(atom)} // {atom.scale}", _PRODUCT
    if atom.opaque is not None:
        return atom.opaque.key, _ATOM
    if atom.kind in ("//", "%"):
        left, right = atom.arguments
        return f"{_show(left, _PRODUCT)} {atom.kind} {_show(right, _ATOM)}", _PRODUCT
    if atom.kind == "^":
        base, exponent = atom.arguments
        # The sign of power binds to the right, so a power in its base needs parentheses.
        below = _show(base, _ATOM)
        below = f"({below})" if "^" in below and not below.startswith("(") else below
        return f"{below}^{_show(exponent, _ATOM)}", _ATOM
    return f"{atom.kind}({', '.join(_show(a, _SUM) for a in atom.arguments)})", _ATOM


def _name(atom: Atom) -> str:
    """A symbol without the number that tells loops apart."""
    return atom.symbol.split("@")[0]
