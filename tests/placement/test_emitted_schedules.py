"""Meshes that are found with each schedule, compiled and run, against the program of one device."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.placement.test_emitted_plans import PIPELINE, TORCHRUN, compiled, said


@pytest.mark.framework
@pytest.mark.parametrize(
    ("schedule", "rounds"),
    [
        ("Interleaved1F1B", 2),
        ("InterleavedZeroBubble", 1),
        ("InterleavedZeroBubble", 3),
        ("ZBVZeroBubble", 2),
    ],
)
def test_a_mesh_with_several_stages_or_halves(
    tmp_path: Path, schedule: str, rounds: int
) -> None:
    axes = f"data=1,tensor=1,microbatches=2,rounds={rounds}"
    compiled(tmp_path, ["--mesh", axes, "--schedule", schedule])
    stages, worst = said(tmp_path, PIPELINE, *TORCHRUN)
    assert stages == 2 * rounds
    assert worst < 2e-6
