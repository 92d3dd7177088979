"""How each Keras backend runs a model, and how it differentiates: a forward pass in training mode with its
gradients.

JAX compiles the whole of it. Operation by operation it would compile each on its own at each size, which
takes several times as long.

Each function of `RUNNERS` takes a model and the forward pass, and gives the function of the inputs to
call. Each function of `GRADIENTS` takes the model, the forward pass (which moves the statistics when it
is run), its inputs, the trained variables and a cotangent for each output (none where it is not
differentiated), and gives the outputs and a gradient for each variable.
"""

# TensorFlow, JAX and Keras have no annotations, or partial ones.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnspec.verify.exchange import Array

Inputs = Sequence[Any]
Forward = Callable[[Inputs], Any]
Cotangents = Sequence["Array | None"]


def prepare(backend: str) -> None:
    """What must be set before Keras is imported."""
    if backend == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    if backend == "torch":
        import torch

        torch.set_num_threads(1)


def _as_it_is(model: Any, forward: Forward) -> Forward:
    return forward


def _compiled(model: Any, forward: Forward) -> Forward:
    import jax
    import keras

    @jax.jit
    def pure(values: Any, tensors: Any) -> Any:
        pairs = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return forward(tensors)

    def run(inputs: Inputs) -> Any:
        return pure(_values(model.variables), list(inputs))

    return run


RUNNERS = {"tensorflow": _as_it_is, "jax": _compiled, "torch": _as_it_is}


def _tensorflow(
    model: Any,
    forward: Forward,
    inputs: Inputs,
    variables: Sequence[Any],
    cotangents: Cotangents,
) -> tuple[list[Any], list[Array]]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = forward(inputs)
        pairs = zip(outputs, cotangents, strict=True)
        terms = [
            tf.reduce_sum(o * tf.cast(c, o.dtype)) for o, c in pairs if c is not None
        ]
        loss = tf.add_n(terms) if terms else None
    sources = [variable.value for variable in variables]
    if loss is None or not sources:
        return outputs, _zeros(variables)
    unconnected = tf.UnconnectedGradients.ZERO
    found = tape.gradient(loss, sources, unconnected_gradients=unconnected)
    return outputs, [tf.convert_to_tensor(gradient).numpy() for gradient in found]


def _jax(
    model: Any,
    forward: Forward,
    inputs: Inputs,
    variables: Sequence[Any],
    cotangents: Cotangents,
) -> tuple[list[Any], list[Array]]:
    import jax
    import keras

    chosen = {id(variable) for variable in variables}
    state = [variable for variable in model.variables if id(variable) not in chosen]

    def loss(values: Any, held: Any, tensors: Any, over: Any) -> Any:
        pairs = zip([*variables, *state], [*values, *held], strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)) as scope:
            outputs = forward(tensors)
        moved = [scope.get_current_value(variable) for variable in state]
        both = zip(outputs, over, strict=True)
        terms = [(o * c).sum() for o, c in both if c is not None]
        return sum(terms, start=jax.numpy.zeros(())), (outputs, moved)

    differentiated = jax.jit(jax.grad(loss, has_aux=True))
    arguments = _values(variables), _values(state), list(inputs), list(cotangents)
    found, (outputs, moved) = differentiated(*arguments)
    for variable, value in zip(state, moved, strict=True):
        if value is not None:
            variable.assign(value)
    return outputs, [np.asarray(gradient) for gradient in found]


def _torch(
    model: Any,
    forward: Forward,
    inputs: Inputs,
    variables: Sequence[Any],
    cotangents: Cotangents,
) -> tuple[list[Any], list[Array]]:
    import torch

    outputs = forward(inputs)
    pairs = zip(outputs, cotangents, strict=True)
    terms = [
        (o * torch.from_numpy(np.ascontiguousarray(c)).to(o.dtype)).sum()
        for o, c in pairs
        if c is not None and o.requires_grad
    ]
    values = [output.detach() for output in outputs]
    if not terms or not variables:
        return values, _zeros(variables)
    sources = [variable.value for variable in variables]
    found: Any = torch.autograd.grad(
        torch.stack(terms).sum(), sources, allow_unused=True
    )
    return values, [
        np.zeros(tuple(source.shape)) if gradient is None else gradient.numpy()
        for source, gradient in zip(sources, found, strict=True)
    ]


def _values(variables: Sequence[Any]) -> list[Any]:
    return [variable.value for variable in variables]


def _zeros(variables: Sequence[Any]) -> list[Array]:
    return [np.zeros(tuple(variable.shape)) for variable in variables]


GRADIENTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
