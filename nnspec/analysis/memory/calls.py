"""Functions on the machine: each is run once in each situation, and then only its effect is repeated.

What a function does in memory depends on what it is given: which arguments need a gradient, how they lie,
which of them share a storage. Such a situation is a `Context`; a model of 96 equal layers has one or two
for them all. A call adds what one run of the function came to: its peaks, what it keeps, what it leaves.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nnspec.analysis.memory.frame import Frame
from nnspec.analysis.memory.gradients import run_backward
from nnspec.analysis.memory.layout import Sizes
from nnspec.analysis.memory.lowered import Lowered, lower
from nnspec.analysis.memory.machine import (
    Leaf,
    Machine,
    Record,
    Storage,
    Tensor,
    kept_storages,
    reached,
)
from nnspec.analysis.memory.peaks import Peaks, reduced
from nnspec.analysis.memory.policy import Modes
from nnspec.ir.dims import ZERO, Dim, total
from nnspec.ir.graph import Function, Node, Program
from nnspec.ir.types import DType


@dataclass(frozen=True)
class Argument:
    """How an argument looks from inside: `group` numbers its storage, `same` the first equal argument."""

    shape: Sizes
    strides: Sizes
    dtype: DType
    size: Dim
    needs: bool
    state: bool
    group: int
    same: int


@dataclass(frozen=True)
class Context:
    """A function, what it is given, and which of its results matter for gradients."""

    function: str
    frozen: bool
    recording: bool
    arguments: tuple[Argument, ...]
    used: tuple[bool, ...]


@dataclass(frozen=True)
class Result:
    """How a result lies: in the storage of an argument (`group`), or in a new one (`fresh`)."""

    shape: Sizes
    strides: Sizes
    dtype: DType
    needs: bool
    group: int | None
    fresh: int
    passes: int | None


@dataclass(frozen=True)
class Effect:
    """What a call does: `sizes` of the new storages of its results, `kept` bytes inside besides.

    `kept_groups` and `kept_fresh` number the storages of arguments and results that are kept inside.
    `again` are the peaks of computing it once more, as far as the last operation that keeps something.
    """

    peaks: Peaks
    again: tuple[Dim, ...]
    results: tuple[Result, ...]
    sizes: tuple[Dim, ...]
    kept: Dim
    kept_groups: tuple[int, ...]
    kept_fresh: tuple[int, ...]


@dataclass(frozen=True)
class Gradient:
    """How a gradient lies that is handed in or out: `group` numbers those handed in; -1 is a new storage."""

    shape: Sizes
    strides: Sizes
    dtype: DType
    size: Dim
    group: int
    held: bool = False


@dataclass(frozen=True)
class Behind:
    """The situation of a backward pass: gradients of results, and those that arguments have already.

    `held` tells of each storage that is kept (of groups, then of new ones) whether others keep it too.
    """

    context: Context
    grads: tuple[Gradient | None, ...]
    before: tuple[Gradient | None, ...]
    held: tuple[bool, ...]
    again: bool


@dataclass(frozen=True)
class BackwardEffect:
    """What the backward pass of a call does: gradients of arguments, bytes of those of parameters."""

    peaks: Peaks
    grads: tuple[Gradient | None, ...]
    parameters: Dim


class Calls:
    """The effects of a program's functions, each situation worked out once."""

    def __init__(self, program: Program, modes: Modes) -> None:
        self.program = program
        self.modes = modes
        self._lowered: dict[tuple[str, int], Lowered] = {}
        self._effects: dict[Context, Effect] = {}
        self._behind: dict[Behind, BackwardEffect] = {}

    def machine(self, *, recording: bool) -> Machine:
        """A machine in the modes that are assumed."""
        return self.modes.machine(recording=recording)

    def lowered(self, function: Function, node: Node) -> Lowered:
        """What a node becomes in PyTorch."""
        key = (function.key, node.id)
        if key not in self._lowered:
            assert node.op is not None
            self._lowered[key] = lower(
                node.op, function.node_types(node), function.results(node)
            )
        return self._lowered[key]

    def kept(self) -> dict[str, set[Dim]]:
        """What calls of each function, by its key, were found to keep inside."""
        found: dict[str, set[Dim]] = {}
        for context, effect in self._effects.items():
            if context.recording:
                found.setdefault(context.function, set()).add(effect.kept)
        return found

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
        context, storages = _context(
            node.callee, frozen, machine.recording, given, used
        )
        effect = self.effect(context)
        again = machine.recording and self.program.recomputes(node)
        machine.mark()
        # What is computed again later keeps nothing now.
        now = self.effect(_unrecorded(context)) if again else effect
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
            self._record(
                machine, node, context, effect, given, storages, fresh, results
            )
        return results

    def _record(
        self,
        machine: Machine,
        node: Node,
        context: Context,
        effect: Effect,
        given: list[Tensor],
        storages: Sequence[Storage],
        fresh: Sequence[Storage],
        results: list[Tensor],
    ) -> None:
        edges = [
            tensor if each.needs and each.same == place else None
            for place, (tensor, each) in enumerate(
                zip(given, context.arguments, strict=True)
            )
        ]
        again = self.program.recomputes(node)
        kept = (
            list(storages)
            if again
            else [
                *(storages[group] for group in effect.kept_groups),
                *(fresh[place] for place in effect.kept_fresh),
            ]
        )
        saved = [Tensor(each, (), (), DType.FLOAT) for each in kept]
        lump = Storage(machine, effect.kept) if effect.kept and not again else None

        def call(
            record: Record, grads: list[Tensor | None], before: list[Tensor | None]
        ) -> list[Tensor | None]:
            return self._backward(machine, node, context, record, grads, before)

        flowing = [
            result
            for result, each in zip(results, effect.results, strict=True)
            if each.needs and each.passes is None
        ]
        wants = any(each.needs for each in context.arguments)
        machine.record(
            edges, flowing, saved, None, lump, call, always=bool(flowing) or wants
        )

    def effect(self, context: Context) -> Effect:
        """What a call in a situation does."""
        if context not in self._effects:
            machine = self.machine(recording=context.recording)
            results, given = self._forward(machine, context)
            self._effects[context] = _effect(machine, context, results, given)
        return self._effects[context]

    def _forward(
        self, machine: Machine, context: Context
    ) -> tuple[list[Tensor], list[Tensor]]:
        given = _inside(machine, context)
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
        node: Node,
        context: Context,
        record: Record,
        grads: list[Tensor | None],
        before: list[Tensor | None],
    ) -> list[Tensor | None]:
        machine.mark()
        base = machine.live
        flows = bool(grads)
        grads.extend([None] * (record.results - len(grads)))
        tokens = _Tokens([*grads, *before])
        incoming = [tokens.describe(each) for each in grads]
        having = [tokens.describe(each) for each in before]
        grads.clear()
        before.clear()
        arguments: tuple[Tensor, ...] = ()
        if self.program.recomputes(node):
            # The arguments stay to the end; what is computed again is there at once.
            arguments = record.saved
            base = self._again(machine, context, base) if flows else base
            kept = self._unshared(context)
        else:
            kept = [weakref.ref(tensor.storage) for tensor in record.saved]
        record.saved, record.lump, record.call = (), None, None
        tokens.release()
        if not flows:
            return [tokens.tensor(machine, each) for each in having]
        situation = Behind(
            context,
            tuple(tokens.settled(each) for each in incoming),
            tuple(tokens.settled(each) for each in having),
            tuple(each() is not None for each in kept),
            machine.again or node.path in machine.gradients,
        )
        effect = self.behind(situation)
        del arguments
        for peak in effect.peaks.amounts:
            machine.peaks.add(base + peak)
        if not situation.again and effect.parameters != 0:
            machine.gradients[node.path] = Storage(machine, effect.parameters)
        return [tokens.tensor(machine, each) for each in effect.grads]

    def _again(self, machine: Machine, context: Context, base: Dim) -> Dim:
        """Computes a function again: what lives once it has run."""
        effect = self.effect(context)
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
        if situation not in self._behind:
            self._behind[situation] = self._run_behind(situation)
        return self._behind[situation]

    def _run_behind(self, situation: Behind) -> BackwardEffect:
        context = situation.context
        machine = self.machine(recording=True)
        results, given = self._forward(machine, context)
        effect = self.effect(context)
        leaves = [each.source for each in given]
        outside = _kept_outside(effect, given, results)
        edges = [
            result.source
            for result, each in zip(results, effect.results, strict=True)
            if each.needs and each.passes is None
        ]
        machine.restart()
        machine.again = situation.again
        _leave(outside, situation.held)
        del outside[:], results[:], given[:]
        handed: dict[int, Storage] = {}
        for leaf, gradient in zip(leaves, situation.before, strict=True):
            if gradient is not None and isinstance(leaf, Leaf):
                leaf.gradient = _handed(machine, gradient, handed)
        roots = [
            (edge, _handed(machine, gradient, handed))
            for edge, gradient in zip(edges, situation.grads, strict=True)
            if edge is not None and gradient is not None
        ]
        edges.clear()
        handed.clear()
        run_backward(machine, roots)
        return _backward_effect(machine, context, leaves)


# ---- what goes in and out -------------------------------------------------------------------------


def _unrecorded(context: Context) -> Context:
    """The same call where no graph is built."""
    arguments = tuple(replace(each, needs=False) for each in context.arguments)
    return replace(context, recording=False, arguments=arguments)


def _held() -> object | None:
    return True


def _gone() -> object | None:
    return None


def _context(
    function: str,
    frozen: bool,
    recording: bool,
    given: Sequence[Tensor],
    used: tuple[bool, ...],
) -> tuple[Context, list[Storage]]:
    storages: list[Storage] = []
    arguments: list[Argument] = []
    for place, tensor in enumerate(given):
        group = next(
            (i for i, each in enumerate(storages) if each is tensor.storage), None
        )
        if group is None:
            group = len(storages)
            storages.append(tensor.storage)
        same = next(
            i
            for i, each in enumerate(given)
            if i == place or (each.source is not None and each.source == tensor.source)
        )
        arguments.append(
            Argument(
                tensor.shape,
                tensor.strides,
                tensor.dtype,
                tensor.storage.size,
                recording and tensor.source is not None,
                tensor.storage.state,
                group,
                same,
            )
        )
    return Context(function, frozen, recording, tuple(arguments), used), storages


def _inside(machine: Machine, context: Context) -> list[Tensor]:
    """A function's arguments on its own machine."""
    storages: dict[int, Storage] = {}
    leaves: list[Leaf | None] = []
    found: list[Tensor] = []
    for place, each in enumerate(context.arguments):
        if each.group not in storages:
            storages[each.group] = Storage(
                machine, each.size, outside=each.group, state=each.state
            )
        leaf = leaves[each.same] if each.same < place else None
        if leaf is None and each.needs:
            leaf = Leaf(("argument", place), False, each.shape, each.strides)
        leaves.append(leaf)
        found.append(
            Tensor(storages[each.group], each.shape, each.strides, each.dtype, leaf)
        )
    return found


def _effect(
    machine: Machine, context: Context, results: list[Tensor], given: list[Tensor]
) -> Effect:
    fresh: list[Storage] = []
    found: list[Result] = []
    for result in results:
        storage = result.storage
        group = storage.outside
        place = -1
        if group is None:
            place = next((i for i, s in enumerate(fresh) if s is storage), len(fresh))
            if place == len(fresh):
                fresh.append(storage)
        passes = next(
            (
                i
                for i, each in enumerate(given)
                if result.source is not None and result.source is each.source
            ),
            None,
        )
        found.append(
            Result(
                result.shape,
                result.strides,
                result.dtype,
                result.source is not None,
                group,
                place,
                passes,
            )
        )
    records = reached(
        [r.source for r, u in zip(results, context.used, strict=True) if u]
    )
    kept = list(kept_storages(records))
    inner = [each for each in kept if each.outside is None and each not in fresh]
    return Effect(
        machine.peaks.settled(),
        tuple(reduced(machine.needed)),
        tuple(found),
        tuple(each.size for each in fresh),
        total(each.size for each in inner),
        tuple(sorted(each.outside for each in kept if each.outside is not None)),
        tuple(place for place, each in enumerate(fresh) if each in kept),
    )


def _kept_outside(
    effect: Effect, given: Sequence[Tensor], results: Sequence[Tensor]
) -> list[Storage]:
    groups: dict[int, Storage] = {}
    for tensor in given:
        if tensor.storage.outside is not None:
            groups.setdefault(tensor.storage.outside, tensor.storage)
    fresh: dict[int, Storage] = {}
    for result, each in zip(results, effect.results, strict=True):
        if each.group is None:
            fresh[each.fresh] = result.storage
    for storage in fresh.values():
        storage.counted = False
    return [
        *(groups[group] for group in effect.kept_groups),
        *(fresh[place] for place in effect.kept_fresh),
    ]


def _leave(storages: Sequence[Storage], held: Sequence[bool]) -> None:
    """From now on the end of a storage that nobody else holds is counted here."""
    for storage, others in zip(storages, held, strict=True):
        storage.counted = not others


def _handed(machine: Machine, gradient: Gradient, handed: dict[int, Storage]) -> Tensor:
    if gradient.group not in handed:
        storage = Storage(machine, gradient.size, outside=gradient.group)
        storage.counted = not gradient.held
        handed[gradient.group] = storage
    return Tensor(
        handed[gradient.group], gradient.shape, gradient.strides, gradient.dtype
    )


def _backward_effect(
    machine: Machine, context: Context, leaves: Sequence[object]
) -> BackwardEffect:
    fresh: list[Storage] = []
    found: list[Gradient | None] = []
    for place, leaf in enumerate(leaves):
        gradient = leaf.gradient if isinstance(leaf, Leaf) else None
        if gradient is None or context.arguments[place].same != place:
            found.append(None)
            continue
        storage = gradient.storage
        group = storage.outside
        if group is None:
            known = next((i for i, s in enumerate(fresh) if s is storage), len(fresh))
            if known == len(fresh):
                fresh.append(storage)
            group = -1 - known
        found.append(
            Gradient(
                gradient.shape, gradient.strides, gradient.dtype, storage.size, group
            )
        )
    parameters = total(each.size for each in machine.gradients.values())
    return BackwardEffect(machine.peaks.settled(), tuple(found), parameters)


class _Tokens:
    """The storages of gradients that are handed over, and whether anybody else holds them."""

    def __init__(self, tensors: Sequence[Tensor | None]) -> None:
        self.storages: list[Storage] = []
        for tensor in tensors:
            if tensor is not None and not any(
                each is tensor.storage for each in self.storages
            ):
                self.storages.append(tensor.storage)
        self.references = [weakref.ref(each) for each in self.storages]
        self.sizes = [each.size for each in self.storages]
        self.made: dict[int, Storage] = {}

    def describe(self, tensor: Tensor | None) -> Gradient | None:
        """How a gradient lies."""
        if tensor is None:
            return None
        group = next(i for i, s in enumerate(self.storages) if s is tensor.storage)
        return Gradient(
            tensor.shape, tensor.strides, tensor.dtype, self.sizes[group], group
        )

    def release(self) -> None:
        """Lets go of the storages: those that nobody holds come to their end."""
        self.storages.clear()

    def settled(self, gradient: Gradient | None) -> Gradient | None:
        """A description with what is known once everything is let go."""
        if gradient is None:
            return None
        held = self.references[gradient.group]() is not None
        return Gradient(
            gradient.shape,
            gradient.strides,
            gradient.dtype,
            gradient.size,
            gradient.group,
            held,
        )

    def tensor(self, machine: Machine, gradient: Gradient | None) -> Tensor | None:
        """A gradient that is handed back."""
        if gradient is None:
            return None
        group = gradient.group
        storage = self.references[group]() if group >= 0 else None
        if storage is None:
            if group not in self.made:
                self.made[group] = Storage(machine, gradient.size)
            storage = self.made[group]
        return Tensor(storage, gradient.shape, gradient.strides, gradient.dtype)


__all__ = ["ZERO", "Calls", "Context", "Effect"]
