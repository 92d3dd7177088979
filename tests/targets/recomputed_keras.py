"""Trains a step of two emitted models with the same weights and draws, one of which computes blocks again."""

# The frameworks have partial annotations, and the modules are emitted ones.
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false

from __future__ import annotations

import importlib
import json
from functools import wraps
from typing import Any

import keras
import numpy as np

X = np.random.default_rng(0).random((5, 4)).astype("float32")


def prepared(module: Any) -> Any:
    """The model, with weights and states that depend on nothing but their order."""
    model = module.m()
    draw = np.random.default_rng(1)
    for variable in model.variables:
        is_seed = variable.name == "seed_generator_state"
        drawn = draw.random(tuple(variable.shape)) - 0.5
        variable.assign([7, 0] if is_seed else drawn)
    return model


def counting() -> list[int]:
    """How often a dropout has run, from here on."""
    counts = [0]
    dropout = keras.layers.Dropout.call

    @wraps(dropout)  # Keras reads the signature
    def call(*given: Any, **options: Any) -> Any:
        counts[0] += 1
        return dropout(*given, **options)

    keras.layers.Dropout.call = call
    return counts


def gradients(model: Any) -> list[Any]:
    """Gradients of the sum of squares, in training; states move."""
    return GRADIENTS[keras.config.backend()](model)


def tensorflow(model: Any) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(X, training=True) ** 2)
    return tape.gradient(loss, [v.value for v in model.trainable_variables])


def torch(model: Any) -> list[Any]:
    keras.utils.set_random_seed(3)  # the draws of dropout are torch's own
    (model(X, training=True) ** 2).sum().backward()
    return [v.value.grad for v in model.trainable_variables]


def jax(model: Any) -> list[Any]:
    import jax

    trained, state = model.trainable_variables, model.non_trainable_variables

    def loss(values: Any) -> Any:
        pairs = zip(trained, values, strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)) as scope:
            found = (model(X, training=True) ** 2).sum()
        return found, [scope.get_current_value(v) for v in state]

    values = [v.value for v in trained]
    differentiated = jax.grad(loss, has_aux=True)
    REPEATED[0] = str(jax.make_jaxpr(differentiated)(values)).count("remat")
    found, moved = jax.jit(differentiated)(values)
    for variable, value in zip(state, moved, strict=True):
        variable.assign(variable if value is None else value)
    return found


# What JAX computes again stands in its program; the other backends call layers again.
REPEATED = [0]
GRADIENTS = {"tensorflow": tensorflow, "torch": torch, "jax": jax}


def main() -> None:
    """Prints what both models came to."""
    found: dict[str, Any] = {"calls": {}}
    for name in ("plain", "again"):
        module = importlib.import_module(name)
        model = prepared(module)
        counts = counting()
        numpy: Any = keras.ops.convert_to_numpy
        grads = [numpy(g).ravel().tolist() for g in gradients(model)]
        states = [numpy(v).tolist() for v in model.non_trainable_variables]
        found[name] = {"gradients": grads, "states": states}
        is_jax = keras.config.backend() == "jax"
        found["calls"][name] = REPEATED[0] if is_jax else counts[0]
    print(json.dumps(found))


main()
