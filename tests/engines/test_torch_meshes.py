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
from nnspec.analysis.tensor_parts import split_layers
from nnspec.analysis.tensor_plan import Style, TensorPlan
from nnspec.cli.main import main
from nnspec.diagnostics import SpecError
from nnspec.targets.engines.communication import Step
from nnspec.targets.engines.shares import held_elements
from nnspec.targets.engines.torch_sharded import MeshShape, emit_mesh
from nnspec.targets.engines.torch_stages import emit_pipeline, staged_plans
from nnspec.targets.writing.classes import factory_name
from tests.engines.specs import MLP, NORMS, ROOT, UNET, even, gpt2, llama, spec_of
from tests.engines.torch_runs import Run, launched

CLOSE = 1e-12
"""In float64; what is asked is 1e-6."""


def staged(
    name: str, ranks: tuple[int, ...], schedule: str, data: int = 1, tensor: int = 1
) -> Run:
    shape = MeshShape(data, tensor, max(ranks) + 1, microbatches=4 // data)
    return Run(name, shape, schedule, ranks)


RUNS = [
    # Two processes: each axis alone, and every schedule.
    Run("unet", MeshShape(data=2)),
    Run("mlp", MeshShape(data=2, sharded="weights", microbatches=2)),
    Run("gpt2", MeshShape(data=2, sharded="states", microbatches=2)),
    Run("unet", MeshShape(data=2, sharded="gradients", microbatches=2)),
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
    # Three: values that skip a stage, and tied weights at both ends.
    staged("unet", (0, 1, 2), "GPipe"),
    staged("gpt2", (0, 1, 2), "1F1B"),
    # Four: two axes at once.
    Run("gpt2", MeshShape(data=2, tensor=2, sharded="weights", microbatches=2)),
    Run("llama", MeshShape(data=2, tensor=2, sharded="states", microbatches=2)),
    Run("llama", MeshShape(data=2, tensor=2, sharded="gradients")),
    Run("mlp", MeshShape(data=2, tensor=2)),
    Run("gpt2", MeshShape(tensor=4)),
    staged("unet", (0, 1), "1F1B", data=2),
    staged("gpt2", (0, 1, 0, 1), "InterleavedZeroBubble", tensor=2),
    staged("llama", (0, 1), "GPipe", tensor=2),
    *(
        Run("gpt2", MeshShape(2, 1, 2, sharded, 2), "1F1B", (0, 1))
        for sharded in ("states", "gradients", "weights")
    ),
    *(
        Run("gpt2", MeshShape(2, 1, 2, sharded, 2), "Interleaved1F1B", (0, 1, 0, 1))
        for sharded in ("states", "gradients", "weights")
    ),
    Run("gpt2", MeshShape(2, 1, 2, "states", 2), "InterleavedZeroBubble", (0, 1, 0, 1)),
    Run("mlp", MeshShape(2, 1, 2, "states", 2), "ZBVZeroBubble", (0, 1, 1, 0)),
]


@pytest.mark.framework
@pytest.mark.parametrize("count", [2, 3, 4])
def test_processes_compute_what_one_does(count: int, tmp_path: Path) -> None:
    runs = [run for run in RUNS if run.shape.processes == count]
    for run, found in zip(runs, launched(tmp_path, runs), strict=True):
        _check(run, found)


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


def _check_names(spec: Any, found: list[dict[str, Any]]) -> None:
    """The processes hold the weights of the whole model, by their names there."""
    names = {name for each in found for name in each["names"]}
    state = spec.torch().state_dict(keep_vars=True)
    first = {id(weight): name for name, weight in reversed(state.items())}
    assert set(first.values()) <= names <= set(state)


# ---- what is split ------------------------------------------------------------------------------------


def parts_of(text: str) -> list[tuple[Any, ...]]:
    found = split_layers(spec_of(text.replace(" ; ", "\n")).program)
    return [(dict(part.columns), part.row, part.widths) for part in found]


def test_pairs_have_elements_between() -> None:
    assert parts_of(
        """
block Gated(x: [B, D]) { a = x -> up: Linear(4 * D) ; g = x -> gate: Linear(4 * D) -> silu ; return (a * g) -> down: Linear(D) }
block Packed(x: [B, D]) { a, g = x -> both: Linear(8 * D) -> split(2) ; return (a * silu(g)) -> down: Linear(D) }
model M {
  input x: [B, 8]
  x = x -> one: Linear(16) -> relu -> two: Linear(8)
  x = x -> three: Linear(16) -> LayerNorm -> four: Linear(8)
  x = x -> five: Linear(16) -> Dropout(0.1) -> six: Linear(8)
  y = x -> seven: Linear(16)
  x = y -> gelu -> eight: Linear(8)
  output z = y
  output w = x -> gated: Gated -> packed: Packed
}
"""
    ) == [
        ({"one": 1}, "two", (16,)),
        ({"four": 1}, "five", (8,)),
        ({"six": 1}, "seven", (8,)),
        ({"gated.up": 1, "gated.gate": 1}, "gated.down", (32,)),
        ({"packed.both": 2}, "packed.down", (32,)),
    ]


ATTENTION = """
block Attention(x: [B, T, D], heads: int, kv_heads: int) {
  q = x -> q: Linear(D) -> rearrange("b t (h d) -> b h t d", h=heads)
  k = x -> k: Linear(D // heads * kv_heads) -> rearrange("b t (h d) -> b h t d", h=kv_heads)
  v = x -> v: Linear(D // heads * kv_heads) -> rearrange("b t (h d) -> b h t d", h=kv_heads)
  return %s -> rearrange("b h t d -> b t (h d)") -> out: Linear(D)
}
model M { input x: [B, T, 16] ; output y = x -> attn: Attention(4, 2) }
"""


def test_attention_is_split_by_heads() -> None:
    columns = {"attn.q": 1, "attn.k": 1, "attn.v": 1}
    split = [(columns, "attn.out", (2, 4, 8, 16))]
    assert parts_of(ATTENTION % "attention(q, k, v)") == split
    causal = "attention(q, k, v, causal=true, scale=0.5)"
    assert parts_of(ATTENTION % causal) == split
    # What every head has of its own, what draws, and what mixes heads, cannot be shared.
    for whole in (
        "attention(q, k, v, dropout=0.1)",
        "attention(q * mean(q), k, v)",
        "(attention(q, k, v) -> LayerNorm)",
        "softmax(attention(q, k, v), dim=1)",
    ):
        assert parts_of(ATTENTION % whole) == [], whole


def test_masks_are_the_same_for_all_heads() -> None:
    masked = """
block Attention(x: [B, T, D], mask: bool[_, _, _, T], heads: int) {
  q, k, v = x -> qkv: Linear(3 * D) -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  return attention(q, k, v, mask=mask) -> rearrange("b h t d -> b t (h d)") -> out: Linear(D)
}
model M { input x: [B, T, 16] ; input ids: i64[B, T] ; output y = (x, unsqueeze(ids != 0, [1, 2])) -> attn: Attention(4) }
"""
    assert parts_of(masked) == [({"attn.qkv": 3}, "attn.out", (4, 16))]
    # A mask for each head would have to be shared as well.
    own = masked.replace("i64[B, T]", "i64[B, 4, T, T]")
    assert parts_of(own.replace("unsqueeze(ids != 0, [1, 2])", "ids != 0")) == []


def test_what_every_device_would_know_a_share_of_is_whole() -> None:
    """A learned bias that all heads add has a gradient from each of them."""
    biased = """
block Attention(x: [B, T, D], bias: [1, 1, T, T], heads: int) {
  q, k, v = x -> qkv: Linear(3 * D) -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack(dim=0)
  return attention(q, k, v, bias=bias) -> rearrange("b h t d -> b t (h d)") -> out: Linear(D)
}
model M { input x: [B, 5, 16] ; output y = (x, %s) -> attn: Attention(4) }
"""
    fixed = parts_of(biased % "zeros([1, 1, 5, 5])")
    assert fixed == [({"attn.qkv": 3}, "attn.out", (4, 16))]
    assert parts_of(biased % "Param([1, 1, 5, 5])") == []


def test_what_does_not_divide_stays_whole() -> None:
    program = llama().program
    styles = TensorPlan(program, 4).styles
    assert {s for p, s in styles.items() if ".attn." in p} == set()
    assert styles["layers.0.mlp.down_proj"] is Style.ROWS
    assert styles["layers.0.mlp"] is Style.ENTERING
    text = emit_mesh(program, MeshShape(tensor=4))
    assert "layers.*.attn.q_proj" in text.partition("Whole in every process:")[2]
    assert '"layers.*.mlp.down_proj": RowwiseParallel()' in text


@pytest.mark.parametrize(
    ("path", "name", "parts"),
    [
        ("vision/vit", "ViTB16", 24),
        ("language/gpt2", "GPT2Small", 24),
        ("language/llama", "Llama3_8B", 64),
        ("language/transformer", "TransformerBase", 30),
    ],
)
def test_transformers_are_split(path: str, name: str, parts: int) -> None:
    spec = nnspec.load(str(ROOT / f"specs/{path}.nns"), name)
    assert len(split_layers(spec.program)) == parts


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


def test_communication_that_is_not_known() -> None:
    twice = spec_of(
        """
block Inner(x: [B, D]) { return x -> Linear(D) -> tanh -> Linear(D) }
model M {
  input x: [B, 8]
  inner = Inner()
  output y = inner(inner(x))
}
"""
    )
    with pytest.raises(SpecError) as found:
        Step(TensorPlan(twice.program, 2), MeshShape(tensor=2), {"B": 4}).traffic()
    assert found.value.diagnostic.code == "E1036"


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
