"""A whole program on the machine: what it keeps for its backward pass, and the most that lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nnspec.analysis.memory.borders import besides
from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.frame import Frame
from nnspec.analysis.memory.gradients import run_loss
from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.ledger import Owner, by_owner
from nnspec.analysis.memory.machine import (
    Machine,
    Storage,
    Tensor,
    kept_storages,
    reached,
)
from nnspec.analysis.memory.policy import Modes
from nnspec.ir.dims import Dim, Size, maximum, total
from nnspec.ir.graph import Program, values_of
from nnspec.records import dataclass


@dataclass(frozen=True)
class Training:
    """What autograd keeps of a forward pass, and the amounts of which the largest is the peak of forward and backward.

    `beside` is what the storages that the gradients of weights lie in have besides these.
    """

    saved: Dim
    peaks: list[Dim]
    beside: Dim


def inference(calls: Calls) -> list[Dim]:
    """The amounts of which the largest is the peak of a forward pass, weights and inputs left out."""
    machine = calls.machine(recording=False)
    _run(calls, machine)
    machine.mark()
    return machine.peaks.settled().amounts


def training(calls: Calls) -> Training:
    """A forward and a backward pass from the sum of the outputs, weights and inputs left out."""
    machine = calls.machine(recording=True)
    results = _run(calls, machine)
    machine.mark()
    saved = _saved(machine, results)
    run_loss(machine, results)
    return Training(
        saved, machine.peaks.settled().amounts, machine.taken.beside_views()
    )


def saved(calls: Calls) -> Dim:
    """What autograd keeps of a forward pass."""
    machine = calls.machine(recording=True)
    return _saved(machine, _run(calls, machine))


def _saved(machine: Machine, results: list[Tensor]) -> Dim:
    records = reached([each.source for each in results])
    kept = [each for each in kept_storages(records) if each.outside is None]
    return total(each.size for each in kept) + besides(machine, records)


def saved_by_owner(program: Program, modes: Modes) -> Mapping[Owner, Dim]:
    """What autograd keeps of a forward pass, by the nodes that made it."""
    calls = Calls(program, replace(modes, owners=True, watched=False))
    machine = calls.machine(recording=True)
    return by_owner(_saved(machine, _run(calls, machine)))


def peak_by_owner(
    program: Program, modes: Modes, sizes: Mapping[str, Size], *, backward: bool
) -> Mapping[Owner, Dim]:
    """What lives at the peak of a forward pass without gradients, or with `backward` of both passes.

    By the nodes that made it, weights and inputs left out. All sizes must be given.
    """
    calls = Calls(program, replace(modes, owners=True, sizes=sizes))
    machine = calls.machine(recording=backward)
    results = _run(calls, machine)
    machine.mark()
    if backward:
        machine.made_behind(Owner(()))
        run_loss(machine, results)
    peaks = machine.peaks.settled().amounts
    return by_owner(peaks[0]) if peaks else {}


def kept_inside(program: Program, modes: Modes) -> dict[str, Dim]:
    """What a call of each function keeps for its backward pass beside its arguments and results.

    By the function's key; where calls differ, the most of them.
    """
    calls = Calls(program, modes)
    machine = calls.machine(recording=True)
    results = _run(calls, machine)
    found = calls.kept()
    del results
    return {key: maximum(*amounts) for key, amounts in found.items()}


def _run(calls: Calls, machine: Machine) -> list[Tensor]:
    main = calls.program.main
    outputs = values_of(main.outputs)
    frame = Frame(calls, machine, main, main.marks.frozen, tuple(True for _ in outputs))
    given: list[Tensor] = []
    for group, value in enumerate(values_of(main.inputs)):
        kind = machine.sized(main.types[value])
        shape = tuple(size.value for size in kind.shape)
        storage = Storage(machine, machine.bytes(shape, kind.dtype), outside=group)
        given.append(Tensor(storage, shape, contiguous(shape), kind.dtype))
    return frame.run(given)
