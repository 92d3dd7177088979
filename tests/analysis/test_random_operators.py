"""Figures of random compositions of operators are what a real run of the emitted program counts and takes, to the byte.

Real runs, not fake ones: fake kernels lay some results otherwise than the real ones (of `roll`, of batch norms, of
gradients of `glu` and of padding by reflection).
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.framework

from nnspec.analysis.analysis import Analysis  # noqa: E402
from tests.analysis import measured  # noqa: E402
from tests.analysis.counted import counted_flops, inputs_of  # noqa: E402
from tests.analysis.random_operators import random_operators  # noqa: E402
from tests.ir.models import spec  # noqa: E402

SEEDS = {
    "sequence": (0, 1, 9, 20, 25, 27, 32, 33, 34, 35, 135),
    "image": (2, 5, 25, 28, 62, 117),
    "volume": (8, 17, 22, 29),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("kind", "seed"), [(kind, seed) for kind, seeds in SEEDS.items() for seed in seeds]
)
def test_figures_are_what_a_run_takes(kind: str, seed: int, batch: int) -> None:
    model = spec(random_operators(kind, seed))
    sizes = {"B": batch}
    memory = measured.memory_of(measured.built(model), inputs_of(model, sizes))
    truth = {**memory, **counted_flops(model, sizes)}
    analysis = Analysis(model.program)
    assert {name: analysis.at(name, sizes).value for name in truth} == truth
