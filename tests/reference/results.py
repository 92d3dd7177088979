"""What emitted programs compute with weights of a reference, and how near that must be."""

from __future__ import annotations

from typing import Any

import numpy
import torch
from torch import Tensor

from nnspec.spec import Spec
from tests.reference import carry

TOLERANCE = 1e-5


def torch_result(
    spec: Spec, weights: dict[str, Tensor], inputs: Tensor
) -> numpy.ndarray:
    """What the emitted PyTorch program computes with these weights, all of which it must have."""
    model = spec.torch().eval()
    counts = {k: v for k, v in model.state_dict().items() if k.endswith(carry.COUNT)}
    model.load_state_dict({**counts, **weights})
    with torch.no_grad():
        return model(inputs).numpy()


def keras_result(
    spec: Spec, weights: dict[str, Tensor], inputs: Tensor
) -> numpy.ndarray:
    """What the emitted Keras program computes; images go in with their channels last."""
    array = keras_input(inputs)
    model = spec.keras()
    model(array[:1])  # makes its variables
    carry.to_keras(spec, weights, model)
    return keras_array(model(array, training=False))


def keras_input(inputs: Tensor) -> numpy.ndarray:
    """An input as Keras takes it: images with their channels last."""
    array = inputs.numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def keras_array(value: Any) -> numpy.ndarray:
    """A tensor of Keras as an array."""
    import keras

    array: Any = keras.ops.convert_to_numpy(value)
    return array


def assert_equal(found: numpy.ndarray, expected: Tensor | numpy.ndarray) -> None:
    """Equal to 1e-5, relative to the largest value that is expected."""
    wanted = numpy.asarray(expected)
    assert found.shape == wanted.shape
    assert numpy.abs(wanted).max() > 0
    error = numpy.abs(found - wanted).max() / max(1.0, numpy.abs(wanted).max())
    assert error < TOLERANCE
