"""FSDP2, split linear layers and both, run for real on gloo: outputs and gradients are those of one process."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.targets import emit
from nnspec.targets.classes import factory_name
from nnspec.targets.engines.pairs import pairs
from nnspec.targets.engines.shares import held
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
    for place, mesh in enumerate(meshes):
        found = [process[place] for process in said]
        assert max(each["output"] for each in found) < 1e-12, mesh
        assert max(each["gradient"] for each in found) < 1e-12, mesh
        for rank, each in enumerate(found):
            shapes = held(spec.program, mesh, stood(rank, mesh))
            assert each["shapes"] == {n: list(s) for n, s in shapes.items()}, mesh


def stood(rank: int, mesh: dict[str, int]) -> dict[str, int]:
    """Where a process stands on the axes of a mesh, the last of which runs fastest."""
    place: dict[str, int] = {}
    for axis, size in reversed(mesh.items()):
        rank, place[axis] = divmod(rank, size)
    return place


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
  output w = x -> gated: Gated
}
""".replace(" ; ", "\n")
    )
    assert [(pair.columns, pair.rows, pair.width) for pair in pairs(spec.program)] == [
        (("one",), "two", 16),
        (("four",), "five", 8),
        (("six",), "seven", 8),
        (("gated.up", "gated.gate"), "gated.down", 32),
    ]


def test_every_transformer_has_a_pair_in_each_layer() -> None:
    for path, name, layers in (
        ("specs/vision/vit.nns", "ViTB16", 12),
        ("specs/language/gpt2.nns", "GPT2Small", 12),
        ("specs/language/llama.nns", "Llama2_7B", 32),
    ):
        found = pairs(nnspec.load(str(ROOT / path), name).program)
        assert len(found) == layers, name
        assert len({pair.width for pair in found}) == 1
        assert sum(len(pair.columns) for pair in found) == layers * (
            1 + ("llama" in path)
        )


DRY_RUN = """
import importlib.util, resource, sys, time
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
dist.init_process_group("fake", rank=5, world_size=512, store=FakeStore())
spec = importlib.util.spec_from_file_location("sharded", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
start = time.process_time()
mesh = init_device_mesh("cpu", (64, 8), mesh_dim_names=("data", "tensor"))
model = module.build(getattr(module, sys.argv[2]), mesh, device="meta")
held = sum(weight.to_local().numel() for weight in model.parameters())
print(held, sum(weight.numel() for weight in model.parameters()), time.process_time() - start)
"""


@pytest.mark.framework
def test_a_plan_for_512_processes_is_tried_without_any(tmp_path: Path) -> None:
    """On the fake process group and the meta device: the shards of one of 512, nothing allocated."""
    spec = nnspec.load(str(ROOT / "specs/language/llama.nns"), "Llama2_7B")
    (tmp_path / "sharded.py").write_text(emit_sharded(spec.program))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            DRY_RUN,
            str(tmp_path / "sharded.py"),
            factory_name(spec.program),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    own, whole, seconds = done.stdout.split()
    assert int(whole) == int(spec.figure("parameters"))
    place = {"data": 0, "tensor": 5}
    shapes = held(spec.program, {"data": 64, "tensor": 8}, place).values()
    assert int(own) == sum(math.prod(shape) for shape in shapes)
    assert float(seconds) < 30
