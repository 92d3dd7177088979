"""Single steps of recurrent layers, as PyTorch composes them on a CPU: products, and changes of their results in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.analysis.memory.machine import Machine, Tensor, needs
from nnspec.analysis.memory.operations.layer import Layer
from nnspec.analysis.memory.operations.pointwise import (
    OUTPUT,
    add,
    empty_like,
    fresh,
    multiply,
    subtract,
)
from nnspec.analysis.memory.operations.products import linear
from nnspec.analysis.memory.operations.views import parts


def lstm_cell(
    machine: Machine, layer: Layer, x: Tensor, states: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The cell `forget * old + enter * candidate`, the state `leave * tanh(cell)`."""
    state, cell = states
    gates = _product(machine, layer, "hh", state)
    gates = _added(machine, gates, _product(machine, layer, "ih", x))
    enter, forget, candidate, leave = (
        _bent(machine, each) for each in _gates(machine, gates, 4)
    )
    del gates
    kept = multiply(machine, forget, cell)
    cell = _added(machine, kept, multiply(machine, enter, candidate))
    return multiply(machine, leave, OUTPUT(machine, cell)), cell


def gru_cell(machine: Machine, layer: Layer, x: Tensor, state: Tensor) -> Tensor:
    """`new + update * (old - new)`, where the new part is `tanh(inputs + reset * product)`."""
    given = _gates(machine, _product(machine, layer, "ih", x), 3)
    read = _gates(machine, _product(machine, layer, "hh", state), 3)
    reset = _bent(machine, _added(machine, read[0], given[0]))
    update = _bent(machine, _added(machine, read[1], given[1]))
    product = _multiplied(machine, read[2], reset)
    new = _bent(machine, add(machine, given[2], product))
    difference = subtract(machine, state, new)
    return _added(machine, _multiplied(machine, difference, update), new)


def _product(machine: Machine, layer: Layer, kind: str, x: Tensor) -> Tensor:
    """The products of all gates with the inputs (`ih`) or with the state (`hh`)."""
    weights = layer.weights
    weight, bias = weights[f"weight_{kind}"], weights.get(f"bias_{kind}")
    return linear(machine, x, weight, bias)


def _gates(machine: Machine, products: Tensor, count: int) -> tuple[Tensor, ...]:
    return parts(machine, products, 1, [products.shape[1] // count] * count)


# ---- in place -------------------------------------------------------------------------------------


def _bent(machine: Machine, x: Tensor) -> Tensor:
    """`sigmoid_` or `tanh_`: the result is kept, which lies where the operand did."""
    result = x.detached()

    def backward(grad: Tensor, kept: Tensor) -> tuple[Tensor]:
        return (fresh(grad, kept),)

    machine.record((x,), (result,), (result,), backward)
    return result


def _added(machine: Machine, x: Tensor, y: Tensor) -> Tensor:
    """`add_`"""
    result = x.detached()

    def backward(grad: Tensor) -> tuple[Tensor, Tensor]:
        return grad, grad

    machine.record((x, y), (result,), (), backward)
    return result


def _multiplied(machine: Machine, x: Tensor, y: Tensor) -> Tensor:
    """`mul_`: what is changed is kept as it was, for the gradient of the other operand."""
    result = x.detached()
    wants = needs(x), needs(y)
    saved = [y] if wants[0] else []
    if machine.recording and wants[1]:
        saved.append(empty_like(x))

    def backward(grad: Tensor, *kept: Tensor) -> list[Tensor | None]:
        return [fresh(grad, *kept[:1]) if each else None for each in wants]

    machine.record((x, y), (result,), saved, backward)
    return result


CELLS: dict[str, Callable[..., Any]] = {
    "nn.LSTMCell": lstm_cell,
    "nn.GRUCell": gru_cell,
}
