"""Where a framework computes less exactly than float64: one list, for proofs and for contracts of operators."""

from __future__ import annotations

from typing import Literal

from nnspec.records import dataclass

Kind = Literal["output", "gradient"]


@dataclass(frozen=True)
class Measured:
    """An operator that a backend computes less exactly than float64, with what was measured and why.

    `alone` is what its own results or gradients may differ by, `within` those of a model that uses it.
    """

    operator: str
    backend: str
    kind: Kind
    alone: float
    within: float
    why: str


MEASURED: tuple[Measured, ...] = (
    Measured(
        "gelu", "tensorflow", "output", 1e-8, 3e-7, "TensorFlow's sqrt(2) is float32"
    ),
    Measured("gelu", "tensorflow", "gradient", 1e-8, 3e-7, "as its output"),
    Measured(
        "leaky_relu", "tensorflow", "output", 1e-8, 1e-7, "the slope is a float32"
    ),
    Measured("leaky_relu", "tensorflow", "gradient", 1e-8, 1e-7, "as its output"),
    Measured(
        "hard_sigmoid", "tensorflow", "gradient", 1e-7, 1e-7, "PyTorch's 1/6 is float32"
    ),
    Measured("hard_sigmoid", "jax", "gradient", 1e-7, 1e-7, "PyTorch's 1/6 is float32"),
    Measured(
        "celu", "tensorflow", "gradient", 1e-8, 1e-7, "PyTorch's 1/alpha is float32"
    ),
    Measured("celu", "jax", "gradient", 1e-8, 1e-7, "PyTorch's 1/alpha is float32"),
)
"""With Keras on its torch backend both programs run the same kernels, and nothing stands here."""


def allowance(operator: str, backend: str, kind: Kind) -> Measured | None:
    """What is listed for an operator on a backend."""
    sought = (operator, backend, kind)
    return next(
        (m for m in MEASURED if (m.operator, m.backend, m.kind) == sought), None
    )
