"""Runs a sharded model in several processes beside the whole model in one, and writes what differs.

python sharded_worker.py JOB.json
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

sys.path.insert(0, str(Path(__file__).parent))
from torch_worker import SECONDS, free_port, loaded, mean_square, whole


def run(rank: int, job: dict[str, Any], shape: dict[str, int]) -> dict[str, Any]:
    model, x, target, output = whole(job)
    mesh = init_device_mesh("cpu", tuple(shape.values()), mesh_dim_names=tuple(shape))
    module = loaded(job["sharded"])
    weights = {
        name: weight.detach().clone() for name, weight in model.state_dict().items()
    }
    sharded = module.build(
        getattr(module, job["factory"]), mesh, dtype=torch.float64, weights=weights
    )
    data = shape.get("data", 1)
    part = mesh["data"].get_local_rank() if "data" in shape else 0
    size = x.shape[0] // data
    mine = slice(part * size, (part + 1) * size)
    found = sharded(x[mine])
    mean_square(found, target[mine]).backward()
    expected = dict(model.named_parameters())
    worst = 0.0
    shapes: dict[str, list[int]] = {}
    for name, weight in sharded.named_parameters():
        gradient = weight.grad
        full = gradient.full_tensor() if isinstance(gradient, DTensor) else gradient
        worst = max(worst, (full - expected[name].grad).abs().max().item())
        local = weight.to_local() if isinstance(weight, DTensor) else weight
        shapes[name] = list(local.shape)
    return {
        "output": (found - output[mine]).abs().max().item(),
        "gradient": worst,
        "shapes": shapes,
    }


def process(rank: int, count: int, port: int, job: dict[str, Any], folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    limit = timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", rank=rank, world_size=count, timeout=limit)
    found = [run(rank, job, shape) for shape in job["meshes"]]
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def main() -> None:
    folder = str(Path(sys.argv[1]).parent)
    job = json.loads(Path(sys.argv[1]).read_text())
    arguments = (job["processes"], free_port(), job, folder)
    processes.start_processes(  # pyright: ignore[reportPrivateImportUsage]
        process, arguments, nprocs=job["processes"], start_method="fork"
    )


if __name__ == "__main__":
    main()
