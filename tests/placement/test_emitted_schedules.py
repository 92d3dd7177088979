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


BY_HAND = """{
  "mesh": {"pipeline": 2, "schedule": "1F1B", "microbatches": 2},
  "assignment": {"wte": 0, "blocks.0-1": 0, "blocks.2-3": 1, "layer_norm": 1, "wte.weight": 1, "linear": 1}
}
"""


def test_a_mesh_by_hand_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(BY_HAND)
    compiled(tmp_path, [])
    text = (tmp_path / "placed.py").read_text()
    assert "RANKS = (0, 1)" in text


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"pipeline": 2', '"pipeline": 3', "E1031"),
        ('"1F1B", "microbatches": 2', '"GPipe", "rounds": 2', "E1031"),
        ('"blocks.2-3": 1', '"blocks.2": 1', "E1012"),
        ('"blocks.0-1": 0', '"blocks.0": 1, "blocks.1": 0', "E1017"),
        ('"microbatches": 2', '"microbatches": 1', "E1031"),
        ('"wte": 0', '"wte": 2', "E1012"),
    ],
)
def test_a_wrong_mesh_is_not_compiled(
    tmp_path: Path,
    old: str,
    new: str,
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "plan.json").write_text(BY_HAND.replace(old, new))
    with pytest.raises(AssertionError):
        compiled(tmp_path, [])
    assert f"error[{code}]" in capsys.readouterr().err
    assert not (tmp_path / "placed.py").exists()
