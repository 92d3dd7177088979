"""What each operator keeps and makes in memory, against PyTorch, in every case of the contracts.

Rules of memory belong to PyTorch's operations, not to nnspec's; so these cases try the rules of everything
that operators become.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lowering
import pytest
import torch_side
from harness import Draw
from test_contracts import ALL, case_of

from nnspec.analysis.memory.gradients import run_loss
from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.lowered import Evaluation, lower
from nnspec.analysis.memory.machine import (
    Leaf,
    Machine,
    Storage,
    Tensor,
    kept_storages,
    reached,
)
from nnspec.analysis.memory.policy import Modes
from nnspec.ir.dims import Dim
from nnspec.ir.types import DType

pytestmark = pytest.mark.framework

# The draws are in float64, in which PyTorch has no kernel of oneDNN.
MODES = Modes(width=8, onednn=False)
# Circular padding is copied part by part, and the helper for average pooling counts cells on the way.
ROUGH = {"pad", "Conv", "avg_pool", "power", "DropPath"}


@dataclass(frozen=True)
class Bytes:
    """Kept for the backward pass, and peaks of inference and of forward + backward."""

    saved: int
    inference: int
    training: int


def derived(draw: Draw) -> Bytes:
    """By the rules."""
    machine, results = run(draw, recording=False)
    del results
    inference = largest(machine)
    machine, results = run(draw, recording=True)
    kept = kept_storages(reached([each.source for each in results]))
    saved = sum(int(each.size) for each in kept)
    run_loss(machine, results)
    return Bytes(saved, inference, largest(machine))


def largest(machine: Machine) -> int:
    machine.mark()
    return max((int(amount) for amount in machine.peaks.amounts), default=0)


def run(draw: Draw, *, recording: bool) -> tuple[Machine, list[Tensor]]:
    machine = MODES.machine(recording=recording)
    operator = draw.operator
    results = lowering.infer(operator, draw.types)
    weights = {
        name: outside(machine, name, weight.shape, DType.FLOAT, state=True)
        for name, weight in draw.specs.items()
        if weight.trainable
    }
    inputs = [
        outside(machine, str(place), kind.shape, kind.dtype)
        for place, kind in enumerate(lowering.flat_types(draw.types))
    ]
    machine.expected = results
    lowered = lower(operator, draw.types, results, {})
    evaluation = Evaluation(machine, draw.case.op, lowered, inputs, weights, True)
    found = list(evaluation.results())
    shapes = [tuple(map(int, each.shape)) for each in found]
    assert shapes == [tuple(map(int, each.shape)) for each in results]
    return machine, found


def outside(
    machine: Machine,
    name: str,
    sizes: Sequence[Dim],
    dtype: DType,
    *,
    state: bool = False,
) -> Tensor:
    """A weight (which is not counted where it is kept) or an input (which is)."""
    shape = tuple(sizes)
    storage = Storage(machine, machine.bytes(shape, dtype), outside=0, state=state)
    strides = contiguous(shape)
    leaf = Leaf((name,), True, shape, strides) if dtype.is_float else None
    return Tensor(storage, shape, strides, dtype, leaf)


def measured(draw: Draw) -> Bytes:
    """By running PyTorch on tensors that hold nothing."""
    import torch
    from torch._subclasses import FakeTensorMode

    from tests.analysis.measured import saved_bytes

    with FakeTensorMode():
        host = torch_side.make(draw, draw.types).train()
        inputs = [
            torch.empty(array.shape, dtype=getattr(torch, array.dtype.name))
            for array in draw.flat()
        ]
        for each in inputs:
            each.requires_grad_(each.is_floating_point())
        state = [*host.parameters(), *host.buffers(), *inputs]
        with torch.no_grad():
            inference = peak(state, lambda: host(*inputs))
        weights = [*host.parameters(), *host.buffers()]
        saved, outputs = saved_bytes(lambda: host(*inputs), weights)
        if not any(each.requires_grad for each in outputs):
            return Bytes(saved, inference, 0)
        del outputs
        return Bytes(saved, inference, peak(state, lambda: backward(host, inputs)))


def backward(host: Any, inputs: list[Any]) -> None:
    from tests.analysis.measured import total

    total(host(*inputs)).backward()


def peak(state: list[Any], action: Any) -> int:
    from tests.analysis.measured import Live

    live = Live()
    live.watch(state)
    before = live.now
    with live:
        action()
    return live.peak - before


@pytest.mark.parametrize(("module", "index"), ALL)
def test_rules_of_memory_say_what_pytorch_does(module: str, index: int) -> None:
    draw = Draw(case_of(module, index))
    ours, theirs = derived(draw), measured(draw)
    assert ours.saved == theirs.saved
    assert abs(ours.inference - theirs.inference) <= tolerance(draw, theirs.inference)
    if theirs.training:
        assert abs(ours.training - theirs.training) <= tolerance(draw, theirs.training)


def tolerance(draw: Draw, size: int) -> float:
    """The bytes by which a peak may be wrong: none, save where a layer is several operations of PyTorch."""
    if draw.case.op in ROUGH and str(draw.case.id).find("circular") >= 0:
        return size
    return 0.2 * size if draw.case.op in ROUGH else 0


def test_different_cases_keep_different_amounts() -> None:
    cases = importlib.import_module("cases_linear").CASES
    assert len({derived(Draw(case)).saved for case in cases}) > 2
