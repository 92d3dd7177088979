"""Sizes as a person would write them in a spec: `4 * width`, `H // 2`, `T^2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnspec.ir.dims.atoms import Atom, Monomial

if TYPE_CHECKING:
    from nnspec.ir.dims.integers import Dim

# What a text is, outermost: decides where it needs parentheses.
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
