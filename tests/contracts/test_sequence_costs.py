"""FLOPs of attention against what PyTorch counts of its plain kernel, which shows every product."""

from __future__ import annotations

import numpy as np
import pytest
import torch_side
from cases_attention import CASES
from harness import Case, Draw

pytestmark = pytest.mark.framework


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_attention_counts_every_product(case: Case) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        draw = Draw(case)
        outcome = torch_side.run(draw)
    assert outcome.flops == int(draw.operator.flops(*draw.types))
    np.testing.assert_allclose(outcome.outputs[0], draw.oracle()[0], atol=1e-12)
