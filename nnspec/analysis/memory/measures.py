"""The figures of memory: what lies still (weights, gradients, states), and what comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from nnspec.analysis.memory import run
from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.optimizing import parameters, steps
from nnspec.analysis.memory.peaks import reduced
from nnspec.analysis.memory.policy import Modes
from nnspec.analysis.memory.rolling import Unlike
from nnspec.analysis.optimizers import OPTIMIZERS, state_width
from nnspec.analysis.rules import trainable
from nnspec.analysis.setting import Policy, Setting
from nnspec.analysis.uses import Site
from nnspec.ir.dims import ZERO, Dim, maximum, product, total, without_twins
from nnspec.ir.graph import values_of
from nnspec.ir.types import TensorType
from nnspec.ops.base import Weight

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis

_T = TypeVar("_T")

# PyTorch counts the batches that statistics were taken of, in an int64 beside them.
BATCH_COUNTER = 8


# ---- what lies still ------------------------------------------------------------------------------


def weight_bytes(site: Site, setting: Setting) -> Dim:
    """Parameters and buffers, as the policy stores them."""
    weights = site.weights.values()
    found = total(_stored(each, setting.policy) for each in weights)
    counts = any(not each.trainable for each in weights)
    return found + BATCH_COUNTER if counts else found


def _stored(weight: Weight, policy: Policy) -> Dim:
    """A weight in memory; of integers with a scale for each row, where it is a matrix."""
    elements = product(weight.shape)
    width = policy.weights.bytes
    if policy.weights.is_float:
        return elements * width
    if len(weight.shape) < 2 or not weight.trainable:
        return elements * policy.activations.bytes
    return elements * width + weight.shape[0] * policy.activations.bytes


def gradient_bytes(site: Site, setting: Setting) -> Dim:
    """A gradient for each trained weight on which the loss depends."""
    if not setting.policy.trains:
        return ZERO
    width = setting.policy.gradients.bytes
    return total(each.elements * width for each in parameters(site))


def optimizer_bytes(site: Site, setting: Setting) -> Dim:
    """The optimizer's state, the master copy of all trained weights in it.

    PyTorch makes a state when it first changes a weight, which none without a gradient ever is.
    """
    if not setting.policy.trains:
        return ZERO
    return _states(site, setting) + trainable(site) * setting.policy.master


def _states(site: Site, setting: Setting) -> Dim:
    width = state_width(setting.policy)
    state = OPTIMIZERS[setting.optimizer].state
    return total(state(each, width) for each in parameters(site))


def updated_bytes(site: Site, setting: Setting) -> Dim:
    """What an optimizer's step moves for the weights of a node.

    Gradients are read, states read and written, and so are the weights. Where there are
    master weights, these are read and written, and the others only written.
    """
    policy = setting.policy
    if not policy.trains:
        return ZERO
    weights = policy.weights.bytes * (1 if policy.master else 2) + 2 * policy.master
    elements = total(each.elements for each in parameters(site))
    moved = elements * (weights + policy.gradients.bytes)
    return moved + 2 * _states(site, setting)


def kv_cache(site: Site, setting: Setting) -> Dim:
    """Keys and values that later tokens read again: of causal attention, and of attention across."""
    operator = site.node.op
    assert operator is not None
    if operator.op_name() != "attention":
        return ZERO
    q, k, v = site.types[:3]
    across = k.shape[-2] != q.shape[-2]
    if not (getattr(operator, "causal", False) or across):
        return ZERO
    return (k.elements + v.elements) * setting.policy.bytes(k.dtype)


# ---- what comes and goes --------------------------------------------------------------------------


def modes(setting: Setting, *, training: bool) -> Modes:
    """How a program runs under a setting."""
    return Modes(
        width=setting.policy.activations.bytes,
        training=training,
        fused=setting.attention == "fused",
        drops=setting.dropout == "configured",
    )


def saved_bytes(analysis: Analysis) -> Dim:
    """What autograd keeps of a forward pass in training."""
    if not analysis.setting.policy.trains:
        return ZERO
    if not analysis.runs_alone:
        return _training(analysis).saved
    how = replace(modes(analysis.setting, training=True), watched=False)
    with without_twins():
        return analysis.once("saved", lambda: _run(run.saved, analysis.calls(how)))


def spared_bytes(analysis: Analysis) -> Dim:
    """What autograd would keep besides if `@checkpoint` stood nowhere."""
    plain = _computed_once(analysis)
    if plain is analysis:
        return ZERO
    return plain.figure("saved_bytes") - analysis.figure("saved_bytes")


def spared_peak(analysis: Analysis) -> Dim:
    """What the peak of a training step would have more if `@checkpoint` stood nowhere."""
    plain = _computed_once(analysis)
    if plain is analysis:
        return ZERO
    return plain.figure("train_peak") - analysis.figure("train_peak")


def _computed_once(analysis: Analysis) -> Analysis:
    def make() -> Analysis:
        program = analysis.program.computed_once()
        same = program is analysis.program
        return analysis if same else analysis.of(program)

    return analysis.once("computed once", make)


def _training(analysis: Analysis) -> run.Training:
    return analysis.once(
        "training",
        lambda: _counted(run.training, analysis, training=True),
    )


def inference_activations(analysis: Analysis) -> Dim:
    """The most that a forward pass has alive besides weights and inputs."""
    return _largest(_inference(analysis))


def _inference(analysis: Analysis) -> list[Dim]:
    return analysis.once(
        "inference",
        lambda: _counted(run.inference, analysis, training=False),
    )


def _counted(count: Callable[[Calls], _T], analysis: Analysis, *, training: bool) -> _T:
    with without_twins():
        how = modes(analysis.setting, training=training)
        return _run(count, analysis.calls(how))


def _run(count: Callable[[Calls], _T], calls: Calls) -> _T:
    try:
        return count(calls)
    except Unlike:
        if not calls.rolls:
            raise
        return count(calls.turn_by_turn())


def inference_peak(analysis: Analysis) -> Dim:
    """The most that a forward pass has alive, weights and inputs included."""
    still = base(analysis)
    return _largest(each + still for each in _inference(analysis))


def backward_peak(analysis: Analysis) -> Dim:
    """The most that forward and backward have alive, weights and inputs included."""
    return _largest(_backward(analysis))


def _backward(analysis: Analysis) -> list[Dim]:
    if not analysis.setting.policy.trains:
        return []
    still = base(analysis)
    return [each + still for each in _training(analysis).peaks]


def train_peak(analysis: Analysis) -> Dim:
    """The most that a training step has alive once the optimizer has its state."""
    states = analysis.figure("optimizer_bytes")
    passes = [each + states for each in _backward(analysis)]
    if not passes:
        return ZERO
    still = base(analysis) + states + gradient_storages(analysis)
    return _largest([*passes, *(still + each for each in steps(analysis))])


def gradient_storages(analysis: Analysis) -> Dim:
    """What gradients lie in behind a backward pass: PyTorch takes views as they are, with all that they show.

    Where weights are converted before they are used, none is a view of what is not.
    """
    policy = analysis.setting.policy
    gradients = analysis.figure("gradient_bytes")
    if policy.gradients.bytes != policy.activations.bytes:
        return gradients
    return gradients + _training(analysis).beside


def base(analysis: Analysis) -> Dim:
    """Weights, buffers and inputs, which live all the time."""
    return analysis.figure("weight_bytes") + analysis.known(input_bytes(analysis))


def input_bytes(analysis: Analysis) -> Dim:
    """What a model is given."""
    main = analysis.program.main
    inputs = [main.types[value] for value in values_of(main.inputs)]
    return _bytes(inputs, analysis.setting)


def _bytes(tensors: Iterable[TensorType], setting: Setting) -> Dim:
    return total(
        each.elements.value * setting.policy.bytes(each.dtype) for each in tensors
    )


def _largest(amounts: Iterable[Dim]) -> Dim:
    found = reduced(amounts)
    return maximum(*found) if found else ZERO
