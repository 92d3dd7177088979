"""Single checks of a proof: what was compared, and what is said where it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite

from nnspec.verify.compare import worst
from nnspec.verify.exchange import Array, Described
from nnspec.verify.intermediates import Difference
from nnspec.verify.parties import Party
from nnspec.verify.report import Check


def intermediates(
    name: str, keras: Party, where: str, apart: Sequence[Difference], allowed: float
) -> Check:
    """The verdict on values on the way; the first that differs is named."""
    measured = max((difference.error for difference in apart), default=0.0)
    first = first_apart(apart, allowed)
    detail = f"first in {first.told()}" if first is not None else ""
    return Check(name, keras.title, where, measured, allowed, detail, len(apart))


def first_apart(apart: Sequence[Difference], allowed: float) -> Difference | None:
    """The first value that differs."""
    return next((d for d in apart if not d.error <= allowed), None)


def named(
    name: str,
    keras: Party,
    where: str,
    wanted: Mapping[str, Array],
    found: Mapping[str, Array],
    allowed: float,
) -> Check:
    """The verdict on tensors by name; the worst is named."""
    if wanted.keys() != found.keys():
        odd = ", ".join(f"`{key}`" for key in sorted(wanted.keys() ^ found.keys())[:8])
        return Check(
            name, keras.title, where, inf, allowed, f"only one program has {odd}"
        )
    measured, owner = worst(found, wanted)
    detail = "" if measured <= allowed else apart_by(f"`{owner}`", measured)
    return Check(name, keras.title, where, measured, allowed, detail)


def apart_by(name: str, measured: float) -> str:
    """How far something is apart, in words."""
    if isfinite(measured):
        return f"{name} differs by {measured:.1e}"
    return f"{name} differs in its shape, its kind of element, or in where it is finite"


def weight_faults(party: Party, tensors: Mapping[str, Described]) -> str:
    """What is wrong with the tensors that a built model holds."""
    faults = [f"`{name}` is missing" for name in party.expected if name not in tensors]
    faults += [
        f"`{name}` is not in the spec" for name in tensors if name not in party.expected
    ]
    for name, wanted in party.expected.items():
        found = tensors.get(name)
        if found is None or found == wanted:
            continue
        if found.shape != wanted.shape:
            faults.append(
                f"`{name}` is {list(found.shape)} instead of {list(wanted.shape)}"
            )
        else:
            faults.append(
                f"`{name}` is {'trained' if found.trained else 'not trained'}"
            )
    return "; ".join(faults[:8])


def yes_or_no(name: str, keras: Party, where: str, fault: str, party: Party) -> Check:
    """A check without a figure."""
    detail = f"{party.title}: {fault}" if fault else ""
    return Check(name, keras.title, where, inf if fault else 0.0, 0.0, detail)
