"""Laying traces together: what the specialisations of a block, and the turns of a loop, have in common.

Every trace comes from the same statements, so they are aligned by position. Where constants differ, an
expression in the spec's own names is sought that has the right value in each (`4 * width`); an `if` that
went both ways becomes an `if`; a loop whose turns are alike becomes a loop. What cannot be laid together
raises `Unlike`, and its places are emitted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import nnspec.targets.merged as merged
from nnspec.ir import graph
from nnspec.ir.dims import Atom, Dim, symbol
from nnspec.ir.graph import Function, Node
from nnspec.ir.rename import settle
from nnspec.ir.terms import Term, Traced
from nnspec.ir.types import TensorType
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.layout import FunctionLayout
from nnspec.targets.lowering import Lowered, RunTimeSize
from nnspec.targets.spelling import (
    NoValue,
    Unspellable,
    size_at,
    spell_literal,
    spell_size,
    spell_term,
    term_at,
)


class Unlike(Exception):
    """Traces that cannot be laid together."""


@dataclass(eq=False)
class Track:
    """One trace on its way through the body: what its names and values mean."""

    function: Function
    layout: FunctionLayout
    meanings: dict[str, Any]
    values: dict[int, merged.Value] = field(default_factory=dict[int, merged.Value])
    # Other values of the body that are the same number in this trace.
    also: dict[int, tuple[merged.Value, ...]] = field(
        default_factory=dict[int, tuple[merged.Value, ...]]
    )
    names: dict[str, merged.Value] = field(default_factory=dict[str, merged.Value])
    types: dict[int, TensorType] = field(default_factory=dict[int, TensorType])
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    turns: tuple[merged.Turn, ...] = ()
    # The number of each enclosing turn in this trace.
    places: tuple[int, ...] = ()
    ended: bool = False
    lineage: tuple[Track, ...] = ()

    @cached_property
    def divisions(self) -> set[tuple[str, str]]:
        """What divides evenly by a requirement of the block, as keys of dividend and divisor."""
        return divisions(self.function)

    def inside(self, turn: merged.Turn, place: int) -> Track:
        """A trace of a loop's body, which sees what this one sees."""
        return Track(
            self.function,
            self.layout,
            dict(self.meanings),
            dict(self.values),
            dict(self.also),
            dict(self.names),
            dict(self.types),
            dict(self.constants),
            (*self.turns, turn),
            (*self.places, place),
            lineage=(*self.lineage, self),
        )

    def same(self, number: int) -> tuple[merged.Value, ...]:
        """Every value of the body that stands for a number. Raises `Unlike` where there is none."""
        if number not in self.values:
            raise Unlike
        return (self.values[number], *self.also.get(number, ()))

    def means(self, number: int, value: merged.Value) -> None:
        """From here on, a number is read as another value of the body."""
        self.also[number] = self.same(number) if number in self.values else ()
        self.values[number] = value

    def learn(self, number: int, value: merged.Value) -> None:
        """Notes that a value of the body stands for a number, too."""
        self.also[number] = (value, *self.also.get(number, ()))

    def type(self, value: int) -> TensorType:
        """The type of a value, in the names that hold here."""
        return self.types.get(value, self.function.types[value])

    def input_types(
        self, node: Node
    ) -> tuple[TensorType | tuple[TensorType, ...] | None, ...]:
        """The types of a node's inputs: tuples for lists, None where missing."""
        return tuple(
            tuple(self.type(value) for value in argument)
            if isinstance(argument, tuple)
            else None
            if argument is None
            else self.type(argument)
            for argument in node.inputs
        )


Lower = Callable[[Track, Node], Lowered]


class Merger:
    """Merges the traces of one block into one body."""

    def __init__(
        self, lower: Lower, *, rolls: bool = True, plain: bool = False
    ) -> None:
        # Whether sizes and constants are plain numbers, which always has an expression.
        self._plain = plain
        self._lower = lower
        self._may_roll = rolls
        self._seen: set[tuple[Any, ...]] = set()
        # The branch behind which a name came to mean one value or another.
        self._joining: dict[str, merged.Branch] = {}
        self._arms: dict[merged.Branch, list[_Arm]] = {}
        self._used: list[merged.Value] = []
        self._joined: list[tuple[merged.Branch, merged.Join]] = []
        # Constants that decide how often a loop turns which had to be written out.
        self.fixed: set[str] = set()
        self._everyone: tuple[Track, ...] = ()

    def body(self, tracks: Sequence[Track]) -> list[merged.Item]:
        """The common body of whole functions. Raises `Unlike`."""
        self._everyone = tuple(tracks)
        return self.items([(track, track.function.structure) for track in tracks])

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
        )
        key = (step.label, step.turns)
        step.shares = first.weight is not None or (first.owns and key in self._seen)
        if first.owns:
            self._seen.add(key)
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
            found.append(self._use(self._reference(current)))
        return tuple(found)

    def _use(self, value: merged.Value) -> merged.Value:
        """Counts a place that reads a value."""
        value.uses += 1
        self._used.append(value)
        return value

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

    def _reference(self, current: list[tuple[Track, int]]) -> merged.Value:
        """What one place reads: one value in every trace, if need be one that a variable joins."""
        options = [track.same(number) for track, number in current]
        for value in options[0]:
            if all(any(value is other for other in row) for row in options[1:]):
                return value
        for name in self._names(current, options):
            branch = self._joining.get(name)
            if branch is None:
                continue
            found = self._join(
                name, [(track, track.names[name]) for track, _ in current], branch
            )
            for track, number in current:
                track.learn(number, found)
            return found
        raise Unlike

    def _names(
        self, current: list[tuple[Track, int]], options: list[tuple[merged.Value, ...]]
    ) -> list[str]:
        """The names of the spec that mean what is read, in every trace."""
        names = set(current[0][0].names)
        for track, _ in current[1:]:
            names &= set(track.names)
        return [
            name
            for name in sorted(names)
            if all(
                any(track.names[name] is value for value in row)
                for (track, _), row in zip(current, options, strict=True)
            )
        ]

    def _join(
        self,
        name: str,
        current: list[tuple[Track, merged.Value]],
        branch: merged.Branch | None,
    ) -> merged.Value:
        """The value that a variable holds behind a branch, whichever way each trace went."""
        first = current[0][1]
        if all(value is first for _, value in current):
            return first
        if branch is None or any(value.order != first.order for _, value in current):
            raise Unlike
        if any(value.type.rank != first.type.rank for _, value in current):
            raise Unlike
        join = merged.Join(
            name, merged.Value(_common([v.type for _, v in current]), first.order, name)
        )
        left = list(current)
        for arm in self._arms[branch]:
            own = [(track, value) for track, value in left if arm.has(track)]
            left = [pair for pair in left if pair not in own]
            if not own:
                continue
            source = self._use(self._join(name, own, arm.joining.get(name)))
            if arm.taken:
                join.then = source
            else:
                join.otherwise = source
        if left:
            raise Unlike
        branch.joins.append(join)
        self._joined.append((branch, join))
        return join.value

    def _outputs(self, nodes: list[tuple[Track, Node]]) -> tuple[merged.Value, ...]:
        found: list[merged.Value] = []
        for place in range(len(nodes[0][1].outputs)):
            values = [(track, node.outputs[place]) for track, node in nodes]
            orders = {track.layout.values[value] for track, value in values}
            types = [track.type(value) for track, value in values]
            if len(orders) > 1 or len({kind.rank for kind in types}) > 1:
                raise Unlike
            value = merged.Value(
                self._type([t for t, _ in values], types), orders.pop()
            )
            found.append(value)
            for track, number in values:
                track.values[number] = value
                if (
                    track.constants
                ):  # the names of this turn mean something else in the next
                    kind = track.type(number)
                    sizes = tuple(self._local(track, size) for size in kind.shape)
                    track.types[number] = TensorType(sizes, kind.dtype)
        return tuple(found)

    def _type(self, tracks: Sequence[Track], types: Sequence[TensorType]) -> TensorType:
        """A type for people: sizes in the spec's names where the traces agree on one."""
        shape: list[Dim] = []
        for axis in range(types[0].rank):
            try:
                shape.append(self._size(tracks, [kind.shape[axis] for kind in types]))
            except Unlike:
                shape.append(symbol("_"))
        return TensorType(tuple(shape), types[0].dtype)

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
            value = self.expression(
                tracks, [low.constructs[place].value for low in lowered]
            )
            columns = [low.constructs[place].resets for low in lowered]
            if len({len(column) for column in columns}) > 1:
                raise Unlike
            resets = tuple(
                self.expression(tracks, [column[i] for column in columns])
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
            self.expression(tracks, [low.results[place] for low in lowered])
            for place in range(len(lowered[0].results))
        )

    # ---- names, conditions, results ----

    def _bind(self, current: list[tuple[Track, graph.Binding]]) -> merged.Item:
        name = current[0][1].name
        if any(item.name != name for _, item in current):
            raise Unlike
        reference = self._reference([(track, item.value) for track, item in current])
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
        condition = self._condition(tracks, [item.condition for _, item in current])
        branch = merged.Branch(condition)
        before = [(track, dict(track.names)) for track in tracks]
        joining = dict(self._joining)
        self._arms[branch] = []
        for way, arm, items in (
            (True, taken, branch.then),
            (False, not_taken, branch.otherwise),
        ):
            self._joining = dict(joining)
            items.extend(self.items(arm))
            members = [track for track, _ in arm]
            self._arms[branch].append(_Arm(way, members, dict(self._joining)))
        self._joining = joining
        for track, names in before:
            for name, value in track.names.items():
                if names.get(name) is not value:
                    self._joining[name] = branch
        return [branch]

    def _guard(self, tracks: list[Track], branch: graph.Branch) -> list[merged.Item]:
        """A note that the class is made for one way of a branch."""
        condition = self._localised(tracks[0], branch.condition)
        names = {*condition.names(), *(a.symbol for a in condition.atoms() if a.symbol)}
        if any(turn.loop is not None for turn in tracks[0].turns) and any(
            "@" in n for n in names
        ):
            raise Unlike  # it may go the other way in turns that other constants would add
        if not names or not _spells(condition):
            return []
        constants = {parameter.name for parameter in tracks[0].function.parameters}
        if names <= constants and all(_one_value(self._everyone, n) for n in names):
            self.fixed |= names  # the class has the constant built in
            return []
        return [merged.Guard(tree.Constant(Traced(None, condition)), branch.taken)]

    def _note_ends(
        self, traces: Sequence[tuple[Track, tuple[graph.Item, ...]]]
    ) -> None:
        ended = {track.ended for track, _ in traces}
        if len(ended) > 1:
            raise Unlike

    def _condition(self, tracks: list[Track], conditions: list[Term]) -> Expr:
        wanted = [
            bool(value)
            for value in (
                self._value(t, c) for t, c in zip(tracks, conditions, strict=True)
            )
        ]
        for candidate in _distinct(conditions):
            if _term_fits(tracks, candidate, wanted) and _spells(candidate):
                return tree.Constant(
                    Traced(None, self._localised(tracks[0], candidate))
                )
        raise Unlike

    def _value(self, track: Track, term: Term) -> Any:
        try:
            return term_at(term, track.meanings)
        except NoValue:
            raise Unlike from None

    def _requirement(
        self, current: list[tuple[Track, graph.Requirement]]
    ) -> merged.Item:
        term, first = current[0][1].condition, current[0][1]
        term = self._localised(current[0][0], term)
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
            found.append(self._use(self._reference(values)))
        for track, _ in current:
            track.ended = True
        return merged.Result(tuple(found))

    # ---- loops ----

    def _loop(self, current: list[tuple[Track, graph.Loop]]) -> list[merged.Item]:
        if not any(loop.iterations for _, loop in current):
            return []
        if self._may_roll and all(_rolls(track, loop) for track, loop in current):
            seen, joining = set(self._seen), dict(self._joining)
            saved = [_saved(track) for track, _ in current]
            used, joined = len(self._used), len(self._joined)
            try:
                return [self._rolled(current)]
            except Unlike:
                self._seen, self._joining = seen, joining
                self._forget(used, joined)
                for (track, _), state in zip(current, saved, strict=True):
                    track.values, track.also, track.names, track.meanings = state
        return self._unrolled(current)

    def _forget(self, used: int, joined: int) -> None:
        """Takes back what an attempt has noted."""
        for value in self._used[used:]:
            value.uses -= 1
        for branch, join in self._joined[joined:]:
            branch.joins.remove(join)
        del self._used[used:], self._joined[joined:]

    def _rolled(self, current: list[tuple[Track, graph.Loop]]) -> merged.Item:
        first = current[0][1]
        turn = merged.Turn(None, first.uid)
        if any(t.index is not None for t in current[0][0].turns) and any(
            _makes_layers(track.function, loop) for track, loop in current
        ):
            raise Unlike  # a list of lists is written out as a whole
        carried = self._carried(current)
        iterable = self._iterable(current)
        inner: list[tuple[Track, graph.Loop, int]] = []
        for track, loop in current:
            for place, iteration in enumerate(loop.iterations):
                child = track.inside(turn, place)
                child.meanings.update(_boxed(iteration.values))
                _enter(child, loop, place, carried)
                inner.append((child, loop, place))
        body = self.items(
            [(t, loop.iterations[place].body) for t, loop, place in inner]
        )
        if any(track.ended for track, _, _ in inner):
            raise Unlike
        _require_appended(body, len(current[0][0].turns) + 1)
        for track, loop, place in inner:
            _require_updates(track, loop, place)
        for name, entry in carried.items():
            entry.final = self._use(self._final(name, inner))
        for track, loop in current:
            _leave(track, loop, carried)
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
            initial = self._reference(
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
                track.function.types[value]
                for track, loop in current
                for value in loop.carried[name]
            ]
            if len({kind.rank for kind in kinds}) > 1:
                raise Unlike
            values = [
                merged.Value(_common(kinds), initial.order, name) for _ in range(2)
            ]
            found[name] = merged.Carried(self._use(initial), values[0], values[1])
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
        return self._join(name, found, self._joining.get(name))

    def _iterable(self, current: list[tuple[Track, graph.Loop]]) -> Expr:
        terms = [loop.iterable for _, loop in current]
        first = terms[0]
        if first is None or any(
            term is None or term.key != first.key for term in terms
        ):
            raise Unlike
        if not _spells(first):
            raise Unlike
        if (
            first.kind in ("list", "tuple")
            and len({len(loop.iterations) for _, loop in current}) > 1
        ):
            raise Unlike
        return tree.Constant(Traced(None, self._localised(current[0][0], first)))

    def _unrolled(self, current: list[tuple[Track, graph.Loop]]) -> list[merged.Item]:
        counts = {len(loop.iterations) for _, loop in current}
        if len(counts) > 1:
            raise Unlike
        for track, loop in current:
            constants = {parameter.name for parameter in track.function.parameters}
            if loop.iterable is not None:
                term = loop.iterable
                named = {*term.names(), *(a.symbol for a in term.atoms() if a.symbol)}
                deciding = (named & constants) - set(track.constants)
                if not all(_one_value(self._everyone, name) for name in deciding):
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
                known = _boxed(iteration.values)
                track.meanings.update(known)
                track.constants.update(known)
                _fix_running(track, loop, place)
                traces.append((track, iteration.body))
            result.extend(self.items(traces))
            for track, body in traces:
                self._settle_types(track, body)
            for track, turns, _, names in outer:
                track.turns, track.places = turns, track.places[: len(turns)]
                for name in set(track.names) - names:
                    del track.names[name]
        for (track, loop), (_, turns, _, _) in zip(current, outer, strict=True):
            track.turns, track.places = turns, track.places[: len(turns)]
            _fix_running(track, loop, len(loop.iterations))
        return result

    def _settle_types(self, track: Track, body: tuple[graph.Item, ...]) -> None:
        """What a turn has made is known by names of outside: the next turn's mean other values."""
        for number in _nodes(body):
            for value in track.function.nodes[number].outputs:
                kind = track.type(value)
                shape = tuple(self._local(track, size) for size in kind.shape)
                track.types[value] = TensorType(shape, kind.dtype)

    # ---- expressions ----

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
            size = self._size(tracks, sizes)
        except Unlike:
            size = symbol("?")
        return RunTimeSize(size, self.expression(tracks, tensors), axes.pop())

    def _size_expression(self, tracks: Sequence[Track], found: Sequence[Expr]) -> Expr:
        sizes: list[Dim] = []
        for expression in found:
            if isinstance(expression, tree.Size):
                sizes.append(expression.dim)
            elif isinstance(expression, tree.Literal) and type(expression.value) is int:
                from nnspec.ir.dims import dim

                sizes.append(dim(expression.value))
            else:
                raise Unlike
        return tree.Size(self._size(tracks, sizes))

    def _size(self, tracks: Sequence[Track], sizes: Sequence[Dim]) -> Dim:
        """A size whose twin has the right value in every trace."""
        local = [
            self._local(track, size) for track, size in zip(tracks, sizes, strict=True)
        ]
        twins = _distinct([size.generic for size in local])
        constant = _same_constant(sizes)
        if self._plain and constant is not None and constant.is_constant:
            return constant
        for twin in twins:
            if twin.is_constant or not _spells_size(twin):
                continue
            if _size_fits(tracks, twin, sizes):
                return _with_twin(sizes[0], twin)
        if constant is not None and (
            constant.is_constant or not _names_turns(constant)
        ):
            return constant
        raise Unlike

    def _local(self, track: Track, size: Dim) -> Dim:
        """A size in the names that exist in emitted code at this place."""
        settled = whole(settle(size, track.function.running), track.divisions)
        if not track.constants:
            return settled
        twin = settled.generic

        def replace(atom: Atom) -> Dim | None:
            if atom.kind == "symbol" and atom.symbol in track.constants:
                found = track.constants[atom.symbol]
                if isinstance(found, Dim):
                    return found.generic
            if isinstance(atom.opaque, Term):
                from nnspec.ir import dims

                term = atom.opaque.replaced(replace, _literal_terms(track.constants))
                return _folded(term) or dims.opaque(term)
            return None

        return _with_twin(size.value, twin.substitute(replace))

    def _localised(self, track: Track, term: Term) -> Term:
        def replace(atom: Atom) -> Dim | None:
            if atom.kind != "symbol":
                return None
            known = track.function.running.get(atom.symbol)
            if known is not None and known.constant:
                return known.initial.substitute(replace)
            found = track.constants.get(atom.symbol)
            return found.generic if isinstance(found, Dim) else None

        return term.replaced(replace, _literal_terms(track.constants))

    def _constant_expression(
        self, tracks: Sequence[Track], found: Sequence[Expr]
    ) -> Expr:
        values: list[Any] = []
        terms: list[Term] = []
        for track, expression in zip(tracks, found, strict=True):
            if isinstance(expression, tree.Constant):
                values.append(expression.traced.value)
                if expression.traced.term is not None:
                    terms.append(self._localised(track, expression.traced.term))
            elif isinstance(expression, tree.Literal):
                values.append(expression.value)
            else:
                raise Unlike
        alike = all(_equal(value, values[0]) for value in values[1:])
        if self._plain and alike and _is_literal(values[0]):
            return _as_literal(values[0])
        for candidate in _distinct(terms):
            if not _spells(candidate):
                continue
            if len(tracks) == 1 or (
                len(terms) == len(found) and len(_distinct(terms)) == 1
            ):
                return tree.Constant(Traced(values[0], candidate))
            if _term_fits(tracks, candidate, values):
                return tree.Constant(Traced(values[0], candidate))
        if alike:
            return _as_literal(values[0])
        raise Unlike


# ---- exact divisions ----


def divisions(function: Function) -> set[tuple[str, str]]:
    """Dividends and divisors (by key) of which `require a % b == 0` says that nothing remains."""
    found: set[tuple[str, str]] = set()
    for item in function.structure:
        if not isinstance(item, graph.Requirement) or item.condition.kind != "compare":
            continue
        operator, left, right = item.condition.arguments
        if operator != "==" or left.kind != "dim" or right.kind != "dim":
            continue
        terms = left.arguments[0].generic.terms
        if right.arguments[0] == 0 and len(terms) == 1 and terms[0][1] == 1:
            for atom, _ in terms[0][0]:
                if atom.kind == "%":
                    found.add((atom.arguments[0].key, atom.arguments[1].key))
    return found


def whole(size: Dim, known: set[tuple[str, str]]) -> Dim:
    """A size whose twin says `a` where it said `a // b * b`, for what divides evenly."""
    twin = size.generic
    if twin is size or not known:
        return size
    total = Dim((), 0)
    for monomial, coefficient in twin.terms:
        total = total + _term_without_division(dict(monomial), known) * coefficient
    return _with_twin(size, total) if twin.terms else size


def _term_without_division(powers: dict[Atom, int], known: set[tuple[str, str]]) -> Dim:
    result = Dim((), 1)
    for atom in list(powers):
        if atom.kind != "//" or powers.get(atom) != 1:
            continue
        above, below = atom.arguments
        if (above.key, below.key) not in known or len(below.terms) != 1:
            continue
        divisor, factor = below.terms[0]
        if factor == 1 and all(powers.get(a, 0) >= p for a, p in divisor):
            for a, p in divisor:
                powers[a] -= p
            powers[atom] = 0
            result = result * above
    for atom, power in powers.items():
        if power:
            result = result * Dim(((((atom, 1),), 1),), None) ** power
    return result


# ---- traces and loops -------------------------------------------------------------------------------


@dataclass(eq=False)
class _Arm:
    """One way of a branch: the traces that went it, and where names met on it."""

    taken: bool
    tracks: list[Track]
    joining: dict[str, merged.Branch]

    def has(self, track: Track) -> bool:
        """Whether a trace, or one that it is a part of, went this way."""
        return any(
            known is own for known in self.tracks for own in (track, *track.lineage)
        )


def _common(types: Sequence[TensorType]) -> TensorType:
    """A type for people: the sizes on which several types agree."""
    first = types[0]
    shape = tuple(
        size
        if all(kind.shape[axis].generic == size.generic for kind in types)
        else symbol("_")
        for axis, size in enumerate(first.shape)
    )
    return TensorType(shape, first.dtype)


def _saved(track: Track) -> tuple[Any, ...]:
    return dict(track.values), dict(track.also), dict(track.names), dict(track.meanings)


def _boxed(values: Mapping[str, Any]) -> dict[str, Any]:
    from nnspec.ir.dims import dim

    return {
        key: dim(value) if type(value) is int else value
        for key, value in values.items()
    }


def _enter(
    track: Track, loop: graph.Loop, place: int, carried: Mapping[str, merged.Carried]
) -> None:
    """A trace at the start of a turn: what the loop carries lies in variables."""
    for name, history in loop.carried.items():
        value = history[place]
        known = track.function.types[value]
        sizes: list[Dim] = []
        for axis, size in enumerate(known.shape):
            key = f"{name}.{axis}@{loop.uid}"
            track.meanings[key] = size.value
            sizes.append(size.value.named(symbol(key)))
        track.types[value] = TensorType(tuple(sizes), known.dtype)
        track.means(value, carried[name].entry)
        track.names[name] = carried[name].entry


def _require_appended(body: Sequence[merged.Item], depth: int) -> None:
    """Layers of a loop are appended to lists: each turn makes all of them, in order of their numbers."""
    numbers: dict[str, list[int]] = {}
    for item in body:
        match item:
            case merged.Branch():
                if _constructs_in([item]):
                    raise Unlike
            case merged.Step() if item.constructs:
                fixed = item.turns[depth:]
                if len(fixed) > 1 or any(turn.index is None for turn in fixed):
                    raise Unlike
                for turn in fixed:
                    assert turn.index is not None
                    numbers.setdefault(item.label, []).append(turn.index)
            case _:
                pass
    if any(found != list(range(len(found))) for found in numbers.values()):
        raise Unlike


def _constructs_in(items: Sequence[merged.Item]) -> bool:
    for item in items:
        match item:
            case merged.Step() if item.constructs:
                return True
            case merged.Branch():
                if _constructs_in([*item.then, *item.otherwise]):
                    return True
            case merged.Loop():
                if _constructs_in(item.body):
                    return True
            case _:
                pass
    return False


def _require_updates(track: Track, loop: graph.Loop, place: int) -> None:
    """Sizes that the constructor counts along must be, after a turn, what the graph says."""
    for name, history in loop.carried.items():
        after = track.function.types[history[place + 1]]
        for axis, size in enumerate(after.shape):
            running = track.function.running.get(f"{name}.{axis}@{loop.uid}")
            if running is None or running.constant or not size.is_constant:
                continue
            update = settle(running.update, track.function.running).generic
            try:
                counted = size_at(update, track.meanings)
            except NoValue:
                raise Unlike from None
            if counted != size.value:
                raise Unlike


def _leave(
    track: Track, loop: graph.Loop, carried: Mapping[str, merged.Carried]
) -> None:
    """A trace behind a loop: what it carried lies in its variables still."""
    for name, history in loop.carried.items():
        value = history[-1]
        track.means(value, carried[name].exit)
        track.names[name] = carried[name].exit
        for axis, size in enumerate(track.function.types[value].shape):
            track.meanings[f"{name}.{axis}@{loop.uid}"] = size.value


def _fix_running(track: Track, loop: graph.Loop, place: int) -> None:
    """In a loop that is written out, a carried size is what it is at that turn."""
    for name, history in loop.carried.items():
        if place >= len(history):
            continue
        for axis, size in enumerate(track.type(history[place]).shape):
            key = f"{name}.{axis}@{loop.uid}"
            track.meanings[key] = size.value
            track.constants[key] = size


def _rolls(track: Track, loop: graph.Loop) -> bool:
    """Whether a loop hands nothing on but by the names that it carries."""
    if loop.iterable is None and not loop.iterations:
        return True
    produced: list[set[int]] = []
    function = track.function
    for iteration in loop.iterations:
        if len(iteration.values) < sum(
            1 for v in loop.variables if not v.startswith("_@")
        ):
            return False
        produced.append(
            {v for i in _nodes(iteration.body) for v in function.nodes[i].outputs}
        )
    inside = {i for iteration in loop.iterations for i in _nodes(iteration.body)}
    everything: set[int] = set[int]().union(*produced)
    last = {history[-1] for history in loop.carried.values()}
    for node in function.nodes:
        if node.id not in inside and any(
            v in everything and v not in last for v in node.values()
        ):
            return False
    for port in function.outputs:
        given = port.values if isinstance(port.values, tuple) else (port.values,)
        if any(v in everything and v not in last for v in given if v is not None):
            return False
    for place, iteration in enumerate(loop.iterations):
        entry = {
            history[place] for history in loop.carried.values() if place < len(history)
        }
        allowed = produced[place] | entry
        for i in _nodes(iteration.body):
            if any(
                v in everything and v not in allowed for v in function.nodes[i].values()
            ):
                return False
    return True


def _makes_layers(function: Function, loop: graph.Loop) -> bool:
    """Whether the turns of a loop have layers of their own."""
    return any(
        function.nodes[number].owns or function.nodes[number].callee is not None
        for iteration in loop.iterations
        for number in _nodes(iteration.body)
    )


def _nodes(items: tuple[graph.Item, ...]) -> list[int]:
    found: list[int] = []
    for item in items:
        match item:
            case graph.Step(node=node):
                found.append(node)
            case graph.Branch(body=body):
                found.extend(_nodes(body))
            case graph.Loop(iterations=iterations):
                for iteration in iterations:
                    found.extend(_nodes(iteration.body))
            case _:
                pass
    return found


def _one_value(tracks: Sequence[Track], name: str) -> bool:
    """Whether a constant is the same in all traces."""
    first = tracks[0].meanings.get(name)
    return all(_equal(track.meanings.get(name), first) for track in tracks[1:])


# ---- candidates -------------------------------------------------------------------------------------


def _distinct(found: Sequence[Any]) -> list[Any]:
    """Each once, by key, in order; the ones that say most first."""
    unique = {item.key: item for item in found}
    return sorted(
        unique.values(), key=lambda item: isinstance(item, Dim) and item.is_constant
    )


def _size_fits(tracks: Sequence[Track], twin: Dim, sizes: Sequence[Dim]) -> bool:
    name = _lone_name(twin)
    if name is not None:
        return all(
            size.value == track.meanings.get(name)
            for track, size in zip(tracks, sizes, strict=True)
        )
    try:
        return all(
            size_at(twin, track.meanings) == size.value
            for track, size in zip(tracks, sizes, strict=True)
        )
    except NoValue:
        return False


def _lone_name(twin: Dim) -> str | None:
    """The symbol that a twin consists of."""
    if len(twin.terms) != 1:
        return None
    ((monomial, coefficient),) = twin.terms
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return atom.symbol if atom.kind == "symbol" and atom.scale == 1 else None


def _folded(term: Term) -> Dim | None:
    """A term without names, as the integer that it is."""
    try:
        found = term_at(term, {})
    except NoValue:
        return None
    return found if isinstance(found, Dim) else None


def _term_fits(tracks: Sequence[Track], term: Term, values: Sequence[Any]) -> bool:
    try:
        return all(
            _equal(term_at(term, track.meanings), value)
            for track, value in zip(tracks, values, strict=True)
        )
    except NoValue:
        return False


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Dim) and isinstance(other, float):
        return one.is_constant and other.is_integer() and int(one) == int(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        ones = cast("tuple[Any, ...]", one)
        others = cast("tuple[Any, ...]", other)
        pairs = zip(ones, others, strict=False)
        return len(ones) == len(others) and all(_equal(a, b) for a, b in pairs)
    return bool(one == other)


def _same_constant(sizes: Sequence[Dim]) -> Dim | None:
    if all(size.value == sizes[0].value for size in sizes):
        return sizes[0].value
    return None


def _with_twin(size: Dim, twin: Dim) -> Dim:
    """A size known by a twin, even one that equals a constant elsewhere."""
    return size.value.named(twin)


def _literal_terms(constants: Mapping[str, Any]) -> dict[str, Term]:
    found: dict[str, Term] = {}
    for name, value in constants.items():
        is_size = isinstance(value, Dim)
        found[name] = (
            Term("dim", (value.generic,)) if is_size else Term("literal", (value,))
        )
    return found


def _names_turns(size: Dim) -> bool:
    """Whether a size is said by what only a turn of a loop knows."""
    return any("@" in name for name in size.symbols())


def _is_literal(value: Any) -> bool:
    try:
        spell_literal(value)
    except Unspellable:
        return False
    return True


def _spells(term: Term) -> bool:
    try:
        spell_term(term, lambda name: tree.Name("name"))
    except Unspellable:
        return False
    return True


def _spells_size(size: Dim) -> bool:
    try:
        spell_size(size, lambda name: tree.Name("name"))
    except Unspellable:
        return False
    return True


def _as_literal(value: Any) -> Expr:
    try:
        return spell_literal(value)
    except Unspellable:
        raise Unlike from None
