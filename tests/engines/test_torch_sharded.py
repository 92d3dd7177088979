"""FSDP2, split linear layers and both, run for real on gloo: outputs and gradients are those of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.targets import emit
from nnspec.targets.classes import factory_name
from nnspec.targets.engines.pairs import pairs
from nnspec.targets.engines.torch_sharded import emit_sharded
from tests.engines.specs import ROOT, gpt2, spec_of

SECONDS = 150


def launched(folder: Path, meshes: list[dict[str, int]], count: int) -> list[Any]:
    spec = gpt2()
    model, sharded = folder / "model.py", folder / "sharded.py"
    model.write_text(emit(spec.program, "torch"))
    sharded.write_text(emit_sharded(spec.program))
    job = {
        "model": str(model),
        "sharded": str(sharded),
        "factory": factory_name(spec.program),
        "shape": (8, 10),
        "ids": 40,
        "processes": count,
        "meshes": meshes,
    }
    (folder / "job.json").write_text(json.dumps(job))
    worker = str(Path(__file__).with_name("sharded_worker.py"))
    done = subprocess.run(
        [sys.executable, worker, str(folder / "job.json")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]


@pytest.mark.framework
@pytest.mark.parametrize(
    ("count", "meshes"),
    [
        (2, [{"data": 2}, {"tensor": 2}]),
        (4, [{"data": 4}, {"data": 2, "tensor": 2}]),
    ],
)
def test_sharded_models_compute_what_one_process_does(
    count: int, meshes: list[dict[str, int]], tmp_path: Path
) -> None:
    said = launched(tmp_path, meshes, count)
    spec = gpt2()
    parameters = int(spec.figure("parameters"))
    split = sum(2 * p.width * 16 + p.width for p in pairs(spec.program))
    for place, mesh in enumerate(meshes):
        found = [process[place] for process in said]
        assert max(each["output"] for each in found) < 1e-12, mesh
        assert max(each["gradient"] for each in found) < 1e-12, mesh
        total = sum(each["elements"] for each in found)
        copies = mesh.get("tensor", 1)
        # Split layers are held once by each group; what is not split, by each of its processes.
        assert total == split + (parameters - split) * copies, mesh


def test_pairs_are_linear_layers_with_elements_between() -> None:
    spec = spec_of(
        """
block Gated(x: [B, D]) { a = x -> up: Linear(4 * D) ; g = x -> gate: Linear(4 * D) -> silu ; return (a * g) -> down: Linear(D) }
model M {
  input x: [B, 8]
  x = x -> one: Linear(16) -> relu -> two: Linear(8)
  x = x -> three: Linear(16) -> LayerNorm -> four: Linear(8)
  x = x -> five: Linear(16) -> Dropout(0.1) -> six: Linear(8)
  y = x -> seven: Linear(16)
  x = y -> gelu -> eight: Linear(8)
  output z = y
  output w = x -> Gated
}
""".replace(" ; ", "\n")
    )
    assert [(pair.columns, pair.rows, pair.width) for pair in pairs(spec.program)] == [
        ("one", "two", 16),
        ("four", "five", 8),
        ("six", "seven", 8),
    ]


def test_every_transformer_has_a_pair_in_each_layer() -> None:
    for path, name, layers in (
        ("specs/vision/vit.nns", "ViTB16", 12),
        ("specs/language/gpt2.nns", "GPT2Small", 12),
    ):
        found = pairs(nnspec.load(str(ROOT / path), name).program)
        assert len(found) == layers, name
        assert {pair.width for pair in found} == {3072}
