"""Meshes and pipelines, run for real on gloo: outputs, gradients and weights are those of one process.

What each process holds and sends is what was predicted, as integers.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.cli.main import main
from nnspec.diagnostics import SpecError
from nnspec.targets.engines.communication import Step
from nnspec.targets.engines.shares import held_elements
from nnspec.targets.engines.stage_traffic import fetches
from nnspec.targets.engines.torch_sharded import MeshShape, emit_mesh
from nnspec.targets.engines.torch_stages import emit_pipeline, staged_plans
from nnspec.targets.writing.classes import factory_name
from tests.engines.specs import (
    LOST,
    MIXED,
    MLP,
    NORMS,
    ROOT,
    UNET,
    even,
    gpt2,
    llama,
    recomputed,
    spec_of,
)
from tests.engines.torch_runs import Run, launched, launched_jobs

CLOSE = 1e-12
"""In float64; what is asked is 1e-6."""


def staged(
    name: str, ranks: tuple[int, ...], schedule: str, data: int = 1, tensor: int = 1
) -> Run:
    shape = MeshShape(data, tensor, max(ranks) + 1, microbatches=4 // data)
    return Run(name, shape, schedule, ranks)


HALVES = "InterleavedZeroBubble"
RUNS = [
    # Two processes: each axis alone, and every schedule.
    Run("bert", MeshShape(tensor=2)),
    Run("recomputed", MeshShape(tensor=2)),
    Run("recomputed", MeshShape(data=2, sharded="weights", microbatches=2)),
    Run("recomputed scores", MeshShape(tensor=2)),
    Run("scores", MeshShape(tensor=2)),
    Run("twice", MeshShape(tensor=2)),
    Run("swin", MeshShape(tensor=2)),
    Run("t5", MeshShape(tensor=2)),
    Run("unet", MeshShape(data=2)),
    Run("mlp", MeshShape(data=2, sharded="weights", microbatches=2)),
    Run("gpt2", MeshShape(data=2, sharded="states", microbatches=2)),
    Run("unet", MeshShape(data=2, sharded="gradients", microbatches=2)),
    *(
        Run("nested", MeshShape(data=2, sharded=sharded, microbatches=2))
        for sharded in ("weights", "gradients", "states", "nothing")
    ),
    Run("mlp", MeshShape(tensor=2)),
    Run("gpt2", MeshShape(tensor=2, microbatches=2)),
    Run("llama", MeshShape(tensor=2)),
    Run("mixed", MeshShape(tensor=2)),
    Run("translator", MeshShape(tensor=2, microbatches=2)),
    staged("mlp", (0, 1), "GPipe"),
    staged("gpt2", (0, 1), "1F1B"),
    staged("gpt2", (0, 1, 0, 1), "Interleaved1F1B"),
    staged("gpt2", (0, 1, 0, 1), "InterleavedZeroBubble"),
    staged("mlp", (0, 1, 1, 0), "ZBVZeroBubble"),
    staged("unet", (0, 1), "1F1B"),
    staged("translator", (0, 1), "GPipe"),
    staged("lost", (0, 1, 0, 1), HALVES),
    # Three: values that skip a stage, and tied weights at both ends.
    staged("unet", (0, 1, 2), "GPipe"),
    staged("gpt2", (0, 1, 2), "1F1B"),
    # Four: two axes at once.
    Run("gpt2", MeshShape(data=2, tensor=2, sharded="weights", microbatches=2)),
    Run("llama", MeshShape(data=2, tensor=2, sharded="states", microbatches=2)),
    Run("llama", MeshShape(data=2, tensor=2, sharded="gradients")),
    Run("mlp", MeshShape(data=2, tensor=2)),
    Run("gpt2", MeshShape(tensor=4)),
    Run("bert", MeshShape(data=2, tensor=2)),
    Run("scores", MeshShape(tensor=4)),
    Run("scores", MeshShape(data=2, tensor=2, sharded="gradients", microbatches=2)),
    Run("swin", MeshShape(data=2, tensor=2, sharded="states")),
    Run("t5", MeshShape(data=2, tensor=2, sharded="weights", microbatches=2)),
    staged("scores", (0, 1), "GPipe", tensor=2),
    Run("recomputed", MeshShape(data=2, tensor=2, sharded="weights", microbatches=2)),
    staged("swin", (0, 1), "GPipe", tensor=2),
    staged("t5", (0, 1), "1F1B", tensor=2),
    staged("unet", (0, 1), "1F1B", data=2),
    staged("gpt2", (0, 1, 0, 1), "InterleavedZeroBubble", tensor=2),
    staged("llama", (0, 1), "GPipe", tensor=2),
    Run("gpt2", MeshShape(2, 1, 2, "states", 2), "1F1B", (0, 1)),
    *(
        Run("gpt2", MeshShape(2, 1, 2, sharded, 2), "Interleaved1F1B", (0, 1, 0, 1))
        for sharded in ("states", "gradients", "weights")
    ),
    Run("gpt2", MeshShape(2, 1, 2, "states", 2), "InterleavedZeroBubble", (0, 1, 0, 1)),
    Run("mlp", MeshShape(2, 1, 2, "states", 2), "ZBVZeroBubble", (0, 1, 1, 0)),
    # Blocks that are gathered more often than once in a pass, and stages that are.
    Run("nested", MeshShape(2, 1, 2, "weights", 2), "1F1B", (0, 1)),
    Run("nested", MeshShape(2, 1, 2, "gradients", 2), "1F1B", (0, 1)),
    Run("chain", MeshShape(2, 1, 2, "states", 4), "Interleaved1F1B", (0, 1) * 4),
    # Stages that go back as a whole where others do so in halves.
    staged("recomputed deep", (0, 1), HALVES, tensor=2),
    # What is refused, since the engine does not give the last stage its gradients.
    *(
        Run("blocks", MeshShape(2, 1, 2, sharded, 2), HALVES, (0, 1), True)
        for sharded in ("gradients", "weights")
    ),
]


HEADS = frozenset({"bert", "scores", "swin", "t5"})
"""Models whose attention reads masks, biases and tables, or is written out."""


@pytest.mark.framework
@pytest.mark.parametrize(
    ("count", "heads"), [(2, False), (2, True), (3, False), (4, False), (4, True)]
)
def test_processes_compute_what_one_does(
    count: int, heads: bool, tmp_path: Path
) -> None:
    own = [run for run in RUNS if run.shape.processes == count]
    runs = [run for run in own if (run.name in HEADS) is heads]
    for run, found in zip(runs, launched(tmp_path, runs), strict=True):
        (_check_lost if run.is_lost else _check)(run, found)


def _check_lost(run: Run, found: list[dict[str, Any]]) -> None:
    """The first stage goes back as a whole; in the last one FSDP2 scatters too early, or has no weights."""
    first, last = found[:2], found[2:]
    assert all(each["missing"] == 0 for each in first), run
    assert max(each["gradient"] for each in first) < CLOSE, run
    assert all(each["missing"] for each in last), run


def _check(run: Run, found: list[dict[str, Any]]) -> None:
    assert max(each["gradient"] for each in found) < CLOSE, run
    outputs = [each["output"] for each in found if each["output"] is not None]
    last = run.shape.processes // run.shape.pipeline
    assert len(outputs) == (run.shape.processes if run.schedule is None else last), run
    assert max(outputs) < CLOSE, run
    assert all(each["back"] for each in found), run
    parts = run.shape.microbatches
    refused = f"does not divide into {parts}" if parts > 1 else ""
    assert all(refused in each["refused"] for each in found), run
    for rank, each in enumerate(found):
        assert each["shapes"] == run.shapes(rank), (run, rank)
        traffic = {k: [m.count, m.bytes] for k, m in run.traffic(rank).items()}
        assert each["counted"] == traffic, (run, rank)
        collectives = sum(n for k, (n, _) in traffic.items() if k != "send")
        assert each["debug"] == collectives, (run, rank)
    if run.schedule is None:
        assert max(each["loss"] for each in found) < CLOSE, run
        assert all(each["drawn"] == found[0]["drawn"] for each in found), run
    else:
        _check_names(run.spec, found)


DROPS = """
block Layer(x: [B, T, D], heads: int) {
  q, k, v = x -> qkv: Linear(3 * D) -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  y = attention(q, k, v, causal=true, dropout=0.3) -> rearrange("b h t d -> b t (h d)") -> proj: Linear(D)
  x = x + (y -> Dropout(0.2))
  y = x -> up: Linear(4 * D) -> gelu -> Dropout(0.4) -> down: Linear(D)
  return x + (y -> DropPath(0.1))
}
model Drops {
  input x: [B, 6, 16]
  for _ in range(2) { x = x -> layers: Layer(4) }
  output y = x
}
"""


@pytest.mark.framework
@pytest.mark.parametrize("text", [DROPS, recomputed(DROPS)])
def test_shares_are_dropped_apart(text: str, tmp_path: Path) -> None:
    """Each process draws for its heads and features what no other does, and all draw alike elsewhere."""
    program = spec_of(text).program
    (tmp_path / "drops.py").write_text(emit_mesh(program, MeshShape(tensor=2)))
    job = {
        "kind": "draws",
        "program": str(tmp_path / "drops.py"),
        "factory": factory_name(program),
        "shape": (4, 6, 16),
        "ids": [0],
        "processes": 2,
    }
    for (found,) in launched_jobs(tmp_path, [job]):
        assert found["gradient"] < CLOSE
        assert found["output"] < CLOSE
        assert found["alike"]


def _check_names(spec: Any, found: list[dict[str, Any]]) -> None:
    """The processes hold the weights of the whole model, by their names there."""
    names = {name for each in found for name in each["names"]}
    state = spec.torch().state_dict(keep_vars=True)
    first = {id(weight): name for name, weight in reversed(state.items())}
    assert set(first.values()) <= names <= set(state)


# ---- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shape", "code"),
    [
        (MLP, MeshShape(), "E1018"),
        (NORMS, MeshShape(data=2), "E1034"),
        (NORMS, MeshShape(data=2, microbatches=2), "E1030"),
        (UNET, MeshShape(tensor=2), "E1035"),
        (MLP, MeshShape(tensor=3), "E1035"),
    ],
)
def test_meshes_that_are_refused(text: str, shape: MeshShape, code: str) -> None:
    with pytest.raises(SpecError) as found:
        emit_mesh(spec_of(text).program, shape)
    assert found.value.diagnostic.code == code


@pytest.mark.parametrize("sharded", ["gradients", "weights"])
def test_shards_under_a_schedule_in_halves(sharded: Any) -> None:
    shape, schedule = MeshShape(2, 1, 2, sharded, 2), "InterleavedZeroBubble"
    with pytest.raises(SpecError) as found:
        emit_pipeline(gpt2().program, even(gpt2(), 4), (0, 1, 0, 1), schedule, shape)
    assert found.value.diagnostic.code == "E1031"


def test_stages_that_do_not_go_back_in_halves() -> None:
    """Those with blocks that are computed again, and those whose inputs have no gradient to start from."""
    ranks = (0, 1)
    for text, stages, undivided in (
        (MIXED, [0, 0, 1], False),
        (recomputed(MIXED), [0, 0, 1], True),
        (LOST, [0, 0, 0, 1], False),
        (LOST, [0, 1, 1, 1], True),
    ):
        program = spec_of(text).program
        source = emit_pipeline(program, stages, ranks, HALVES)
        assert ("UNDIVIDED = (1,)" in source) is undivided
        assert "UNDIVIDED" not in emit_pipeline(program, stages, ranks, "1F1B")


def test_stages_that_schedules_gather_again() -> None:
    """Of the stages of a process, the weights of three are there at once."""
    run = Run("chain", MeshShape(2, 1, 2, "states", 4), "Interleaved1F1B", (0, 1) * 4)
    assert [fetches(run.orders[0], stage) for stage in (0, 2, 4, 6)] == [4, 3, 3, 1]


def test_stages_split_what_the_model_splits() -> None:
    """The rotary tables that a stage is given have no gradient there either."""
    spec = llama()
    plans = staged_plans(spec.program, even(spec, 2), MeshShape(1, 2, 2)).plans
    split = {path for plan in plans for path in plan.styles}
    assert split == set(TensorPlan(spec.program, 2).styles)


@pytest.mark.slow
def test_programs_of_meshes_are_formatted_and_clean(tmp_path: Path) -> None:
    for number, run in enumerate(RUNS):
        (tmp_path / f"program{number}.py").write_text(run.source(run.spec))
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--select", "F,E,I,B,UP", "--line-length", "100"]
    for command in (["check", *rules], ["format", "--isolated", "--check"]):
        found = subprocess.run(
            [*ruff, *command, "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stdout[:3000]


def test_programs_of_meshes_are_the_same_every_time() -> None:
    shape = MeshShape(data=2, tensor=2, sharded="weights")
    assert emit_mesh(gpt2().program, shape) == emit_mesh(gpt2().program, shape)


# ---- before anyone rents the machines -----------------------------------------------------------------

DRY_RUN = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch_worker import counted, loaded, mean_square

dist.init_process_group("fake", rank=5, world_size=512, store=FakeStore())
module = loaded(sys.argv[2])
start = time.process_time()
mesh = module.make_mesh()
model = module.build(getattr(module, sys.argv[3]), mesh, device="meta")
weights = list(model.parameters())
held = sum(module.local(weight).numel() for weight in weights)
seconds = time.process_time() - start
whole = sum(weight.numel() for weight in weights)
module = loaded(sys.argv[4])
model = module.build(module.llama, module.make_mesh())
tokens, target = torch.zeros(2, 6, dtype=torch.int64), torch.zeros(2, 6, 64)
_, said = counted(lambda: module.step(model, mean_square, tokens, target=target))
print(json.dumps([held, whole, seconds, said]))
"""


@pytest.mark.framework
def test_a_plan_for_512_processes_is_tried_without_any(tmp_path: Path) -> None:
    """On the fake process group: the shares of one of 512 (on the meta device), and a step of a small model."""
    path, plan = f"{ROOT}/specs/language/llama.nns:Llama2_7B", str(tmp_path / "p.json")
    place = ["place", path, "--cluster", "64x8xh200", "B=512", "T=4096"]
    axes = "data=64,tensor=8,pipeline=1,sharded=weights"
    assert main([*place, "--mesh", axes, "--policy", "mixed_bf16", "-o", plan]) == 0
    program = str(tmp_path / "placed.py")
    command = ["compile", "--target", "torch", path, "--plan", plan]
    assert main([*command, "-o", program]) == 0
    spec = nnspec.load(str(ROOT / "specs/language/llama.nns"), "Llama2_7B")
    tried = MeshShape(64, 8, 1, "weights", 2)
    few = llama(heads=8, kv_heads=8, width=64, hidden=64, vocab=64)
    (tmp_path / "small.py").write_text(emit_mesh(few.program, tried))
    names = [program, factory_name(spec.program), str(tmp_path / "small.py")]
    done = subprocess.run(
        [sys.executable, "-c", DRY_RUN, str(Path(__file__).parent), *names],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    own, whole, seconds, said = json.loads(done.stdout)
    assert whole == int(spec.figure("parameters"))
    mesh = json.loads(Path(plan).read_text())["mesh"]
    shape = MeshShape(mesh["data"], mesh["tensor"], 1, mesh["sharded"])
    assert own == held_elements(TensorPlan(spec.program, 8), shape, 0)
    assert math.isclose(own * 512, whole, rel_tol=0.02)
    assert seconds < 10
    traffic = Step(TensorPlan(few.program, 8), tried, {"B": 1, "T": 6}).traffic()
    assert said["counted"] == {k: [m.count, m.bytes] for k, m in traffic.items()}
    assert said["debug"] == sum(moved.count for moved in traffic.values())
