"""Plans that become programs: found, compiled and run, against the program of one device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.cli.main import main
from nnspec.compiler import load
from nnspec.targets.engines.shares import held_elements
from nnspec.targets.engines.torch_sharded import MeshShape
from tests.engines.specs import ROOT
from tests.placement.test_model import SPEC

HAND = {
    "objective": "train",
    "assignment": {
        "wte": "cpu:0",
        "blocks.0": "cpu:0",
        "blocks.1": "cpu:1",
        "blocks.2": "cpu:0",
        "blocks.3": "cpu:1",
        "layer_norm": "cpu:1",
        "linear": "cpu:1",
    },
}

ON_DEVICES = """
import torch, single, placed

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
whole = single.tied()
parts = placed.OnDevices(["cpu"] * len(placed.STAGES))
weights = list(whole.parameters())
assert [w.shape for w in weights] == [w.shape for w in parts.parameters()]
with torch.no_grad():
    for own, weight in zip(parts.parameters(), weights, strict=True):
        own.copy_(weight)
tokens = torch.randint(0, 100, (4, 8))
cotangent = torch.randn(4, 8, 100)
for model in (whole, parts):
    (model(tokens) * cotangent).sum().backward()
pairs = [(whole(tokens), parts(tokens))]
pairs += [(a.grad, b.grad) for a, b in zip(weights, parts.parameters(), strict=True)]
print(len(placed.STAGES), max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs))
"""

START = """
import torch, torch.distributed as dist, single

dist.init_process_group("gloo")
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
whole = single.tied()
tokens = torch.randint(0, 100, (4, 8))
target = torch.randint(0, 100, (4, 8))
def loss(logits, target):
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
"""

PIPELINE = (
    START
    + """
import importlib, sys

expected = whole(tokens)
loss(expected, target).backward()
known = dict(whole.named_parameters())
pairs, stages = [], 0
for name in sys.argv[1:]:
    placed = importlib.import_module(name)
    stages += len(placed.STAGES)
    pipeline = placed.Pipeline(loss, 2)
    pipeline.load_state_dict(whole.state_dict())
    outputs = pipeline.step(tokens, target=target)
    for number, module in zip(pipeline.numbers, pipeline.modules, strict=True):
        for name, weight in module.named_parameters():
            pairs.append((known[placed.whole_name(number, name)].grad, weight.grad))
    if pipeline.is_last:
        pairs.append((expected, outputs))
worst = torch.tensor(max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs))
dist.all_reduce(worst, dist.ReduceOp.MAX)
if dist.get_rank() == 0:
    print(stages, float(worst))
dist.destroy_process_group()
"""
)

MESH = (
    START
    + """
import json
from pathlib import Path
import placed

mesh = placed.make_mesh()
model = placed.build(placed.tied, mesh, weights=whole.state_dict())
place = mesh["data"].get_local_rank()
mine = slice(2 * place, 2 * place + 2)
placed.step(model, loss, tokens[mine], target=target[mine])
expected = whole(tokens)
loss(expected, target).backward()
known = dict(whole.named_parameters())
pairs = [(expected[mine], model(tokens[mine]))]
for name, weight in model.named_parameters():
    pairs.append((placed.share(name, known[name].grad, weight), placed.local(weight.grad)))
worst = torch.tensor(max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs))
dist.all_reduce(worst, dist.ReduceOp.MAX)
held = [None] * dist.get_world_size()
own = sum(placed.local(weight).numel() for weight in model.parameters())
dist.all_gather_object(held, 4 * own)
if dist.get_rank() == 0:
    Path("held.json").write_text(json.dumps(held))
    print(1, float(worst))
dist.destroy_process_group()
"""
)


def compiled(
    folder: Path,
    plan: list[str],
    *options: str,
    cluster: str = "2xcpu",
    name: str = "placed",
) -> None:
    """Writes `single.py` and the program of the plan; the plan is found unless its file is there."""
    spec = folder / "tied.nns"
    spec.write_text(SPEC)
    where = folder / "plan.json"
    sizes = ["B=4", "T=8"]
    command = ["place", str(spec), "--cluster", cluster, *sizes, *plan]
    if not where.exists():
        assert main([*command, "-o", str(where)]) == 0
    torch = ["compile", "--target", "torch", str(spec), *sizes]
    assert main([*torch, "-o", str(folder / "single.py"), "--force"]) == 0
    placed = [*torch, "--plan", str(where), *options]
    assert main([*placed, "-o", str(folder / f"{name}.py")]) == 0


def said(
    folder: Path, script: str, names: list[str], *launcher: str
) -> tuple[int, float]:
    """How many stages a script found, and the largest relative difference."""
    (folder / "run.py").write_text(script)
    done = subprocess.run(
        [sys.executable, *launcher, "run.py", *names],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    stages, worst = done.stdout.split()
    return int(stages), float(worst)


PINS = ["--objective", "train", "--pin", "wte=cpu:0", "--pin", "linear=cpu:1"]
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2")


@pytest.mark.framework
def test_one_process_on_two_devices(tmp_path: Path) -> None:
    compiled(tmp_path, PINS)
    stages, worst = said(tmp_path, ON_DEVICES, [])
    assert stages == 2
    assert worst < 1e-6


@pytest.mark.framework
def test_pipelines_of_two_processes(tmp_path: Path) -> None:
    """One of a plan with a schedule, one that passes each process twice, one of a mesh."""
    again = ["--schedule", "Interleaved1F1B", "--microbatches", "2"]
    compiled(tmp_path, PINS, "--schedule", "GPipe", name="once")
    (tmp_path / "plan.json").write_text(json.dumps(HAND))
    compiled(tmp_path, [], *again, name="twice")
    (tmp_path / "plan.json").unlink()
    compiled(tmp_path, ["--mesh", "data=1,tensor=1,microbatches=2"], name="meshed")
    stages, worst = said(tmp_path, PIPELINE, ["once", "twice", "meshed"], *TORCHRUN)
    assert stages == 2 + 4 + 2
    assert worst < 1e-6


@pytest.mark.framework
def test_a_mesh_of_two_axes(tmp_path: Path) -> None:
    axes = "data=2,tensor=2,sharded=weights,microbatches=2"
    compiled(tmp_path, ["--mesh", axes], cluster="4xcpu")
    _, worst = said(tmp_path, MESH, [], *TORCHRUN[:-1], "4")
    assert worst < 1e-6
    # What the plan says that each device holds of the parameters is what lies there.
    plan = json.loads((tmp_path / "plan.json").read_text())
    held = json.loads((tmp_path / "held.json").read_text())
    assert held == [device["parameter_bytes"] for device in plan["devices"]]


@pytest.mark.parametrize(
    ("cluster", "axes", "words"),
    [
        ("2xcpu", "tensor=1,pipeline=1,sharded=weights", ["fully_shard", "step("]),
        ("2xcpu", "data=2,sharded=nothing", ["average_gradients"]),
        ("2xcpu", "tensor=2", ["ColwiseParallel", "parallelize_module"]),
        ("4xcpu", "data=2,tensor=2,sharded=states", ["set_requires_gradient_sync"]),
        ("4xcpu", "data=2,pipeline=2,sharded=nothing", ["class Pipeline", "MESH ="]),
        ("4xcpu", "tensor=2,pipeline=2", ["class Pipeline", "PLANS ="]),
        ("8xcpu", "data=2,tensor=2,pipeline=2", ["PipelineStage", "PLANS ="]),
    ],
)
def test_every_mesh_is_emitted(
    tmp_path: Path, cluster: str, axes: str, words: list[str]
) -> None:
    compiled(tmp_path, ["--mesh", axes], cluster=cluster)
    text = (tmp_path / "placed.py").read_text()
    assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("axes", "options", "words"),
    [
        ("tensor=2,microbatches=1", [], ["model_parallel", "SHARDS = 2"]),
        ("data=2,sharded=nothing,microbatches=1", [], ["data_parallel"]),
        (
            "data=2,sharded=nothing,microbatches=1",
            ["--backend", "tensorflow"],
            ["MirroredStrategy"],
        ),
    ],
)
def test_meshes_for_keras(
    tmp_path: Path, axes: str, options: list[str], words: list[str]
) -> None:
    text = keras_program(tmp_path, axes, options)
    assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("axes", "options", "said"),
    [
        ("tensor=2,microbatches=1", ["--backend", "tensorflow"], "error[E1033]"),
        ("data=2,sharded=weights,microbatches=1", [], "weights sharded over"),
        ("data=1,tensor=1,microbatches=1", [], "a pipeline of 2 stages"),
        ("tensor=2,microbatches=2", [], "2 micro-batches"),
    ],
)
def test_meshes_that_keras_has_no_engine_for(
    tmp_path: Path,
    axes: str,
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(AssertionError):
        keras_program(tmp_path, axes, options)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "tied_keras.py").exists()


def test_stages_on_devices_for_keras(tmp_path: Path) -> None:
    compiled(tmp_path, PINS)
    text = keras_program(tmp_path, None, [])
    assert "with tf.device(device)" in text
    assert "jit_compile=False" in text
    assert text.count("STAGES = (") == 1


def keras_program(folder: Path, axes: str | None, options: list[str]) -> str:
    if axes is not None:
        compiled(folder, ["--mesh", axes])
    command = ["compile", "--target", "keras", str(folder / "tied.nns")]
    given = ["--plan", str(folder / "plan.json"), *options]
    assert main([*command, *given, "-o", str(folder / "tied_keras.py")]) == 0
    return (folder / "tied_keras.py").read_text()


def test_what_stays_whole_is_told_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "plan.json"
    small = ["size=64", "window=2", "classes=6", "heads=[3,4,4,4]"]
    spec = [f"{ROOT}/specs/vision/swin.nns:Swin", "depths=[2,1,1,1]", *small]
    mesh = ["--cluster", "2xcpu", "--mesh", "tensor=2", "B=4", "-o", str(where)]
    assert main(["place", *spec, "width=24", *mesh]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "layers.0.0.attn.table, layers.0.0.attn.qkv" in told
    assert "2 devices do not divide 3 heads or features" in told
    plan = json.loads(where.read_text())
    assert plan["split"]["layers.1-3.0.attn.table"] == "table"
    assert plan["whole"]["layers.0.0.attn.qkv"] == (
        "2 devices do not divide 3 heads or features"
    )
    program = load(
        f"{ROOT}/specs/vision/swin.nns",
        "Swin",
        depths=[2, 1, 1, 1],
        heads=[3, 4, 4, 4],
        size=64,
        width=24,
        window=2,
        classes=6,
    ).program
    held = held_elements(TensorPlan(program, 2), MeshShape(tensor=2), 0)
    assert [each["parameter_bytes"] for each in plan["devices"]] == [4 * held] * 2


def test_communication_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled(tmp_path, ["--mesh", "tensor=2,microbatches=1"])
    command = ["compile", "--target", "torch", str(tmp_path / "tied.nns"), "--json"]
    given = ["--plan", str(tmp_path / "plan.json")]
    for sizes, known in ((["T=8"], True), ([], False)):
        capsys.readouterr()
        assert main([*command, *sizes, *given]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["communication"] is not None) is known
        assert ("open" in found) is not known
    assert found["open"] == "`T` has no value"


def test_a_batch_that_a_mesh_cannot_divide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled(tmp_path, ["--mesh", "data=2,microbatches=2"])
    with pytest.raises(AssertionError):
        compiled(tmp_path, [], "--microbatches", "3")
    assert "error[E1016]" in capsys.readouterr().err
