"""The one expression that has the right value in every trace: a size, a constant, a condition.

Where traces differ, an expression in the spec's own names is sought that explains the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnspec.ir import dims, graph
from nnspec.ir.dims import Atom, Dim, Replace, dim, symbol
from nnspec.ir.terms import Term, Traced
from nnspec.ir.types import TensorType
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.lowering import RunTimeSize
from nnspec.targets.merging.candidates import (
    as_literal,
    distinct,
    equal,
    folded,
    is_literal,
    literal_terms,
    names_turns,
    same_constant,
    size_fits,
    spells,
    spells_size,
    term_fits,
)
from nnspec.targets.merging.divisions import whole, with_twin
from nnspec.targets.merging.traces import (
    Track,
    Unlike,
)
from nnspec.targets.spelling import (
    NoValue,
    term_at,
)


class Agreement:
    """Finds expressions on which traces agree; `plain` prefers numbers to names."""

    def __init__(self, *, plain: bool) -> None:
        self._plain = plain
        # Names from which the spec computed what stands as a number now.
        self.unsaid: set[str] = set()
        # Names that decide which ways calls go; the relied ones have to be what they are.
        self.deciding: set[str] = set()
        self.relied: set[str] = set()

    def expression(self, tracks: Sequence[Track], found: Sequence[Expr]) -> Expr:
        """One expression that has the right value in every trace. Raises `Unlike`."""
        first = found[0]
        if isinstance(first, tree.Size) or any(isinstance(e, tree.Size) for e in found):
            return self._size_expression(tracks, found)
        if isinstance(first, tree.Constant) or any(
            isinstance(e, tree.Constant) for e in found
        ):
            return self._constant_expression(tracks, found)
        if any(type(e) is not type(first) for e in found):
            raise Unlike
        if isinstance(first, RunTimeSize):
            return self._run_time_size(tracks, found)
        columns = [e.children for e in found]
        if len({len(column) for column in columns}) > 1:
            raise Unlike
        if not columns[0]:
            if any(e != first for e in found):
                raise Unlike
            return first
        children = [
            self.expression(tracks, [column[i] for column in columns])
            for i in range(len(columns[0]))
        ]
        result = first.rebuilt(children)
        if len(found) > 1 and any(e.rebuilt(children) != result for e in found[1:]):
            raise Unlike
        return result

    def _run_time_size(self, tracks: Sequence[Track], found: Sequence[Expr]) -> Expr:
        """A size that is asked of the tensor where it has no common name."""
        sizes = [e.dim for e in found if isinstance(e, RunTimeSize)]
        tensors = [e.input for e in found if isinstance(e, RunTimeSize)]
        axes = {e.axis for e in found if isinstance(e, RunTimeSize)}
        if len(axes) > 1:
            raise Unlike
        try:
            size = self.size(tracks, sizes)
        except Unlike:
            size = symbol("?")
        return RunTimeSize(size, self.expression(tracks, tensors), axes.pop())

    def _size_expression(self, tracks: Sequence[Track], found: Sequence[Expr]) -> Expr:
        sizes: list[Dim] = []
        for expression in found:
            if isinstance(expression, tree.Size):
                sizes.append(expression.dim)
            elif isinstance(expression, tree.Literal) and type(expression.value) is int:
                sizes.append(dim(expression.value))
            else:
                raise Unlike
        return tree.Size(self.size(tracks, sizes))

    def size(self, tracks: Sequence[Track], sizes: Sequence[Dim]) -> Dim:
        """A size whose twin has the right value in every trace."""
        settled = [
            local(track, size) for track, size in zip(tracks, sizes, strict=True)
        ]
        twins = distinct([size.generic for size in settled])
        constant = same_constant(sizes)
        if self._plain and constant is not None and constant.is_constant:
            self.unsaid |= _mentioned(Term("dim", (twin,)) for twin in twins)
            return constant
        for twin in twins:
            if twin.is_constant or not spells_size(twin):
                continue
            if size_fits(tracks, twin, sizes):
                return with_twin(sizes[0], twin)
        if constant is not None and (constant.is_constant or not names_turns(constant)):
            self.unsaid |= _mentioned(Term("dim", (twin,)) for twin in twins)
            return constant
        raise Unlike

    def _constant_expression(
        self, tracks: Sequence[Track], found: Sequence[Expr]
    ) -> Expr:
        values: list[Any] = []
        terms: list[Term] = []
        for track, expression in zip(tracks, found, strict=True):
            if isinstance(expression, tree.Constant):
                values.append(expression.traced.value)
                if expression.traced.term is not None:
                    terms.append(localised(track, expression.traced.term))
            elif isinstance(expression, tree.Literal):
                values.append(expression.value)
            else:
                raise Unlike
        alike = all(equal(value, values[0]) for value in values[1:])
        if self._plain and alike and is_literal(values[0]):
            self.unsaid |= _mentioned(terms)
            return as_literal(values[0])
        for candidate in distinct(terms):
            if not spells(candidate):
                continue
            if len(tracks) == 1 or _all_say(candidate, terms, found):
                return tree.Constant(Traced(values[0], candidate))
            if term_fits(tracks, candidate, values):
                return tree.Constant(Traced(values[0], candidate))
        if alike:
            self.unsaid |= _mentioned(terms)
            return as_literal(values[0])
        raise Unlike

    def type(self, tracks: Sequence[Track], types: Sequence[TensorType]) -> TensorType:
        """A type for people: sizes in the spec's names where the traces agree on one."""
        shape: list[Dim] = []
        unsaid = set(self.unsaid)
        for axis in range(types[0].rank):
            try:
                shape.append(self.size(tracks, [kind.shape[axis] for kind in types]))
            except Unlike:
                shape.append(symbol("_"))
        self.unsaid = unsaid  # it computes nothing
        return TensorType(tuple(shape), types[0].dtype)

    def condition(self, tracks: list[Track], conditions: list[Term]) -> Expr:
        wanted = [
            bool(value)
            for value in (_value(t, c) for t, c in zip(tracks, conditions, strict=True))
        ]
        for candidate in distinct(conditions):
            if term_fits(tracks, candidate, wanted) and spells(candidate):
                return tree.Constant(Traced(None, localised(tracks[0], candidate)))
        raise Unlike


def _all_say(candidate: Term, terms: list[Term], found: Sequence[Expr]) -> bool:
    """Whether each of the expressions comes from a term, and all of these are that one."""
    return len(terms) == len(found) and all(
        term.comparable and term.key == candidate.key for term in terms
    )


def _mentioned(terms: Iterable[Term]) -> set[str]:
    return {name for term in terms for name in term.mentioned()}


def local(track: Track, size: Dim) -> Dim:
    """A size in the names that exist in emitted code at this place."""
    settled = whole(track.function.settling.of(size), track.divisions)
    return known_by(settled, track.constants)


def known_by(size: Dim, constants: Mapping[str, Any]) -> Dim:
    """A size whose twin has these constants in the place of their names."""
    if not constants:
        return size

    def replace(atom: Atom) -> Dim | None:
        if atom.kind == "symbol" and atom.symbol in constants:
            found = constants[atom.symbol]
            if isinstance(found, Dim):
                return found.generic
        return _opaque_at(constants, atom, replace)

    return with_twin(size.value, size.generic.substitute(replace))


def local_type(track: Track, value: int) -> TensorType:
    """The type of a value, its sizes in the names that exist in emitted code at this place."""
    kind = track.type(value)
    return TensorType(tuple(local(track, size) for size in kind.shape), kind.dtype)


def _opaque_at(
    constants: Mapping[str, Any], atom: Atom, replace: Replace
) -> Dim | None:
    """What a term inside of a size says where names are constants; None for any other atom."""
    if not isinstance(atom.opaque, Term):
        return None
    term = atom.opaque.replaced(replace, literal_terms(constants))
    return folded(term) or dims.opaque(term)


def localised(track: Track, term: Term) -> Term:
    """A term in the names that exist in emitted code at this place."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind != "symbol":
            return _opaque_at(track.constants, atom, replace)
        known = track.function.running.get(atom.symbol)
        if known is not None and known.constant:
            return known.initial.substitute(replace)
        found = track.constants.get(atom.symbol)
        return found.generic if isinstance(found, Dim) else None

    return term.replaced(replace, literal_terms(track.constants))


def _value(track: Track, term: Term) -> Any:
    try:
        return term_at(term, track.meanings)
    except NoValue:
        raise Unlike from None


def settle_types(track: Track, body: tuple[graph.Item, ...]) -> None:
    """What a turn has made is known by names of outside: the next turn's mean other values."""
    for number in graph.nodes_in(body):
        for value in track.function.nodes[number].outputs:
            track.types[value] = local_type(track, value)
