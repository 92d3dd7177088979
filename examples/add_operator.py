"""A new operator, without a change to nnspec: the Fourier mixing of FNet.

    python examples/add_operator.py

An operator is one class: the types of its results, its FLOPs, and how each backend says it. `OPS | {...}` makes it
known to a spec, which is then checked, costed and compiled like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy
import torch
from safetensors.numpy import load
from safetensors.torch import save

import nnspec
from nnspec.ir.types import TensorType
from nnspec.ops import OPS
from nnspec.ops.base import Io, NoFlops, OpError, require_float
from nnspec.pycode.expressions import Expr, Namespace
from nnspec.spec import Spec

SPEC = str(Path(__file__).with_name("fnet.nns"))


class FourierMix(NoFlops):
    """The real part of a Fourier transform over places and channels: [B, T, D] -> [B, T, D].

    Example: `fourier_mix(x)`
    """

    spelling: ClassVar[str | None] = "fourier_mix"
    per_result: ClassVar[int | None] = 0  # transforms are products of another kind

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank != 3:
            raise OpError(f"needs [B, T, D], and got {x}", input="x", code="E0403")
        return x

    def torch(self, io: Io) -> Expr:
        return Namespace("torch.fft").fft2(io["x"]).attribute("real")

    def keras(self, io: Io) -> Expr:
        ops = Namespace("ops")
        return ops.fft2((io["x"], ops.zeros_like(io["x"])))[0]


def main() -> None:
    spec = nnspec.load(SPEC, operators=OPS | {"fourier_mix": FourierMix})
    print(f"{spec.name}: {spec.cost(B=1, T=64)}")
    print(spec.source("torch"))
    print(f"largest difference of the two programs: {difference(spec):.1e}")


def difference(spec: Spec) -> float:
    """How far the two programs are apart, with the same weights and the same tokens."""
    model, twin = spec.torch().eval(), spec.keras()
    tokens = numpy.arange(24).reshape(2, 12)
    twin(tokens)  # makes its variables
    converted = spec.convert_weights(save(model.state_dict()), "torch", "keras")
    weights = load(converted.data)
    for variable in twin.weights:
        variable.assign(weights[variable.path.removeprefix(f"{twin.name}/")])
    with torch.no_grad():
        expected = model(torch.from_numpy(tokens)).numpy()
    found: Any = keras.ops.convert_to_numpy(twin(tokens, training=False))
    return float(abs(found - expected).max())


if __name__ == "__main__":
    main()
