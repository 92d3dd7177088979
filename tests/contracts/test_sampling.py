"""What is drawn in a pass has the distribution that its manual page states. See `sampled`."""

from __future__ import annotations

import numpy as np
import pytest
from harness import KERAS_BACKENDS, Draw, KerasWorker
from sampled import CASES, CHECKS

pytestmark = pytest.mark.framework
EACH = [pytest.param(i, id=case.id) for i, case in enumerate(CASES)]


@pytest.mark.parametrize("index", EACH)
def test_pytorch(index: int) -> None:
    import torch
    import torch_side

    torch.manual_seed(index)
    draw = Draw(CASES[index])
    (first,) = torch_side.run(draw).outputs
    (second,) = torch_side.run(draw).outputs
    CHECKS[index](draw.flat(), first)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("backend", KERAS_BACKENDS)
@pytest.mark.parametrize("index", EACH)
def test_keras(index: int, backend: str, workers: dict[str, KerasWorker]) -> None:
    draw = Draw(CASES[index])
    for last in draw.orders():
        (first,) = workers[backend].run("sampled", index, last).outputs
        (second,) = workers[backend].run("sampled", index, last).outputs
        CHECKS[index](draw.flat(), first)
        assert not np.array_equal(first, second)
