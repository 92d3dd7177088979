"""Laying nodes together: the one step that a node of each trace is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nnspec.targets.merged as merged
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Node, dotted
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.lowering import Construct, Lowered
from nnspec.targets.merging.agreement import Agreement, local_type
from nnspec.targets.merging.joiner import Joiner
from nnspec.targets.merging.traces import Layer, Track, Unlike

Lower = Callable[[Track, Node], Lowered]


class StepMerger:
    """Merges the nodes of several traces."""

    def __init__(self, lower: Lower, agreement: Agreement, joiner: Joiner) -> None:
        self._lower = lower
        self._agreement = agreement
        self._joiner = joiner

    def merged(self, nodes: list[tuple[Track, Node]]) -> merged.Step:
        """The step that several nodes are, one of each trace. Raises `Unlike`."""
        _require_alike([node for _, node in nodes])
        inputs = self._inputs(nodes)
        lowered = [self._lower(track, node) for track, node in nodes]
        tracks, first = [track for track, _ in nodes], nodes[0][1]
        self._note(lowered)
        step = merged.Step(
            label=str(first.path[0]),
            turns=self._turns(nodes),
            constructs=(),
            results=(),
            inputs=inputs,
            outputs=self._outputs(nodes),
            owns=first.owns,
            drafts=lowered[0].results,
            frozen=first.marks.frozen,
            reads_weight=first.weight is not None,
            listed=self._listed(nodes),
            wanted=self._wanted(nodes),
            nodes=tuple((track.function.key, node.id) for track, node in nodes),
            traces=_traces(tracks),
        )
        step.shares = _is_made(step, nodes, lowered)
        if not step.shares:
            step.constructs = self._constructs(tracks, lowered)
        step.results = self._results(tracks, lowered)
        return step

    def ahead(self, tracks: list[Track], layer: Layer) -> merged.Step | None:
        """A step that makes a layer for all traces, and does nothing else; None where they do not all make it alike."""
        uses = [(track, track.first_use(layer)) for track in tracks]
        nodes = [(track, node) for track, node in uses if node is not None]
        if len(nodes) < len(tracks) or len({n.marks.frozen for _, n in nodes}) > 1:
            return None
        unsaid = set(self._agreement.unsaid)
        try:
            lowered = [self._lower(track, node) for track, node in nodes]
            constructs = self._constructs(tracks, lowered)
        except Unlike:
            self._agreement.unsaid = unsaid
            return None
        self._note(lowered)
        return merged.Step(
            label=layer[0],
            turns=layer[1],
            constructs=constructs,
            results=(),
            inputs=(),
            outputs=(),
            owns=True,
            frozen=nodes[0][1].marks.frozen,
            traces=_traces(tracks),
        )

    def _note(self, lowered: Sequence[Lowered]) -> None:
        """Notes what steps hang on that their expressions do not say."""
        self._agreement.unsaid |= {name for low in lowered for name in low.unsaid}
        deciding = {name for low in lowered for name in low.ways.deciding}
        self._agreement.deciding |= deciding
        if all(low.ways.is_one for low in lowered):
            self._agreement.relied |= deciding

    def _turns(self, nodes: list[tuple[Track, Node]]) -> tuple[merged.Turn, ...]:
        track, first = nodes[0]
        rolled = {turn.loop for turn in track.turns if turn.loop is not None}
        found: list[merged.Turn] = []
        for level in range(len(first.loops)):
            numbers = {node.path[level + 1] for _, node in nodes}
            counted = {node.loops[level] for _, node in nodes}
            if counted & rolled:
                # Lists lie in lists as the loops do that count them.
                if {turn.loop for turn in track.turns[level : level + 1]} != counted:
                    raise Unlike
                _require_own(nodes, level)
                found.append(track.turns[level])
            elif len(numbers) == 1:
                # Of a comprehension, a loop that is written out, or a layer from outside.
                found.append(merged.Turn(int(numbers.pop())))
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


def kinds_of(constructs: Sequence[Construct]) -> tuple[Expr, ...]:
    """What the layers of a step are made by."""
    values = (construct.value for construct in constructs)
    return tuple(v.function if isinstance(v, tree.Call) else v for v in values)


def _is_made(
    step: merged.Step, nodes: list[tuple[Track, Node]], lowered: list[Lowered]
) -> bool:
    """Whether the layer of a step is made elsewhere; one that is not counts as made from here on.

    Raises `Unlike` where only some traces have made it on their ways.
    """
    if not step.owns:
        return step.reads_weight
    made = {step.layer in track.made for track, _ in nodes}
    if len(made) > 1:
        raise Unlike
    for (track, node), low in zip(nodes, lowered, strict=True):
        kinds = kinds_of(low.constructs)
        if track.made.setdefault(step.layer, kinds) != kinds:
            raise _unlike_uses(node)
    return made.pop()


def _traces(tracks: list[Track]) -> frozenset[str]:
    return frozenset(track.function.key for track in tracks)


def _require_alike(nodes: list[Node]) -> None:
    """Raises `Unlike` unless nodes come from one place and are of one kind."""
    if len({node.location.span for node in nodes}) > 1:
        raise Unlike
    if len({(type(node.op), len(node.inputs), len(node.path)) for node in nodes}) > 1:
        raise Unlike
    if len({node.path[0] for node in nodes}) > 1:
        raise Unlike


def _require_own(nodes: list[tuple[Track, Node]], level: int) -> None:
    """Raises `Unlike` where what would be made in each turn of a loop is used outside of that turn, too.

    Another loop over the same layers may have more turns, or fewer, for other constants.
    """
    if not all(track.function.stays_in_turn(node, level) for track, node in nodes):
        raise Unlike


def _unlike_uses(node: Node) -> SpecError:
    return SpecError(
        "E0602",
        f"the uses of `{dotted(node.path)}` need different code, and it is one layer",
        node.location,
        hint="make a layer for each rank of input, or do outside of it what depends on rank",
    )
