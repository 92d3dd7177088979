"""Sizes as a person would write them in a spec: `4 * width`, `H // 2`, `T^2`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from nnspec.ir.dims.atoms import MOST_NESTED, Atom, Monomial
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.ir.dims.integers import Dim

# What a text is, outermost: decides where it needs parentheses.
_SUM, _PRODUCT, _ATOM = 0, 1, 2


def show(value: Dim) -> str:
    """The value as a person would write it in a spec: `4 * width`, `H // 2`, `T^2`."""
    return _show(value, _SUM, Turns.of(value))


def names_of_turns(taken: Collection[str]) -> tuple[str, ...]:
    """Names for the turns of loops in one another, the outermost first, which nothing else has."""
    letters = chain("ijklmn", (f"i{place}" for place in count(2)))
    free = (name for name in letters if name not in taken)
    return tuple(islice(free, MOST_NESTED))


@dataclass(frozen=True)
class Turns:
    """What bound symbols are called in a text, and names for those further inside."""

    names: Mapping[str, str]
    free: tuple[str, ...]

    @staticmethod
    def of(value: Dim) -> Turns:
        """Names for all bound symbols in a value, none of which another symbol has."""
        if not any(atom.bound for atom in value.atoms()):
            return _NONE
        taken = {plain_name(symbol) for symbol in value.symbols()}
        return Turns({}, names_of_turns(taken))

    def inside(self, bound: str) -> Turns:
        """The names in a maximum or sum that binds a symbol."""
        return Turns({**self.names, bound: self.free[0]}, self.free[1:])


_NONE = Turns({}, ())


def _show(value: Dim, level: int, turns: Turns) -> str:
    if value.constant is not None:
        return (
            str(value.constant)
            if value.constant >= 0 or level == _SUM
            else f"({value.constant})"
        )
    parts = [
        _show_term(monomial, coefficient, turns)
        for monomial, coefficient in value.terms
    ]
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


def _show_term(monomial: Monomial, coefficient: int, turns: Turns) -> tuple[str, int]:
    if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
        return _show_atom(monomial[0][0], turns)
    factors = [_show_power(atom, power, turns) for atom, power in monomial]
    # A multiple of a scaled symbol reads as a quotient or a multiple of the symbol itself.
    scaled = next(
        (i for i, (a, p) in enumerate(monomial) if a.scale > 1 and p == 1), None
    )
    size = abs(coefficient)
    if scaled is not None:
        atom = monomial[scaled][0]
        if size % atom.scale == 0:
            factors[scaled], size = _name(atom, turns), size // atom.scale
        elif atom.scale % size == 0:
            factors[scaled], size = f"({_name(atom, turns)} // {atom.scale // size})", 1
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


def _show_power(atom: Atom, power: int, turns: Turns) -> str:
    text, kind = _show_atom(atom, turns)
    if power == 1:
        return text if kind == _ATOM else f"({text})"
    plain = atom.kind == "symbol" and atom.scale == 1
    return f"{text}^{power}" if plain else f"({text})^{power}"


def _show_atom(atom: Atom, turns: Turns) -> tuple[str, int]:
    if atom.kind == "symbol":
        if atom.scale == 1:
            return _name(atom, turns), _ATOM
        return f"{_name(atom, turns)} // {atom.scale}", _PRODUCT
    if atom.opaque is not None:
        return atom.opaque.key, _ATOM
    if atom.kind in ("//", "%"):
        left, right = atom.arguments
        return (
            f"{_show(left, _PRODUCT, turns)} {atom.kind} {_show(right, _ATOM, turns)}",
            _PRODUCT,
        )
    if atom.kind == "^":
        base, exponent = atom.arguments
        # The sign of power binds to the right, so a power in its base needs parentheses.
        below = _show(base, _ATOM, turns)
        below = f"({below})" if "^" in below and not below.startswith("(") else below
        return f"{below}^{_show(exponent, _ATOM, turns)}", _ATOM
    if atom.bound:
        return _show_turns(atom, turns), _ATOM
    return (
        f"{atom.kind}({', '.join(_show(a, _SUM, turns) for a in atom.arguments)})",
        _ATOM,
    )


def _show_turns(atom: Atom, turns: Turns) -> str:
    """`max(4 * 2^i for i in 1..depth - 2)`"""
    value, first, stop = atom.arguments
    inside = turns.inside(atom.bound)
    every = f"{_show(first, _SUM, turns)}..{_show(stop - 1, _SUM, turns)}"
    what = _show(value, _SUM, inside)
    kind = "max" if atom.kind == "greatest" else atom.kind
    return f"{kind}({what} for {inside.names[atom.bound]} in {every})"


def _name(atom: Atom, turns: Turns) -> str:
    """A symbol without the number that tells loops apart."""
    return turns.names.get(atom.symbol) or plain_name(atom.symbol)


def plain_name(symbol: str) -> str:
    """The name of a symbol without the number that tells loops apart."""
    return symbol.split("@")[0]
