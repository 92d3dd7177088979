"""Laying traces together: what the specialisations of a block, and the turns of a loop, have in common.

Every trace comes from the same statements, so they are aligned by position. Where constants differ, an
expression in the spec's own names is sought that has the right value in each (`4 * width`); an `if` that
went both ways becomes an `if`; a loop whose turns are alike becomes a loop. What cannot be laid together
raises `Unlike`, and its places are emitted apart.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import nnspec.targets.merged as merged
from nnspec.ir import graph
from nnspec.ir.dims import Dim, DimError
from nnspec.ir.forks import makes_layers
from nnspec.ir.hanging import reasons
from nnspec.ir.terms import Term, Traced
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.contents import names_in
from nnspec.targets.merging.agreement import (
    Agreement,
    local,
    local_type,
    localised,
    settle_types,
)
from nnspec.targets.merging.ahead import made_ahead, made_on_ways
from nnspec.targets.merging.candidates import (
    common_type,
    one_value,
    spells,
)
from nnspec.targets.merging.joiner import Joiner
from nnspec.targets.merging.places import note_marks, require_lists
from nnspec.targets.merging.rolling import require_appended, rolls
from nnspec.targets.merging.steps import Lower, StepMerger
from nnspec.targets.merging.traces import (
    Arm,
    Track,
    Unlike,
    all_boxed,
    constants_at,
    enter,
    fix_running,
    leave,
    put_back,
    require_entries,
    require_updates,
    state_of,
)
from nnspec.targets.plan import meanings


class Merger:
    """Merges the traces of one block into one body."""

    def __init__(
        self, lower: Lower, *, rolls: bool = True, plain: bool = False
    ) -> None:
        # Where sizes and constants are plain numbers, they always have an expression.
        self._agreement = Agreement(plain=plain)
        self._is_plain = plain
        self._may_roll = rolls
        self._written_out: set[int] = set()
        self._joiner = Joiner()
        self._steps = StepMerger(lower, self._agreement, self._joiner)
        # Constants that decide what had to be written out, such as how often a loop turns.
        self.fixed: set[str] = set()
        self._everyone: tuple[Track, ...] = ()

    def body(self, tracks: Sequence[Track]) -> list[merged.Item]:
        """The common body of whole functions. Raises `Unlike`."""
        self._everyone = tuple(tracks)
        found = self.items([(track, track.function.structure) for track in tracks])
        require_lists(found)
        note_marks(found)
        unsaid = _known_names(tracks, self._agreement.unsaid)
        self.fixed |= {name for name in unsaid if one_value(tracks, name)}
        self._fix(_known_names(tracks, self._agreement.relied))
        return found

    @property
    def deciding(self) -> frozenset[str]:
        """The names that decide which ways calls go."""
        return frozenset(_known_names(self._everyone, self._agreement.deciding))

    def items(
        self, traces: Sequence[tuple[Track, tuple[graph.Item, ...]]]
    ) -> list[merged.Item]:
        """The common items of several traces."""
        result: list[merged.Item] = []
        place = 0
        while True:
            live = [
                (t, items) for t, items in traces if not t.ended and place < len(items)
            ]
            waiting = [t for t, items in traces if not t.ended and place >= len(items)]
            if not live:
                return result
            if waiting:
                raise Unlike
            current = [(track, items[place]) for track, items in live]
            if len({type(item) for _, item in current}) > 1:
                raise Unlike
            found = self._one(current)
            result.extend(self._joiner.guards())
            result.extend(found)
            place += 1

    def _one(self, current: list[tuple[Track, Any]]) -> list[merged.Item]:
        match current[0][1]:
            case graph.Step():
                return [
                    self._steps.merged(
                        [(t, t.function.nodes[item.node]) for t, item in current]
                    )
                ]
            case graph.Binding():
                return [self._bind(current)]
            case graph.Branch():
                return self._branch(current)
            case graph.Loop():
                return self._loop(current)
            case graph.Requirement():
                return [self._requirement(current)]
            case _:
                return [self._result(current)]

    # ---- names, conditions, results ----

    def _bind(self, current: list[tuple[Track, graph.Binding]]) -> merged.Item:
        name = current[0][1].name
        if any(item.name != name for _, item in current):
            raise Unlike
        reference = self._joiner.reference(
            [(track, item.value) for track, item in current]
        )
        if reference.name is None:
            reference.name = name
        for track, _ in current:
            track.names[name] = reference
        return merged.Bind(name, reference)

    def _branch(self, current: list[tuple[Track, graph.Branch]]) -> list[merged.Item]:
        tracks = [track for track, _ in current]
        ways = {item.taken for _, item in current}
        taken = [(track, item.body) for track, item in current if item.taken]
        not_taken = [(track, item.body) for track, item in current if not item.taken]
        if len(ways) == 1:  # it goes the same way wherever it is used
            guards = self._guard(current)
            found = self.items(taken or not_taken)
            self._note_ends(taken or not_taken)
            return [*guards, *found]
        condition = self._agreement.condition(
            tracks, [item.condition for _, item in current]
        )
        sources = tuple(item for _, item in current)
        branch = merged.Branch(condition, sources=sources)
        before = [(track, dict(track.names)) for track in tracks]
        made = {track: frozenset(track.made) for track in tracks}
        joining = dict(self._joiner.joining)
        self._joiner.arms[branch] = []
        for way, arm, items in (
            (True, taken, branch.then),
            (False, not_taken, branch.otherwise),
        ):
            self._joiner.joining = dict(joining)
            items.extend(self.items(arm))
            members = frozenset(track for track, _ in arm)
            names = {t: dict(t.names) for t, _ in arm if not t.ended}
            self._joiner.arms[branch].append(
                Arm(way, members, dict(self._joiner.joining), names)
            )
        self._joiner.joining = joining
        for track, names in before:
            for name, value in track.names.items():
                if names.get(name) is not value:
                    self._joiner.joining[name] = branch
        return [*made_on_ways(self._steps, tracks, branch, made), branch]

    def _guard(self, current: list[tuple[Track, graph.Branch]]) -> list[merged.Item]:
        """A note that the class is made for one way of a branch."""
        terms = [(track, localised(track, item.condition)) for track, item in current]
        tracks, (track, condition) = [track for track, _ in current], terms[0]
        names = condition.mentioned()
        _require_outside(track, names)
        if condition.kind == "list":
            self._decided(terms)
            return []
        constants = {parameter.name for parameter in track.function.parameters}
        if names <= constants and all(one_value(self._everyone, n) for n in names):
            self.fixed |= names  # the class has the constant built in
            return []
        try:
            found = self._agreement.condition(tracks, [term for _, term in terms])
        except Unlike:
            self._decided(terms)
            return []
        names = set(names_in(found))
        if any("@" in name for name in names):  # no constructor can tell
            self._decided(terms)
            return []
        return [merged.Guard(found, current[0][1].taken)] if names else []

    def _decided(self, terms: Sequence[tuple[Track, Term]]) -> None:
        """More hangs on these values than the class can say: it has built in what they come from."""
        for track, values in terms:
            _require_outside(track, values.mentioned())
            self._fix(_known_names([track], values.mentioned()))

    def _fix(self, names: Set[str]) -> None:
        """The class has these constants and sizes of inputs built in."""
        if not all(one_value(self._everyone, name) for name in names):
            raise Unlike
        self.fixed |= names

    def _note_ends(
        self, traces: Sequence[tuple[Track, tuple[graph.Item, ...]]]
    ) -> None:
        ended = {track.ended for track, _ in traces}
        if len(ended) > 1:
            raise Unlike

    def _requirement(
        self, current: list[tuple[Track, graph.Requirement]]
    ) -> merged.Item:
        first = current[0][1]
        terms = [localised(track, item.condition) for track, item in current]
        if any(not term.comparable or term.key != terms[0].key for term in terms[1:]):
            raise Unlike
        symbols = {name for _, item in current for name in item.symbols}
        if not symbols:  # it holds for all sizes that are open
            symbols = {
                name
                for (track, _), term in zip(current, terms, strict=True)
                for name in term.mentioned()
                if isinstance(size := track.meanings.get(name), Dim)
                and not size.is_constant
            }
        return merged.Requirement(
            tree.Constant(Traced(None, terms[0])),
            first.message,
            tuple(sorted(symbols)),
        )

    def _result(self, current: list[tuple[Track, graph.Result]]) -> merged.Item:
        found: list[merged.Value] = []
        for place in range(len(current[0][1].values)):
            values: list[tuple[Track, int]] = []
            for track, item in current:
                value = item.values[place] if place < len(item.values) else None
                if not isinstance(value, int):
                    raise Unlike
                values.append((track, value))
            found.append(self._joiner.use(self._joiner.reference(values)))
        for track, _ in current:
            track.ended = True
        return merged.Result(tuple(found))

    # ---- loops ----

    def _loop(self, current: list[tuple[Track, graph.Loop]]) -> list[merged.Item]:
        if not any(loop.iterations for _, loop in current):
            self._fix_count(current)  # what its turns would do is not known
            return []
        uid = current[0][1].uid
        for track, loop in current:
            if loop.lists and loop.iterable is not None:
                self._decided([(track, localised(track, loop.iterable))])
        may_roll = self._may_roll and uid not in self._written_out
        if may_roll and all(rolls(track, loop) for track, loop in current):
            joining = dict(self._joiner.joining)
            saved = [state_of(track) for track, _ in current]
            used, joined = self._joiner.noted()
            unsaid = set(self._agreement.unsaid)
            try:
                return self._rolled(current)
            except Unlike:
                self._agreement.unsaid = unsaid
                # Tried once: nested loops must not double the work with each level.
                self._written_out.add(uid)
                self._joiner.joining = joining
                self._joiner.forget(used, joined)
                for (track, _), state in zip(current, saved, strict=True):
                    put_back(track, state)
        return self._unrolled(current)

    def _rolled(self, current: list[tuple[Track, graph.Loop]]) -> list[merged.Item]:
        first = current[0][1]
        if any(t.index is not None for t in current[0][0].turns) and any(
            makes_layers(track.function, loop) for track, loop in current
        ):
            raise Unlike  # a list of lists is written out as a whole
        carried = self._carried(current)
        guards = self._joiner.guards()
        iterable = self._iterable(current)
        inner: list[tuple[Track, graph.Loop, int]] = []
        for track, loop in current:
            require_entries(track, loop)
            for place, iteration in enumerate(loop.iterations):
                child = track.inside(first.uid, place)
                child.meanings.update(all_boxed(iteration.values))
                enter(child, loop, place, carried)
                inner.append((child, loop, place))
        body = self.items(
            [(t, loop.iterations[place].body) for t, loop, place in inner]
        )
        if any(track.ended for track, _, _ in inner):
            raise Unlike
        require_lists(body)
        require_appended(body, len(current[0][0].turns) + 1)
        ahead = list(made_ahead(current, body))
        for track, loop, place in inner:
            require_updates(track, loop, place)
        for name, entry in carried.items():
            entry.final = self._joiner.use(self._final(name, inner))
        for track, loop in current:
            leave(track, loop, carried)
        depth = len(current[0][0].turns)
        rolled = merged.Loop(
            first.uid,
            first.pattern,
            first.variables,
            iterable,
            body,
            carried,
            depth,
            tuple(loop for _, loop in current),
        )
        return [*guards, *ahead, rolled]

    def _carried(
        self, current: list[tuple[Track, graph.Loop]]
    ) -> dict[str, merged.Carried]:
        """What the variables of a loop hold when it begins, and the values that they hold in it."""
        found: dict[str, merged.Carried] = {}
        if len({tuple(loop.carried) for _, loop in current}) > 1:
            raise Unlike
        for name in current[0][1].carried:
            initial = self._joiner.reference(
                [(track, loop.carried[name][0]) for track, loop in current]
            )
            orders = {
                track.layout.values[value]
                for track, loop in current
                for value in loop.carried[name]
            }
            if len(orders) > 1:
                raise Unlike
            kinds = [
                local_type(track, value)
                for track, loop in current
                for value in loop.carried[name]
            ]
            if len({kind.rank for kind in kinds}) > 1:
                raise Unlike
            values = [
                merged.Value(common_type(kinds), initial.order, name) for _ in range(2)
            ]
            found[name] = merged.Carried(
                self._joiner.use(initial), values[0], values[1]
            )
        return found

    def _final(
        self, name: str, inner: list[tuple[Track, graph.Loop, int]]
    ) -> merged.Value:
        """What the variable of that name holds at the end of a turn."""
        found: list[tuple[Track, merged.Value]] = []
        for track, loop, place in inner:
            value = track.names[name]
            if not any(
                value is other for other in track.same(loop.carried[name][place + 1])
            ):
                raise Unlike  # it was bound where no names are kept: inside of a `fn`
            found.append((track, value))
        return self._joiner.join(name, found, self._joiner.joining.get(name))

    def _iterable(self, current: list[tuple[Track, graph.Loop]]) -> Expr:
        terms = [loop.iterable for _, loop in current]
        first = terms[0]
        if first is None or not first.comparable:
            raise Unlike
        for term in terms:
            if term is None or not term.comparable or term.key != first.key:
                raise Unlike
        if not spells(first):
            raise Unlike
        if (
            first.kind in ("list", "tuple")
            and len({len(loop.iterations) for _, loop in current}) > 1
        ):
            raise Unlike
        return tree.Constant(Traced(None, localised(current[0][0], first)))

    def _unrolled(self, current: list[tuple[Track, graph.Loop]]) -> list[merged.Item]:
        """The turns of a loop, written out one after another."""
        counts = {len(loop.iterations) for _, loop in current}
        if len(counts) > 1:
            raise Unlike
        self._fix_count(current)
        outer = [(track.turns, set(track.names)) for track, _ in current]
        result: list[merged.Item] = []
        for place in range(counts.pop()):
            result.extend(self._turn(current, place))
            for (track, _), (turns, names) in zip(current, outer, strict=True):
                track.turns = turns
                for name in set(track.names) - names:
                    del track.names[name]
        for track, loop in current:
            self._fix_constants(track, loop, len(loop.iterations))
            fix_running(track, loop, len(loop.iterations))
        return result

    def _fix_constants(self, track: Track, loop: graph.Loop, place: int) -> None:
        """In a loop that is written out, an integer that it carries is what the turn before has left, in names of outside."""
        try:
            found = [
                (key, local(track, size)) for key, size in constants_at(loop, place)
            ]
        except DimError:  # too long to be said
            if not self._is_plain:
                raise Unlike from None
            found = [(key, size.value) for key, size in constants_at(loop, place)]
        for key, size in found:
            track.meanings[key] = size.value
            track.constants[key] = size

    def _fix_count(self, current: list[tuple[Track, graph.Loop]]) -> None:
        """The class has the constants built in that decide how often a loop turns."""
        for track, loop in current:
            if loop.iterable is None:
                continue
            deciding = loop.iterable.mentioned() - set(track.constants)
            self._fix(_known_names([track], deciding))

    def _turn(
        self, current: list[tuple[Track, graph.Loop]], place: int
    ) -> list[merged.Item]:
        """The turn of that number, with its number and what it carries as constants."""
        traces: list[tuple[Track, tuple[graph.Item, ...]]] = []
        for track, loop in current:
            iteration = loop.iterations[place]
            track.turns = (*track.turns, merged.Turn(place))
            self._fix_constants(track, loop, place)
            fix_running(track, loop, place)
            known = all_boxed(iteration.values)
            track.meanings.update(known)
            track.constants.update(known)
            traces.append((track, iteration.body))
        found = self.items(traces)
        for track, body in traces:
            settle_types(track, body)
        return found


def _known_names(tracks: Sequence[Track], names: Set[str]) -> set[str]:
    """The constants, and known sizes of inputs, that names of a body hang on."""
    found: set[str] = set()
    for track in tracks:
        known = meanings(track.function)
        for name in reasons(track.function, names):
            value = known.get(name)
            if not isinstance(value, Dim) or value.is_constant:
                found.add(name)
    return found


def _require_outside(track: Track, names: Set[str]) -> None:
    """Raises `Unlike` where what a loop that stays one knows decides: other constants would add other turns."""
    is_in_loop = any(turn.loop is not None for turn in track.turns)
    if is_in_loop and any("@" in name for name in names):
        raise Unlike
