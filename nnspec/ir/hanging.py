"""What sizes hang on that cannot be said as expressions: all constants and sizes that what loops did may have come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from nnspec.ir.dims import Atom, Dim, opaque, symbol
from nnspec.ir.graph import Branch, Function, Loop, values_of, walk
from nnspec.ir.terms import Term, literal

NAME = "hanging"


def hanging(identity: str, terms: Iterable[Term]) -> Dim:
    """A size that nothing says, with what it hangs on; equal only to one of the same `identity` and for equal terms.

    Nothing can be written or computed for it: what is emitted of it is its number, and holds for that of its reasons.
    """
    # Sizes hang on others that hang on others: what they say must not grow with each.
    digest = sha256(identity.encode())
    named: dict[str, Term] = {}
    for term in terms:
        digest.update(term.key.encode())
        named.update((name, Term("name", (name,))) for name in term.names())
        for atom in term.atoms():
            if atom.kind == "symbol":
                named[atom.symbol] = Term("dim", (symbol(atom.symbol),))
    known = [named[name] for name in sorted(named)]
    return opaque(Term("call", (NAME, literal(digest.hexdigest()), *known)))


def is_hanging(atom: Atom) -> bool:
    """Whether an atom is such a size."""
    return isinstance(atom.opaque, Term) and atom.opaque.arguments[:1] == (NAME,)


def reasons(function: Function, names: Iterable[str]) -> set[str]:
    """The constants and sizes of inputs that these names of a function may hang on."""
    own = set(_own_names(function))
    found: set[str] = set()
    waiting = list(names)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in own:
            found.add(name)
        elif "@" in name:
            behind = _behind(function, name)
            if behind is None:
                return own
            waiting.extend(behind)
    return found


def _own_names(function: Function) -> Iterator[str]:
    for parameter in function.parameters:
        yield parameter.name
    yield from function.dims
    for number in values_of(function.inputs):
        for size in function.types[number].shape:
            yield from size.generic.symbols()


def _behind(function: Function, name: str) -> set[str] | None:
    """The names that a name of a loop hangs on; None where it is not known."""
    plain, _, number = name.rpartition("@")
    loops = function.loops.get(int(number)) if number.isdecimal() else None
    if not loops:
        return None
    found: set[str] = set()
    for loop in loops:
        if loop.iterable is None:
            return None  # it goes through a list of tensors or layers
        if name in loop.variables:
            found |= loop.iterable.mentioned()
            continue
        sizes = _history(function, loop, *plain.partition(".")[::2])
        if sizes is None:
            return None
        for size in sizes:
            found |= Term("dim", (size.generic,)).mentioned()
        for item in walk([loop]):
            if isinstance(item, Branch):
                found |= item.condition.mentioned()
            elif isinstance(item, Loop):
                if item.iterable is None:
                    return None
                found |= item.iterable.mentioned()
    return found


def _history(
    function: Function, loop: Loop, name: str, axis: str
) -> Sequence[Dim] | None:
    """What a size that a loop carries is before each turn, and behind the last; without an axis, an integer."""
    if not axis:
        return loop.constants.get(name)
    values = loop.carried.get(name)
    if values is None:
        return None
    shapes = [function.types[value].shape for value in values]
    return [shape[int(axis)] for shape in shapes if int(axis) < len(shape)]
