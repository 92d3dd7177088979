"""What goes in and out of a function that is run on a machine of its own: arguments, results, gradients."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.machine import (
    Leaf,
    Machine,
    Record,
    Storage,
    Tensor,
    kept_storages,
    reached,
)
from nnspec.analysis.memory.peaks import reduced
from nnspec.analysis.memory.rolling import UNKEPT, Rolling, Unlike
from nnspec.analysis.memory.situations import (
    Argument,
    BackwardEffect,
    Context,
    Effect,
    Gradient,
    Result,
    Unread,
)
from nnspec.analysis.uses import Place
from nnspec.ir.dims import ZERO, Dim, total


def unrecorded(context: Context) -> Context:
    """The same call where no graph is built."""
    arguments = tuple(replace(each, needs=False) for each in context.arguments)
    return replace(context, recording=False, arguments=arguments)


def context_of(
    function: str,
    frozen: bool,
    machine: Machine,
    given: Sequence[Tensor],
    used: tuple[bool, ...],
    place: Place,
) -> tuple[Context, list[Storage]]:
    """The situation of a call, and the storages of its arguments by their groups."""
    groups = Groups()
    arguments = tuple(
        _argument(tensor, groups.number(tensor.storage), _first_equal(given, number))
        for number, tensor in enumerate(given)
    )
    context = Context(function, frozen, machine.recording, arguments, used, place)
    return context if machine.recording else unrecorded(context), groups.storages


def _argument(tensor: Tensor, group: int, same: int) -> Argument:
    return Argument(
        tensor.shape,
        tensor.strides,
        tensor.dtype,
        tensor.storage.size,
        tensor.source is not None,
        tensor.storage.state,
        group,
        same,
    )


def _first_equal(given: Sequence[Tensor], number: int) -> int:
    """The first argument whose gradient goes where that of this one does."""
    source = given[number].source
    return next(
        place
        for place, each in enumerate(given)
        if place == number or (each.source is not None and each.source == source)
    )


def inside(machine: Machine, context: Context) -> list[Tensor]:
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


def effect_of(
    machine: Machine, context: Context, results: list[Tensor], given: list[Tensor]
) -> Effect:
    """What a function that has run on a machine of its own came to."""
    groups = Groups()
    found = tuple(_result(each, given, groups) for each in results)
    fresh = groups.storages
    records = reached(
        [r.source for r, u in zip(results, context.used, strict=True) if u]
    )
    kept = list(kept_storages(records))
    inner = [each for each in kept if each.outside is None and each not in fresh]
    return Effect(
        machine.peaks.settled(),
        None if machine.needs_unknown else tuple(reduced(machine.needed)),
        tuple(machine.turns_needed),
        found,
        tuple(each.size for each in fresh),
        total(each.size for each in inner) + besides(machine, records),
        tuple(sorted(each.outside for each in kept if each.outside is not None)),
        tuple(place for place, each in enumerate(fresh) if each in kept),
        tuple(_unread(results, context.used, kept, fresh)),
    )


def _unread(
    results: Sequence[Tensor],
    used: Sequence[bool],
    known: Sequence[Storage],
    fresh: Sequence[Storage],
) -> Iterator[Unread]:
    """What is kept for results that are not used, besides what is known; of loops what the turns keep that were run."""
    places: dict[Storage, tuple[int, ...]] = {}
    for place, result in enumerate(results):
        for storage in () if used[place] else kept_storages(reached([result.source])):
            if storage not in known:
                places[storage] = (*places.get(storage, ()), place)
    sizes: dict[tuple[int, ...], Dim] = {}
    for storage, found in places.items():
        if storage.outside is not None:
            yield Unread(found, ZERO, group=storage.outside)
        elif storage in fresh:
            yield Unread(found, ZERO, fresh=fresh.index(storage))
        else:
            sizes[found] = sizes.get(found, ZERO) + storage.size
    for found, size in sizes.items():
        yield Unread(found, size)


def _result(result: Tensor, given: Sequence[Tensor], fresh: Groups) -> Result:
    """How a result lies; new storages are numbered as they are met."""
    outside = result.storage.outside
    return Result(
        result.shape,
        result.strides,
        result.dtype,
        result.source is not None,
        outside,
        fresh.number(result.storage) if outside is None else -1,
        _passed(result, given),
    )


def _passed(result: Tensor, given: Sequence[Tensor]) -> int | None:
    """The argument whose gradient is that of a result, which is handed through; None where none is."""
    if result.source is None:
        return None
    places = (i for i, each in enumerate(given) if each.source is result.source)
    return next(places, None)


def besides(machine: Machine, records: Sequence[Record]) -> Dim:
    """What turns of loops keep that were not run. Raises `Unlike` where they leave something that is not kept."""
    crossed = {id(each): each for _, each, _ in machine.crossings}.values()
    loops = [each for each in crossed if isinstance(each, Rolling)]
    for loop in loops:
        before, behind = (
            _kept(records, number) + _beside(loops, loop, number)
            for number in loop.turn
        )
        if behind - before != loop.kept_step:
            raise Unlike(UNKEPT)
    kept = [each for each in kept_storages(records) if each.counted]
    more = (each.turn.kept_more(each) for each in kept if each.turn is not None)
    return machine.kept_besides + total(more)


def _kept(records: Sequence[Record], last: int) -> Dim:
    """What operations keep up to a number."""
    kept = kept_storages([each for each in records if each.number <= last])
    return total(each.size for each in kept if each.counted)


def _beside(loops: Sequence[Rolling], loop: Rolling, last: int) -> Dim:
    """What other loops left up to a number, in turns that were not run."""
    ended = [each for each in loops if each is not loop and each.numbers[-1] <= last]
    return total(each.more * each.kept_step for each in ended)


def kept_outside(
    effect: Effect, given: Sequence[Tensor], results: Sequence[Tensor]
) -> list[Storage]:
    """What a function keeps of its arguments and results, as the effect numbers it; results are no longer counted."""
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
    return effect.kept_of(groups, fresh)


def leave(storages: Sequence[Storage], held: Sequence[bool]) -> None:
    """From now on the end of a storage that nobody else holds is counted here."""
    for storage, others in zip(storages, held, strict=True):
        storage.counted = not others


def handed_in(
    machine: Machine, gradient: Gradient, handed: dict[int, Storage]
) -> Tensor:
    """A gradient that is handed in, on the machine of the function."""
    if gradient.group not in handed:
        storage = Storage(machine, gradient.size, outside=gradient.group)
        storage.counted = not gradient.held
        handed[gradient.group] = storage
    return Tensor(
        handed[gradient.group], gradient.shape, gradient.strides, gradient.dtype
    )


def backward_effect(
    machine: Machine, context: Context, leaves: Sequence[object]
) -> BackwardEffect:
    """What a backward pass on a machine of its own came to."""
    fresh = Groups()
    found: list[Gradient | None] = []
    # Where a gradient was given first.
    first: dict[int, int] = {}
    for place, leaf in enumerate(each for each in leaves if isinstance(each, Leaf)):
        first.setdefault(id(leaf.gradient), place)
    for place, leaf in enumerate(leaves):
        gradient = leaf.gradient if isinstance(leaf, Leaf) else None
        if gradient is None or context.arguments[place].same != place:
            found.append(None)
            continue
        storage, group = gradient.storage, gradient.storage.outside
        group = -1 - fresh.number(storage) if group is None else group
        found.append(
            Gradient(
                gradient.shape,
                gradient.strides,
                gradient.dtype,
                storage.size,
                group,
                same=first[id(gradient)],
            )
        )
    taken: dict[int, Dim] = {}
    for key, storage in list(machine.taken.items()):
        if storage.outside is not None:
            inside = machine.taken.unsee(key)
            machine.taken.remove(key)
            taken[storage.outside] = taken.get(storage.outside, ZERO) + inside
    own = machine.taken.storages()
    parameters = total(each.size for each in own) + machine.gradients_besides
    return BackwardEffect(
        machine.peaks.settled(),
        tuple(found),
        parameters,
        machine.taken.beside_views(),
        tuple(taken.items()),
    )


def reference_to(storage: Storage) -> Callable[[], Storage | None]:
    """Finds a storage again if anybody holds it; what this machine does not count, somebody outside holds."""
    return weakref.ref(storage) if storage.counted else lambda: storage


class Tokens:
    """The storages of gradients that are handed over, and whether anybody else holds them."""

    def __init__(self, tensors: Sequence[Tensor | None]) -> None:
        self._groups = Groups()
        for tensor in tensors:
            if tensor is not None:
                self._groups.number(tensor.storage)
        storages = self._groups.storages
        self.references = [reference_to(each) for each in storages]
        self.sizes = [each.size for each in storages]
        self.made: dict[int, Storage] = {}
        self._handed: dict[int, Tensor] = {}

    def describe(self, tensor: Tensor | None, waits: bool = False) -> Gradient | None:
        """How a gradient lies that may wait elsewhere, too."""
        if tensor is None:
            return None
        group = self._groups.number(tensor.storage)
        return Gradient(
            tensor.shape,
            tensor.strides,
            tensor.dtype,
            self.sizes[group],
            group,
            waits=waits,
        )

    def release(self) -> None:
        """Lets go of the storages: those that nobody holds come to their end."""
        self._groups.storages.clear()

    def settled(self, gradient: Gradient | None) -> Gradient | None:
        """A description with what is known once everything is let go."""
        if gradient is None:
            return None
        held = self.references[gradient.group]() is not None
        return replace(gradient, held=held)

    def tensor(self, machine: Machine, gradient: Gradient | None) -> Tensor | None:
        """A gradient that is handed back."""
        if gradient is None:
            return None
        if gradient.same not in self._handed or gradient.same < 0:
            self._handed[gradient.same] = Tensor(
                self.storage(machine, gradient.group, gradient.size),
                gradient.shape,
                gradient.strides,
                gradient.dtype,
            )
        return self._handed[gradient.same]

    def storage(self, machine: Machine, group: int, size: Dim) -> Storage:
        """The storage of a gradient that is handed back, or that parameters take."""
        storage = self.references[group]() if group >= 0 else None
        if storage is None:
            if group not in self.made:
                self.made[group] = Storage(machine, size)
            storage = self.made[group]
        return storage
