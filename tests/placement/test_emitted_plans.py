"""Plans that become programs: found, compiled and run, against the program of one device."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.cli.main import main
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

PIPELINE = """
import torch, torch.distributed as dist, single, placed

dist.init_process_group("gloo")
torch.manual_seed(0)
whole = single.tied()
tokens = torch.randint(0, 100, (4, 8))
target = torch.randint(0, 100, (4, 8))
def loss(logits, target):
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
pipeline = placed.Pipeline(loss, 2)
pipeline.load_state_dict(whole.state_dict())
outputs = pipeline.step(tokens, target=target)
expected = whole(tokens)
loss(expected, target).backward()
known = dict(whole.named_parameters())
pairs = []
for number, module in zip(pipeline.numbers, pipeline.modules, strict=True):
    for name, weight in module.named_parameters():
        pairs.append((known[placed.whole_name(number, name)].grad, weight.grad))
if pipeline.is_last:
    pairs.append((expected, outputs))
worst = torch.tensor(max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs))
dist.all_reduce(worst, dist.ReduceOp.MAX)
if dist.get_rank() == 0:
    print(len(placed.STAGES), float(worst))
dist.destroy_process_group()
"""


def compiled(folder: Path, plan: list[str], *options: str) -> None:
    """Writes `single.py` and `placed.py`; the plan is found unless its file is there."""
    spec = folder / "tied.nns"
    spec.write_text(SPEC)
    where = folder / "plan.json"
    sizes = ["B=4", "T=8"]
    command = ["place", str(spec), "--cluster", "2xcpu", *sizes, *plan]
    if not where.exists():
        assert main([*command, "-o", str(where)]) == 0
    torch = ["compile", "--target", "torch", str(spec), *sizes]
    assert main([*torch, "-o", str(folder / "single.py")]) == 0
    placed = [*torch, "--plan", str(where), *options]
    assert main([*placed, "-o", str(folder / "placed.py")]) == 0


def said(folder: Path, script: str, *launcher: str) -> tuple[int, float]:
    """How many stages a script found, and the largest relative difference."""
    (folder / "run.py").write_text(script)
    done = subprocess.run(
        [sys.executable, *launcher, "run.py"],
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
    stages, worst = said(tmp_path, ON_DEVICES)
    assert stages == 2
    assert worst < 1e-6


@pytest.mark.framework
@pytest.mark.parametrize("schedule", ["GPipe", "1F1B"])
def test_a_pipeline_of_two_processes(tmp_path: Path, schedule: str) -> None:
    compiled(tmp_path, PINS, "--schedule", schedule, "--microbatches", "2")
    stages, worst = said(tmp_path, PIPELINE, *TORCHRUN)
    assert stages == 2
    assert worst < 2e-6


@pytest.mark.framework
def test_a_pipeline_that_passes_each_process_twice(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(HAND))
    compiled(tmp_path, [], "--schedule", "Interleaved1F1B", "--microbatches", "2")
    stages, worst = said(tmp_path, PIPELINE, *TORCHRUN)
    assert stages == 4
    assert worst < 2e-6


@pytest.mark.framework
def test_a_mesh_that_is_a_pipeline(tmp_path: Path) -> None:
    compiled(tmp_path, ["--mesh", "data=1,tensor=1,microbatches=2"])
    stages, worst = said(tmp_path, PIPELINE, *TORCHRUN)
    assert stages == 2
    assert worst < 2e-6


def test_meshes_are_emitted_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled(tmp_path, ["--mesh", "tensor=1,pipeline=1,sharded=weights"])
    assert "fully_shard" in (tmp_path / "placed.py").read_text()
    (tmp_path / "plan.json").unlink()
    (tmp_path / "placed.py").unlink()
    with pytest.raises(AssertionError):
        compiled(tmp_path, ["--mesh", "tensor=2"])
    assert "error[E1018]" in capsys.readouterr().err
    assert not (tmp_path / "placed.py").exists()
