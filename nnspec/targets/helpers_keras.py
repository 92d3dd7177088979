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


def top_k(x, k: int, axis: int = -1):
    """The k greatest elements along an axis, in descending order, and their places."""
    if axis in (-1, x.ndim - 1):
        values, indices = ops.top_k(x, k)
        return values, ops.cast(indices, "int64")
    values, indices = ops.top_k(ops.moveaxis(x, axis, -1), k)
    indices = ops.cast(ops.moveaxis(indices, -1, axis), "int64")
    return ops.moveaxis(values, -1, axis), indices


def gather(x, index, axis: int):
    """Elements of one axis, looked up for each place of the axes before it."""
    sizes, rest = ops.shape(index), ops.shape(x)[axis + 1 :]
    places = 1
    for size in sizes[axis:]:
        places = places * size
    shape = (-1, *sizes[1:axis], places, *(1 for _ in rest))
    found = ops.take_along_axis(x, ops.reshape(index, shape), axis=axis)
    return ops.reshape(found, (-1, *sizes[1:], *rest))


def scatter_add(x, index, updates, axis: int):
    """Adds to elements of one axis, for each place of the axes before it."""
    size, rest = ops.shape(x)[axis], ops.shape(x)[axis + 1 :]
    places = 1
    for count in ops.shape(index)[axis:]:
        places = places * count
    index = ops.reshape(index, (-1, places))
    rows = ops.arange(ops.shape(index)[0], dtype=index.dtype)
    index = index + ops.expand_dims(rows * ops.cast(size, index.dtype), 1)
    result = ops.scatter_update(
        ops.reshape(x, (-1, *rest)),
        ops.reshape(index, (-1, 1)),
        ops.reshape(updates, (-1, *rest)),
        reduction="add",
    )
    return ops.reshape(result, ops.shape(x))
