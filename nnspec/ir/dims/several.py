"""What several sizes make: their sum and product, and the least and the greatest of them.

These are one of the sizes where that is certain, else a new atom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nnspec.ir.dims.atoms import Atom
from nnspec.ir.dims.integers import ONE, ZERO, Dim, Size, dim, of_atom
from nnspec.ir.dims.polynomials import single_atom


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


def minimum(*values: Size) -> Dim:
    """The least of several sizes."""
    return _extreme("min", values, min)


def maximum(*values: Size) -> Dim:
    """The greatest of several sizes."""
    return _extreme("max", values, max)


def _extreme(kind: str, values: Iterable[Size], choose: Callable[..., int]) -> Dim:
    dims = [dim(value) for value in values]
    result = extreme_of(kind, [d.value for d in dims], choose, positive=True)
    if any(d.generic is not d for d in dims):
        return result.named(extreme_of(kind, [d.generic for d in dims], choose))
    return result


def extreme_of(
    kind: str, values: list[Dim], choose: Callable[..., int], *, positive: bool = False
) -> Dim:
    """The least or greatest; `positive` where every symbol is a size, and so at least 1.

    The names in a generic twin are constants of the spec as well, and those may be anything.
    """
    flat: dict[str, Dim] = {}
    constants: list[int] = []
    for value in values:
        atom = single_atom(value.terms)
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
    return of_atom(Atom(kind, tuple(flat[key] for key in sorted(flat))))


def _single_symbol(value: Dim) -> bool:
    atom = single_atom(value.terms)
    return atom is not None and atom.kind == "symbol"
