"""Meshes that are found with each schedule, compiled and run, against the program of one device."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.placement.test_emitted_plans import PIPELINE, TORCHRUN, compiled, said

SCHEDULES = [
    ("Interleaved1F1B", 2),
    ("InterleavedZeroBubble", 1),
    ("InterleavedZeroBubble", 3),
    ("ZBVZeroBubble", 2),
]


@pytest.mark.framework
def test_meshes_with_several_stages_or_halves(tmp_path: Path) -> None:
    names: list[str] = []
    for schedule, rounds in SCHEDULES:
        axes = f"data=1,tensor=1,microbatches=2,rounds={rounds}"
        names.append(f"{schedule}{rounds}")
        plan = ["--mesh", axes, "--schedule", schedule]
        compiled(tmp_path, plan, name=names[-1])
        (tmp_path / "plan.json").unlink()
    stages, worst = said(tmp_path, PIPELINE, names, *TORCHRUN)
    assert stages == sum(2 * rounds for _, rounds in SCHEDULES)
    assert worst < 1e-6
