"""Laying traces together: what the specialisations of a block, and the turns of a loop, have in common.

Every trace comes from the same statements, so they are aligned by position. Where constants differ, an
expression in the spec's own names is sought that has the right value in each (`4 * width`); an `if` that
went both ways becomes an `if`; a loop whose turns are alike becomes a loop. What cannot be laid together
raises `Unlike`, and its places are emitted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nnspec.targets.merged as merged
from nnspec.diagnostics import SpecError
from nnspec.ir import graph
from nnspec.ir.graph import Node, dotted
from nnspec.ir.terms import Term, Traced
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.agreement import Agreement, local_type, localised, settle_types
from nnspec.targets.candidates import (
    common_type,
    one_value,
    spells,
)
from nnspec.targets.joiner import Joiner
from nnspec.targets.lowering import Construct, Lowered
from nnspec.targets.rolling import makes_layers, require_appended, rolls
from nnspec.targets.traces import (
    Arm,
    Track,
    Unlike,
    boxed,
    enter,
    fix_running,
    leave,
    require_entries,
    require_updates,
    state_of,
)

Lower = Callable[[Track, Node], Lowered]


class Merger:
    """Merges the traces of one block into one body."""

    def __init__(
        self, lower: Lower, *, rolls: bool = True, plain: bool = False
    ) -> None:
        # Where sizes and constants are plain numbers, they always have an expression.
        self._agreement = Agreement(plain=plain)
        self._lower = lower
        self._may_roll = rolls
        self._written_out: set[int] = set()
        # The layers that were made: by label and turns, of which kinds.
        self._seen: dict[tuple[Any, ...], tuple[Expr, ...]] = {}
        self._joiner = Joiner()
        # Constants that decide what had to be written out, such as how often a loop turns.
        self.fixed: set[str] = set()
        self._everyone: tuple[Track, ...] = ()

    def body(self, tracks: Sequence[Track]) -> list[merged.Item]:
        """The common body of whole functions. Raises `Unlike`."""
        self._everyone = tuple(tracks)
        found = self.items([(track, track.function.structure) for track in tracks])
        constants = {p.name for track in tracks for p in track.function.parameters}
        unsaid = self._agreement.unsaid & constants
        self.fixed |= {name for name in unsaid if one_value(tracks, name)}
        return found

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
            result.extend(self._one(current))
            place += 1

    def _one(self, current: list[tuple[Track, Any]]) -> list[merged.Item]:
        match current[0][1]:
            case graph.Step():
                return [
                    self._step(
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

    # ---- steps ----

    def _step(self, nodes: list[tuple[Track, Node]]) -> merged.Item:
        first = nodes[0][1]
        if any(node.location.span != first.location.span for _, node in nodes):
            raise Unlike
        if (
            len(
                {(type(node.op), len(node.inputs), len(node.path)) for _, node in nodes}
            )
            > 1
        ):
            raise Unlike
        inputs = self._inputs(nodes)
        lowered = [self._lower(track, node) for track, node in nodes]
        tracks = [track for track, _ in nodes]
        self._agreement.unsaid |= {name for low in lowered for name in low.unsaid}
        step = merged.Step(
            label=str(first.path[0]),
            turns=self._turns(nodes),
            constructs=(),
            results=(),
            inputs=inputs,
            outputs=self._outputs(nodes),
            owns=first.owns,
            frozen=first.marks.frozen,
            calls=first.callee,
            reads_weight=first.weight is not None,
            listed=self._listed(nodes),
            wanted=self._wanted(nodes),
            nodes=tuple((track.function.key, node.id) for track, node in nodes),
        )
        key = (step.label, step.turns)
        step.shares = first.weight is not None or (first.owns and key in self._seen)
        if first.owns:
            kinds = tuple(_kind(made) for made in lowered[0].constructs)
            if self._seen.setdefault(key, kinds) != kinds:
                raise _unlike_uses(first)
        if not step.shares:
            step.constructs = self._constructs(tracks, lowered)
        step.results = self._results(tracks, lowered)
        return step

    def _turns(self, nodes: list[tuple[Track, Node]]) -> tuple[merged.Turn, ...]:
        count = len(nodes[0][1].path) - 1
        found: list[merged.Turn] = []
        for level in range(count):
            numbers = [node.path[level + 1] for _, node in nodes]
            turns = {track.turns[level : level + 1] for track, _ in nodes}
            here = all(
                track.places[level : level + 1] == (number,)
                for (track, _), number in zip(nodes, numbers, strict=True)
            )
            if len(turns) == 1 and here:
                found.extend(turns.pop())
            elif all(number == numbers[0] for number in numbers):
                found.append(merged.Turn(int(numbers[0])))  # a turn of a comprehension
            else:
                raise Unlike
        return tuple(found)

    def _inputs(self, nodes: list[tuple[Track, Node]]) -> tuple[merged.Value, ...]:
        columns = [list(node.values()) for _, node in nodes]
        if len({len(column) for column in columns}) > 1:
            raise Unlike
        found: list[merged.Value] = []
        for place in range(len(columns[0])):
            current = [
                (track, column[place])
                for (track, _), column in zip(nodes, columns, strict=True)
            ]
            found.append(self._joiner.use(self._joiner.reference(current)))
        return tuple(found)

    def _wanted(self, nodes: list[tuple[Track, Node]]) -> tuple[Any, ...]:
        found = {track.layout.wanted.get(node.id, ()) for track, node in nodes}
        if len(found) > 1:
            raise Unlike
        return found.pop()

    def _listed(
        self, nodes: list[tuple[Track, Node]]
    ) -> tuple[tuple[int, int, str], ...]:
        """Runs of inputs that are together one list input of the function: start, end, its name."""
        function, node = nodes[0][0].function, nodes[0][1]
        found: list[tuple[int, int, str]] = []
        start = 0
        for argument in node.inputs:
            count = (
                len(argument) if isinstance(argument, tuple) else argument is not None
            )
            for port in function.inputs:
                if port.listed and port.values == argument:
                    found.append((start, start + count, port.name))
            start += count
        return tuple(found)

    def _outputs(self, nodes: list[tuple[Track, Node]]) -> tuple[merged.Value, ...]:
        found: list[merged.Value] = []
        for place in range(len(nodes[0][1].outputs)):
            values = [(track, node.outputs[place]) for track, node in nodes]
            orders = {track.layout.values[value] for track, value in values}
            types = [track.type(value) for track, value in values]
            if len(orders) > 1 or len({kind.rank for kind in types}) > 1:
                raise Unlike
            value = merged.Value(
                self._agreement.type([t for t, _ in values], types), orders.pop()
            )
            found.append(value)
            for track, number in values:
                track.values[number] = value
                if track.constants:
                    # The names of this turn mean something else in the next.
                    track.types[number] = local_type(track, number)
        return tuple(found)

    def _constructs(
        self, tracks: list[Track], lowered: list[Lowered]
    ) -> tuple[Any, ...]:
        first = lowered[0].constructs
        if any(
            [c.suffix for c in low.constructs] != [c.suffix for c in first]
            for low in lowered
        ):
            raise Unlike
        found: list[Any] = []
        for place, construct in enumerate(first):
            value = self._agreement.expression(
                tracks, [low.constructs[place].value for low in lowered]
            )
            columns = [low.constructs[place].resets for low in lowered]
            if len({len(column) for column in columns}) > 1:
                raise Unlike
            resets = tuple(
                self._agreement.expression(tracks, [column[i] for column in columns])
                for i in range(len(columns[0]))
            )
            found.append(
                type(construct)(construct.suffix, value, construct.is_parameter, resets)
            )
        return tuple(found)

    def _results(self, tracks: list[Track], lowered: list[Lowered]) -> tuple[Expr, ...]:
        if len({len(low.results) for low in lowered}) > 1:
            raise Unlike
        return tuple(
            self._agreement.expression(tracks, [low.results[place] for low in lowered])
            for place in range(len(lowered[0].results))
        )

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
            guards = self._guard(tracks, current[0][1])
            found = self.items(taken or not_taken)
            self._note_ends(taken or not_taken)
            return [*guards, *found]
        condition = self._agreement.condition(
            tracks, [item.condition for _, item in current]
        )
        branch = merged.Branch(condition)
        before = [(track, dict(track.names)) for track in tracks]
        joining = dict(self._joiner.joining)
        self._joiner.arms[branch] = []
        for way, arm, items in (
            (True, taken, branch.then),
            (False, not_taken, branch.otherwise),
        ):
            self._joiner.joining = dict(joining)
            items.extend(self.items(arm))
            members = [track for track, _ in arm]
            self._joiner.arms[branch].append(
                Arm(way, members, dict(self._joiner.joining))
            )
        self._joiner.joining = joining
        for track, names in before:
            for name, value in track.names.items():
                if names.get(name) is not value:
                    self._joiner.joining[name] = branch
        return [branch]

    def _guard(self, tracks: list[Track], branch: graph.Branch) -> list[merged.Item]:
        """A note that the class is made for one way of a branch."""
        condition = localised(tracks[0], branch.condition)
        if condition.kind == "list":
            self._decided(tracks, condition)
            return []
        names = condition.mentioned()
        if any(turn.loop is not None for turn in tracks[0].turns) and any(
            "@" in n for n in names
        ):
            raise Unlike  # it may go the other way in turns that other constants would add
        constants = {parameter.name for parameter in tracks[0].function.parameters}
        if names <= constants and all(one_value(self._everyone, n) for n in names):
            self.fixed |= names  # the class has the constant built in
            return []
        if not names or not spells(condition):
            return []
        return [merged.Guard(tree.Constant(Traced(None, condition)), branch.taken)]

    def _decided(self, tracks: list[Track], values: Term) -> None:
        """More hangs on these values than the class can say: it has their constants built in."""
        constants = {parameter.name for parameter in tracks[0].function.parameters}
        names = values.mentioned() & constants
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
        term, first = current[0][1].condition, current[0][1]
        term = localised(current[0][0], term)
        return merged.Requirement(
            tree.Constant(Traced(None, term)), first.message, first.symbols
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
            return []
        uid = current[0][1].uid
        may_roll = self._may_roll and uid not in self._written_out
        if may_roll and all(rolls(track, loop) for track, loop in current):
            seen, joining = dict(self._seen), dict(self._joiner.joining)
            saved = [state_of(track) for track, _ in current]
            used, joined = self._joiner.noted()
            unsaid = set(self._agreement.unsaid)
            try:
                return [self._rolled(current)]
            except Unlike:
                self._agreement.unsaid = unsaid
                # Tried once: nested loops must not double the work with each level.
                self._written_out.add(uid)
                self._seen, self._joiner.joining = seen, joining
                self._joiner.forget(used, joined)
                for (track, _), state in zip(current, saved, strict=True):
                    track.values, track.also, track.names, track.meanings = state
        return self._unrolled(current)

    def _rolled(self, current: list[tuple[Track, graph.Loop]]) -> merged.Item:
        first = current[0][1]
        turn = merged.Turn(None, first.uid)
        if any(t.index is not None for t in current[0][0].turns) and any(
            makes_layers(track.function, loop) for track, loop in current
        ):
            raise Unlike  # a list of lists is written out as a whole
        carried = self._carried(current)
        iterable = self._iterable(current)
        inner: list[tuple[Track, graph.Loop, int]] = []
        for track, loop in current:
            require_entries(track, loop)
            for place, iteration in enumerate(loop.iterations):
                child = track.inside(turn, place)
                child.meanings.update(boxed(iteration.values))
                enter(child, loop, place, carried)
                inner.append((child, loop, place))
        body = self.items(
            [(t, loop.iterations[place].body) for t, loop, place in inner]
        )
        if any(track.ended for track, _, _ in inner):
            raise Unlike
        require_appended(body, len(current[0][0].turns) + 1)
        for track, loop, place in inner:
            require_updates(track, loop, place)
        for name, entry in carried.items():
            entry.final = self._joiner.use(self._final(name, inner))
        for track, loop in current:
            leave(track, loop, carried)
        depth = len(current[0][0].turns)
        return merged.Loop(
            first.uid, first.pattern, first.variables, iterable, body, carried, depth
        )

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
        if first is None or any(
            term is None or term.key != first.key for term in terms
        ):
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
        counts = {len(loop.iterations) for _, loop in current}
        if len(counts) > 1:
            raise Unlike
        for track, loop in current:
            constants = {parameter.name for parameter in track.function.parameters}
            if loop.iterable is not None:
                term = loop.iterable
                deciding = (term.mentioned() & constants) - set(track.constants)
                if not all(one_value(self._everyone, name) for name in deciding):
                    raise Unlike
                self.fixed |= deciding
        result: list[merged.Item] = []
        outer = [
            (track, track.turns, dict(track.constants), set(track.names))
            for track, _ in current
        ]
        for place in range(counts.pop()):
            traces: list[tuple[Track, tuple[graph.Item, ...]]] = []
            for track, loop in current:
                iteration = loop.iterations[place]
                depth = len(outer[0][1])
                track.turns = (*track.turns[:depth], merged.Turn(place))
                track.places = (*track.places[:depth], place)
                known = boxed(iteration.values)
                track.meanings.update(known)
                track.constants.update(known)
                fix_running(track, loop, place)
                traces.append((track, iteration.body))
            result.extend(self.items(traces))
            for track, body in traces:
                settle_types(track, body)
            for track, turns, _, names in outer:
                track.turns, track.places = turns, track.places[: len(turns)]
                for name in set(track.names) - names:
                    del track.names[name]
        for (track, loop), (_, turns, _, _) in zip(current, outer, strict=True):
            track.turns, track.places = turns, track.places[: len(turns)]
            fix_running(track, loop, len(loop.iterations))
        return result


def _kind(made: Construct) -> Expr:
    """What a layer is made by."""
    return made.value.function if isinstance(made.value, tree.Call) else made.value


def _unlike_uses(node: Node) -> SpecError:
    return SpecError(
        "E0602",
        f"the uses of `{dotted(node.path)}` need different code, and it is one layer",
        node.location,
        hint="make a layer for each rank of input, or do outside of it what depends on rank",
    )
