"""Pipelines of processes, run for real on gloo: outputs and gradients are those of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nnspec.compiler import Spec
from nnspec.diagnostics import SpecError
from nnspec.passes.stages import staged
from nnspec.targets import emit
from nnspec.targets.classes import factory_name
from nnspec.targets.engines.torch_stages import emit_on_devices, emit_pipeline
from tests.engines.specs import MLP, NORMS, UNET, even, gpt2, spec_of

pytestmark = pytest.mark.framework

SECONDS = 150
SPECS: dict[str, tuple[Callable[[], Spec], tuple[int, ...], int]] = {
    "mlp": (lambda: spec_of(MLP), (8, 12), 0),
    "gpt2": (gpt2, (8, 10), 40),
    "unet": (lambda: spec_of(UNET), (8, 3, 8, 12), 0),
}
# Name of the spec, stages, ranks, schedule.
RUNS: list[tuple[str, Sequence[int], str]] = [
    ("mlp", (0, 1), "GPipe"),
    ("gpt2", (0, 1), "1F1B"),
    ("gpt2", (0, 1, 0, 1), "Interleaved1F1B"),
    ("gpt2", (0, 1, 0, 1), "InterleavedZeroBubble"),
    ("mlp", (0, 1, 1, 0), "ZBVZeroBubble"),
    ("unet", (0, 1), "1F1B"),
    ("unet", (0, 1, 2), "GPipe"),
    ("gpt2", (0, 1, 2), "1F1B"),
]


def launched(folder: Path, jobs: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What each process says of each job."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    worker = str(Path(__file__).with_name("torch_worker.py"))
    done = subprocess.run(
        [sys.executable, worker, str(path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count = jobs[0]["processes"]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]


def job(
    folder: Path, number: int, run: tuple[str, Sequence[int], str]
) -> dict[str, Any]:
    name, ranks, schedule = run
    make, shape, ids = SPECS[name]
    spec = make()
    model, pipeline = folder / f"model{number}.py", folder / f"pipeline{number}.py"
    model.write_text(emit(spec.program, "torch"))
    pipeline.write_text(
        emit_pipeline(spec.program, even(spec, len(ranks)), ranks, schedule)
    )
    return {
        "model": str(model),
        "pipeline": str(pipeline),
        "factory": factory_name(spec.program),
        "shape": shape,
        "ids": ids,
        "microbatches": 4,
        "processes": max(ranks) + 1,
    }


@pytest.mark.parametrize("count", [2, 3])
def test_pipelines_compute_what_one_process_does(count: int, tmp_path: Path) -> None:
    runs = [run for run in RUNS if max(run[1]) + 1 == count]
    jobs = [job(tmp_path, number, run) for number, run in enumerate(runs)]
    said = launched(tmp_path, jobs)
    for place, (name, ranks, schedule) in enumerate(runs):
        found = [process[place] for process in said]
        where = f"{name}, {schedule} on {ranks}"
        assert max(each["gradient"] for each in found) < 1e-12, where
        outputs = [each["output"] for each in found if each["output"] is not None]
        assert len(outputs) >= 1, where
        assert max(outputs) < 1e-12, where
        assert all("does not divide into 4" in each["refused"] for each in found), where
        _check_shares(SPECS[name][0](), ranks, found)


def _check_shares(
    spec: Spec, ranks: Sequence[int], found: list[dict[str, Any]]
) -> None:
    """Each process holds exactly the weights of its stages, under the names of the whole model."""
    stages = staged(spec.program, even(spec, len(ranks)))
    from nnspec.analysis.figures import Analysis

    for each in found:
        own = [
            p
            for p, rank in zip(stages.programs, ranks, strict=True)
            if rank == each["rank"]
        ]
        predicted = sum(int(Analysis(p).figure("parameters")) for p in own)
        assert each["elements"] == predicted
    names = {name for each in found for name in each["names"]}
    assert names == {
        name
        for name in spec.torch().state_dict()
        if name in names or not _is_tied(spec, name)
    }


def _is_tied(spec: Spec, name: str) -> bool:
    """Whether a name is a second one of a weight that another name has already."""
    state = spec.torch().state_dict(keep_vars=True)
    first = {id(weight): known for known, weight in reversed(state.items())}
    return first[id(state[name])] != name


def test_one_process_moves_values_between_devices() -> None:
    import torch

    for name, (make, shape, ids) in SPECS.items():
        spec = make()
        source = emit_on_devices(spec.program, even(spec, 3))
        space: dict[str, Any] = {"__name__": name}
        exec(compile(source, name, "exec"), space)
        torch.manual_seed(0)
        model = spec.torch().double()
        staged_model = space["OnDevices"](["cpu"] * 3, dtype=torch.float64)
        stages = staged(spec.program, even(spec, 3))
        assert len(staged_model.stages) == len(stages.programs)
        weights = model.state_dict()
        for stage, paths in zip(staged_model.stages, stages.paths, strict=True):
            own = {n: _whole(n, paths) for n in stage.state_dict()}
            stage.load_state_dict({n: weights[whole] for n, whole in own.items()})
        x = torch.randint(0, ids, shape) if ids else torch.randn(shape).double()
        assert torch.equal(staged_model(x), model(x))
        on_meta = space["OnDevices"](["meta"] * 3)
        assert (
            on_meta(x.to("meta", x.dtype if ids else torch.float32)).shape
            == model(x).shape
        )
        with pytest.raises(ValueError, match="3 devices are needed"):
            space["OnDevices"](["cpu"])


def _whole(name: str, paths: Any) -> str:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        here = ".".join(parts[:count])
        if here in paths:
            return ".".join([paths[here], *parts[count:]])
    return name


def test_batch_statistics_are_refused() -> None:
    spec = spec_of(NORMS)
    with pytest.raises(SpecError) as found:
        emit_pipeline(spec.program, even(spec, 2), (0, 1), "1F1B")
    assert found.value.diagnostic.code == "E1030"
    assert found.value.diagnostic.location is not None
    assert "OnDevices" in emit_on_devices(spec.program, even(spec, 2))


@pytest.mark.parametrize(
    ("ranks", "schedule"),
    [
        ((0, 1), "2F2B"),
        ((0, 1, 0, 1), "1F1B"),
        ((0, 0, 1, 1), "Interleaved1F1B"),
        ((0, 1, 0, 1), "ZBVZeroBubble"),
    ],
)
def test_schedules_that_do_not_fit(ranks: Sequence[int], schedule: str) -> None:
    spec = spec_of(MLP)
    with pytest.raises(SpecError) as found:
        emit_pipeline(spec.program, even(spec, len(ranks)), ranks, schedule)
    assert found.value.diagnostic.code == "E1031"
