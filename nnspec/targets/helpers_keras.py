"""Helper functions that emitted Keras files define when they need them. Read as text, never imported."""

# ruff: noqa: F401 -- every helper may use the standard imports of an emitted file
from __future__ import annotations

import keras
from keras import initializers, layers, ops


def dense(units: int, inputs: int, *, name: str) -> layers.Dense:
    """Affine map, weights and bias uniform within 1 / sqrt(inputs)."""
    bound = inputs**-0.5
    return layers.Dense(
        units,
        kernel_initializer=initializers.RandomUniform(-bound, bound),
        bias_initializer=initializers.RandomUniform(-bound, bound),
        name=name,
    )


def embedding(entries: int, width: int, *, name: str) -> layers.Embedding:
    """Rows drawn from N(0, 1)."""
    normal = initializers.RandomNormal(stddev=1.0)
    return layers.Embedding(entries, width, embeddings_initializer=normal, name=name)
