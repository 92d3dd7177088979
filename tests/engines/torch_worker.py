"""Runs an emitted pipeline in several processes beside the whole model in one, and prints what differs.

    python torch_worker.py JOBS.json

A job names the files, the number of processes, how inputs are made, and the micro-batches. Each process
imports the frameworks once (they are forked), and runs every job of its number of processes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

SECONDS = 60


def loaded(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs_of(job: dict[str, Any]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    if job["ids"]:
        return torch.randint(0, job["ids"], job["shape"], generator=generator)
    return torch.randn(job["shape"], generator=generator, dtype=torch.float64)


def mean_square(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ((output - target) ** 2).mean()


def whole(job: dict[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The model in one process, after its backward pass; input, target, output."""
    torch.manual_seed(0)
    model = getattr(loaded(job["model"]), job["factory"])()
    x = inputs_of(job)
    output = model(x)
    target = torch.randn(
        output.shape, generator=torch.Generator().manual_seed(4)
    ).double()
    mean_square(output, target).backward()
    return model, x, target, output


def run(rank: int, job: dict[str, Any]) -> dict[str, Any]:
    model, x, target, output = whole(job)
    pipeline = loaded(job["pipeline"]).Pipeline(mean_square, job["microbatches"])
    weights = dict(model.state_dict())
    pipeline.load_state_dict(weights)
    losses: list[torch.Tensor] = []
    found = pipeline.step(x, target=target if pipeline.is_last else None, losses=losses)
    whole_name = vars(sys.modules[type(pipeline).__module__])["whole_name"]
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    shared = {id(p): n for n, p in model.named_parameters()}
    everything = {
        n: gradients[shared[id(p)]]
        for n, p in model.named_parameters(remove_duplicate=False)
    }
    worst = 0.0
    for number, module in zip(pipeline.numbers, pipeline.modules, strict=True):
        for name, weight in module.named_parameters():
            expected = everything[whole_name(number, name)]
            worst = max(worst, (weight.grad - expected).abs().max().item())
    held = {id(p): p for m in pipeline.modules for p in m.parameters()}.values()
    return {
        "rank": rank,
        "stages": pipeline.numbers,
        "gradient": worst,
        "output": None if found is None else (found - output).abs().max().item(),
        "elements": sum(p.numel() for p in held),
        "names": sorted(pipeline.state_dict()),
        "refused": refused(pipeline, x, target),
    }


def refused(pipeline: Any, x: torch.Tensor, target: torch.Tensor) -> str:
    """What is said of a batch that does not divide: in every process, before anything is sent."""
    try:
        pipeline.step(x[:-1], target=target[:-1])
    except ValueError as error:
        return str(error)
    return ""


def process(
    rank: int, count: int, port: int, jobs: list[dict[str, Any]], folder: str
) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    from datetime import timedelta

    dist.init_process_group(
        "gloo", rank=rank, world_size=count, timeout=timedelta(seconds=SECONDS)
    )
    found = [run(rank, job) for job in jobs]
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main() -> None:
    folder = str(Path(sys.argv[1]).parent)
    jobs = json.loads(Path(sys.argv[1]).read_text())
    count = jobs[0]["processes"]
    arguments = (count, free_port(), jobs, folder)
    processes.start_processes(process, arguments, nprocs=count, start_method="fork")  # pyright: ignore[reportPrivateImportUsage]


if __name__ == "__main__":
    main()
