"""Norms of what lies otherwise than its axes say: what they keep and hold, against what PyTorch does."""

from __future__ import annotations

import pytest

from tests.analysis.test_truth_resampling import compare

# How axes are turned and merged again. PyTorch's RMSNorm makes its result contiguous, so that merging
# them is a copy, but leaves it as it lies where channels lie densest.
TURNED = {
    "heads": ("b (h d) t u -> b h t d u", "b h t d u -> b (h d t u)"),
    "three axes": ("b (h c) t u -> b (t u) (h c)", "b n c -> b (c n)"),
    "channels last": ("b (h c) t u -> b u (h c) t", "b u c t -> b (c t u)"),
    "volumes": ("b (h d) t u -> b u h d t", "b u h d t -> b (h d t u)"),
}


@pytest.mark.framework
@pytest.mark.parametrize("name", TURNED)
def test_root_mean_squares(name: str) -> None:
    turned, merged = TURNED[name]
    compare(
        "model M { input x: [B, 4, 10, 12]\n x = x -> Conv(8, 3, padding=1)\n"
        f' x = x -> rearrange("{turned}", h=2) -> RMSNorm -> exp\n'
        f' output y = x -> rearrange("{merged}") -> gelu }}'
    )
