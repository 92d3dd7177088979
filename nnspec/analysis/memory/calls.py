"""Functions on the machine: each is run once in each situation, and then only its effect is repeated.

What a function does in memory depends on what it is given: which arguments need a gradient, how they lie,
which of them share a storage. Such a situation is a `Context`; a model of 96 equal layers has one or two
for them all. A call adds what one run of the function came to: its peaks, what it keeps, what it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from nnspec.analysis.memory.bodies import Bodies
from nnspec.analysis.memory.borders import (
    Tokens,
    backward_effect,
    context_of,
    effect_of,
    handed_in,
    inside,
    kept_outside,
    leave,
    reference_to,
    unrecorded,
)
from nnspec.analysis.memory.frame import Frame
from nnspec.analysis.memory.gradients import run_backward, summed, take
from nnspec.analysis.memory.machine import Edge, Leaf, Machine, Record, Storage, Tensor
from nnspec.analysis.memory.operations.layer import Stack
from nnspec.analysis.memory.policy import Modes
from nnspec.analysis.memory.rolling import Rolling, Turns, Unlike
from nnspec.analysis.memory.shared import Done
from nnspec.analysis.memory.situations import BackwardEffect, Behind, Context, Effect
from nnspec.analysis.memory.turns import RUN
from nnspec.analysis.uses import Place
from nnspec.ir.dims import ZERO, Dim, total
from nnspec.ir.graph import (
    Function,
    Loop,
    Node,
    Path,
    Program,
)
from nnspec.ir.types import DType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Changing, Course


_Situation = TypeVar("_Situation", Context, Behind)
_Effect = TypeVar("_Effect", Effect, BackwardEffect)


@dataclass(frozen=True)
class _Called:
    """A call in its situation, what it does there, and whether that is done `again` in the backward pass."""

    node: Node
    context: Context
    effect: Effect
    again: bool


class Calls:
    """The effects of a program's functions, each situation worked out once."""

    def __init__(
        self,
        program: Program,
        modes: Modes,
        turns: Mapping[str, Mapping[Loop, Turns]] | None = None,
        stacks: Mapping[str, Mapping[int, Dim]] | None = None,
        courses: Mapping[str, Mapping[Loop, Course]] | None = None,
        *,
        bodies: Bodies | None = None,
        rolls: bool = False,
    ) -> None:
        self.program = program
        # What all runs of the program share.
        self.bodies = bodies or Bodies(program)
        self.modes = modes
        # Whether loops of many turns that are alike are rolled besides.
        self.rolls = rolls
        # By function, and by loop; and how many turns these loops must have at least.
        self._turns = turns or {}
        self._courses = courses or {}
        self.least: dict[Dim, int] = {}
        # The same of nodes that are stacks of layers: what they stand for, and at least must.
        self._stacks = stacks or {}
        self.fewest: dict[Dim, int] = {}
        self._shared = self.bodies.shared(modes, rolls=rolls)
        # What was done in each situation, forward and backward.
        self._done: dict[Context | Behind, Done] = {}

    def machine(self, *, recording: bool, place: Place = ()) -> Machine:
        """A machine in the modes that are assumed, for the function that is called at a place."""
        return self.modes.machine(recording=recording, place=place)

    def turn_by_turn(self) -> Calls:
        """The same, but loops are rolled only where this was said."""
        return Calls(
            self.program,
            self.modes,
            self._turns,
            self._stacks,
            self._courses,
            bodies=self.bodies,
        )

    def changing(
        self, machine: Machine, function: Function, loop: Loop
    ) -> Changing | None:
        """A loop whose sizes change from turn to turn, one of which stands for many."""
        course = self._courses.get(function.key, {}).get(loop)
        return None if course is None else course.run(loop, machine, self._need)

    def rolling(
        self,
        machine: Machine,
        function: Function,
        loop: Loop,
        mattering: frozenset[int],
    ) -> Rolling | None:
        """A loop that stands for more turns than are run; `mattering` are the values that gradients may come from."""
        turns = self._turns.get(function.key, {}).get(loop)
        ran = len(loop.iterations)
        if turns is None and self.rolls and machine.ledger is None:
            turns = self.bodies.of(function).turns_alike(loop, mattering)
            ran = turns.first + RUN + turns.last if turns is not None else ran
        if turns is None:
            return None
        begin, end = turns.first, turns.first + turns.period
        used = self.bodies.of(function).instances(loop)[:ran]
        others = {path for each in (*used[:begin], *used[end:]) for path in each}
        shared = any(not each.isdisjoint(others) for each in used[begin:end])
        return Rolling(turns, machine, ran, shared=shared, note=self._need)

    def _need(self, count: Dim, least: int) -> None:
        self.least[count] = max(least, self.least.get(count, 0))

    def stack(self, function: Function, node: Node) -> Stack | None:
        """What a node stands for that is a stack of any number of layers."""
        count = self._stacks.get(function.key, {}).get(node.id)
        return None if count is None else Stack(count, self._need_layers)

    def _need_layers(self, count: Dim, least: int) -> None:
        self.fewest[count] = max(least, self.fewest.get(count, 0))

    def kept(self) -> dict[str, set[Dim]]:
        """What calls of each function, by its key, were found to keep inside."""
        found: dict[str, set[Dim]] = {}
        for situation, done in self._done.items():
            if isinstance(situation, Context) and situation.recording:
                effect = cast("Effect", done.effect)
                found.setdefault(situation.function, set()).add(effect.kept)
        return found

    def _once(
        self, situation: _Situation, run: Callable[[_Situation], _Effect]
    ) -> _Effect:
        """What is done in a situation, by this run or another one, with all that it takes for granted."""
        ones = self.modes.known
        done = self._done.get(situation) or self._shared.find(situation, ones.names)
        if done is None:
            done = self._first(situation, run)
            self._shared.add(situation, done)
        self._done[situation] = done
        # Whoever runs around it takes as much for granted.
        ones.met |= done.met
        for count, least in done.least.items():
            self._need(count, least)
        for count, least in done.fewest.items():
            self._need_layers(count, least)
        return cast("_Effect", done.effect)

    def _first(
        self, situation: _Situation, run: Callable[[_Situation], _Effect]
    ) -> Done:
        """What is done in a situation, found by running it."""
        ones = self.modes.known
        outer = self.least, self.fewest, ones.met
        self.least, self.fewest, ones.met = {}, {}, set()
        try:
            effect = run(situation)
            met = frozenset(ones.met)
            return Done(effect, self.least, self.fewest, met, met & ones.names)
        finally:
            self.least, self.fewest, ones.met = outer

    # ---- forward ----

    def call(
        self,
        machine: Machine,
        node: Node,
        given: list[Tensor],
        *,
        frozen: bool,
        used: tuple[bool, ...],
    ) -> list[Tensor]:
        """The results of a call."""
        assert node.callee is not None
        machine.made_by(node.id)
        context, storages = context_of(
            node.callee, frozen, machine, given, used, _place_of(machine, node)
        )
        context = self._shared.contexts.setdefault(context, context)
        effect = self.effect(context)
        again = machine.recording and self.program.recomputes(node)
        called = _Called(node, context, effect, again)
        machine.mark()
        needed = machine.amounts()
        if not again:
            needed += [machine.live + each for each in effect.again or ()]
        # What is computed again later keeps nothing now.
        now = self.effect(unrecorded(context)) if again else effect
        for peak in now.peaks.amounts:
            machine.peaks.add(machine.live + peak)
        fresh = [Storage(machine, size) for size in effect.sizes]
        results = [
            Tensor(
                fresh[each.fresh] if each.group is None else storages[each.group],
                each.shape,
                each.strides,
                each.dtype,
                None if each.passes is None else given[each.passes].source,
            )
            for each in effect.results
        ]
        if machine.recording:
            kept = storages if again else effect.kept_of(storages, fresh)
            self._record(machine, called, given, kept, results, needed)
            if not again:
                _keep_unread(effect, machine, storages, fresh, results)
        return results

    def _record(
        self,
        machine: Machine,
        called: _Called,
        given: Sequence[Tensor],
        kept: Sequence[Storage],
        results: Sequence[Tensor],
        needed: list[Dim],
    ) -> None:
        effect, arguments = called.effect, called.context.arguments
        edges = [
            tensor if each.needs and each.same == place else None
            for place, (tensor, each) in enumerate(zip(given, arguments, strict=True))
        ]
        saved = [Tensor(each, (), (), DType.FLOAT) for each in kept]
        inside = ZERO if called.again else effect.kept
        lump = Storage(machine, inside) if inside else None

        if not called.again:
            machine.turns_needed += effect.turns
            machine.needs_unknown |= effect.again is None

        def call(
            record: Record,
            grads: list[Tensor | None],
            before: list[Tensor | None],
            waits: list[bool],
        ) -> list[Tensor | None]:
            return self._backward(machine, called, record, grads, before, waits)

        flowing = [
            result
            for result, each in zip(results, effect.results, strict=True)
            if each.needs and each.passes is None
        ]
        wants = any(each.needs for each in arguments)
        machine.record(
            edges,
            flowing,
            saved,
            None,
            lump,
            call,
            always=bool(flowing) or wants,
            needed=needed,
        )

    def effect(self, context: Context) -> Effect:
        """What a call in a situation does."""
        return self._once(context, self._run)

    def _run(self, context: Context) -> Effect:
        machine = self.machine(recording=context.recording, place=context.place)
        results, given = self._forward(machine, context)
        return effect_of(machine, context, results, given)

    def _forward(
        self, machine: Machine, context: Context
    ) -> tuple[list[Tensor], list[Tensor]]:
        given = inside(machine, context)
        function = self.program.functions[context.function]
        frame = Frame(self, machine, function, context.frozen, context.used)
        results = frame.run(given)
        del frame
        machine.mark()
        return results, given

    # ---- backward ----

    def _backward(
        self,
        machine: Machine,
        called: _Called,
        record: Record,
        grads: list[Tensor | None],
        before: list[Tensor | None],
        waits: list[bool],
    ) -> list[Tensor | None]:
        machine.mark()
        context, path = called.context, called.node.path
        base = machine.live
        flows = bool(grads)
        missing = record.results - len(grads)
        grads.extend([None] * missing)
        waits.extend([False] * missing)
        tokens = Tokens([*grads, *before])
        incoming = [*map(tokens.describe, grads, waits)]
        having = [tokens.describe(each) for each in before]
        grads.clear()
        before.clear()
        arguments: tuple[Tensor, ...] = ()
        if called.again:
            # The arguments stay to the end; what is computed again is there at once.
            arguments = record.saved
            base = self._again(machine, context, base) if flows else base
            kept = self._unshared(context)
        else:
            kept = [reference_to(tensor.storage) for tensor in record.saved]
        record.saved, record.lump, record.call = (), None, None
        tokens.release()
        if not flows:
            return [tokens.tensor(machine, each) for each in having]
        situation = Behind(
            context,
            tuple(tokens.settled(each) for each in incoming),
            tuple(tokens.settled(each) for each in having),
            tuple(each() is not None for each in kept),
            machine.again or machine.taken.has_of(path),
        )
        effect = self.behind(situation)
        del arguments
        for peak in effect.peaks.amounts:
            machine.peaks.add(base + peak)
        if situation.again:
            summed(machine, path)
        else:
            _take_own(machine, path, effect)
        for group, elements in effect.taken:
            storage = tokens.storage(machine, group, tokens.sizes[group])
            take(machine, path, (*path, "", group), storage, elements)
        return [tokens.tensor(machine, each) for each in effect.grads]

    def _again(self, machine: Machine, context: Context, base: Dim) -> Dim:
        """Computes a function again: what lives once it has run."""
        effect = self.effect(context)
        if effect.again is None:
            turns = self._turns.get(context.function, {}).values()
            courses = self._courses.get(context.function, {}).values()
            raise Unlike(
                "how far a loop is computed again is not known",
                frozenset(each.loop for each in (*turns, *courses)) or None,
            )
        for count, least in effect.turns:
            self._need(count, least)
        for peak in effect.again:
            machine.peaks.add(base + peak)
        results = total(effect.sizes[place] for place in effect.kept_fresh)
        return base + effect.kept + results

    def _unshared(self, context: Context) -> list[Callable[[], object | None]]:
        """Who else keeps what a function keeps that was computed again: its arguments are held besides."""
        effect = self.effect(context)
        held: list[Callable[[], object | None]] = [_held for _ in effect.kept_groups]
        return [*held, *(_gone for _ in effect.kept_fresh)]

    def behind(self, situation: Behind) -> BackwardEffect:
        """What the backward pass of a call in a situation does."""
        return self._once(situation, self._run_behind)

    def _run_behind(self, situation: Behind) -> BackwardEffect:
        context = situation.context
        machine = self.machine(recording=True, place=context.place)
        results, given = self._forward(machine, context)
        effect = self.effect(context)
        leaves = [each.source for each in given]
        outside = kept_outside(effect, given, results)
        edges = [
            result.source if used else None
            for result, each, used in zip(
                results, effect.results, context.used, strict=True
            )
            if each.needs and each.passes is None
        ]
        leave(outside, situation.held)
        # What is kept for results that nothing reads is gone before the backward pass.
        del outside[:], results[:], given[:]
        machine.restart()
        machine.again = situation.again
        handed: dict[int, Storage] = {}
        for leaf, gradient in zip(leaves, situation.before, strict=True):
            if gradient is not None and isinstance(leaf, Leaf):
                leaf.gradient = handed_in(machine, gradient, handed)
        roots: list[tuple[Edge, Tensor]] = []
        elsewhere: list[Tensor] = []
        for edge, gradient in zip(edges, situation.grads, strict=True):
            if edge is not None and gradient is not None:
                roots.append((edge, handed_in(machine, gradient, handed)))
                elsewhere.extend([roots[-1][1]] if gradient.waits else [])
        edges.clear()
        handed.clear()
        run_backward(machine, roots, elsewhere)
        return backward_effect(machine, context, leaves)


def _take_own(machine: Machine, path: Path, effect: BackwardEffect) -> None:
    """The gradients that the weights of a call have for the first time, in storages of their own."""
    if effect.parameters != 0:
        made = Storage(machine, effect.parameters)
        take(machine, path, path, made, effect.parameters - effect.beside)


def _keep_unread(
    effect: Effect,
    machine: Machine,
    groups: Sequence[Storage],
    fresh: Sequence[Storage],
    results: Sequence[Tensor],
) -> None:
    """Results that nothing reads have operations of their own, which keep what is kept for these alone."""
    saved: dict[int, list[Tensor]] = {}
    for each in effect.unread:
        if each.group is not None:
            storage = groups[each.group]
        elif each.fresh is not None:
            storage = fresh[each.fresh]
        else:
            storage = Storage(machine, each.size)
        for place in each.places:
            saved.setdefault(place, []).append(Tensor(storage, (), (), DType.FLOAT))
    for place, kept in saved.items():
        source = results[place].source
        if isinstance(source, tuple):
            call, _ = source
            alone = Record(call.number, call.edges, call.shapes, tuple(kept), None, 1)
            results[place].source = alone, 0


def _place_of(machine: Machine, node: Node) -> Place:
    """Where a function is called, if that matters."""
    return () if machine.ledger is None else (*machine.ledger.place, node.id)


def _held() -> object | None:
    return True


def _gone() -> object | None:
    return None
