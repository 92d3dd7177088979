"""Runs the programs of meshes in several processes beside the whole model in one, and writes what differs.

    python mesh_worker.py JOBS.json

Each job names the files and the place of every process; all have as many processes.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent))
from torch_worker import SECONDS, free_port, loaded, mean_square, whole


class Counted(TorchDispatchMode):
    """The collectives that run, and the bytes of their tensors as wholes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if any(kind is DTensor for kind in types):
            return NotImplemented  # the engine first, which calls collectives
        name = func.overloadpacket._qualified_op_name
        if name in KINDS:
            kind, read = KINDS[name]
            self.found[kind][0] += 1
            self.found[kind][1] += read(args)
        elif name.startswith(("c10d::", "_c10d_functional::")) and name not in SILENT:
            self.found[name][0] += 1
        return func(*args, **(kwargs or {}))


class Untracked:
    """In place of the modules that `CommDebugMode` follows, for which it takes a single forward pass."""

    name, is_bw, activation_checkpointing = "Global", False, False
    module_parents_dict: dict[str, set[str]] = {"Global": set()}  # noqa: RUF012

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
    def clean_up(self) -> None: ...


def debug_mode() -> CommDebugMode:
    """PyTorch's own count of collectives, of any number of passes."""
    mode = CommDebugMode()
    mode.advanced_module_tracker = Untracked()
    return mode


def size_of(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def first_list(args: Any) -> int:
    return sum(map(size_of, args[0]))


KINDS = {
    "c10d::allreduce_": ("all_reduce", first_list),
    "c10d::_allgather_base_": ("all_gather", lambda args: size_of(args[0])),
    "c10d::_reduce_scatter_base_": (
        "reduce_scatter",
        lambda args: size_of(args[1]),
    ),
    "c10d::send": ("send", first_list),
    "_c10d_functional::all_reduce": ("all_reduce", lambda args: size_of(args[0])),
    "_c10d_functional::all_gather_into_tensor": (
        "all_gather",
        lambda args: size_of(args[0]) * args[1],
    ),
    "_c10d_functional::reduce_scatter_tensor": (
        "reduce_scatter",
        lambda args: size_of(args[0]),
    ),
}
SILENT = {"_c10d_functional::wait_tensor", "c10d::recv_"}


def run(rank: int, job: dict[str, Any]) -> dict[str, Any]:
    if "microbatches" in job:
        return run_pipeline(job)
    model, x, target, output = whole(job)
    module = loaded(job["program"])
    mesh = module.make_mesh()
    weights = model.state_dict()
    factory = getattr(module, job["factory"])
    shared = module.build(factory, mesh, dtype=torch.float64, weights=weights)
    names = mesh.mesh_dim_names
    data = mesh["data"].size() if "data" in names else 1
    place = mesh["data"].get_local_rank() if "data" in names else 0
    size = x.shape[0] // data
    mine = slice(place * size, (place + 1) * size)
    found = shared(x[mine]).detach()
    more = (mesh,) if job["copies"] else ()

    def step() -> torch.Tensor:
        return module.step(shared, *more, mean_square, x[mine], target=target[mine])

    step()
    for weight in shared.parameters():
        weight.grad = None
    with debug_mode() as debug, Counted() as counted:
        loss = step()
    expected = dict(model.named_parameters())
    back = module.whole_weights(shared)
    return {
        "output": (found - output[mine]).abs().max().item(),
        "loss": abs(loss.item() - mean_square(output[mine], target[mine]).item()),
        "gradient": gradient_error(module, shared, expected),
        "shapes": {
            name: list(module.local(weight).shape)
            for name, weight in shared.named_parameters()
        },
        "back": all(torch.equal(back[name], weights[name]) for name in weights),
        "counted": dict(counted.found),
        "debug": sum(debug.get_comm_counts().values()),
        "refused": refused(lambda: step_of(module, shared, more, x, target)),
    }


def run_pipeline(job: dict[str, Any]) -> dict[str, Any]:
    model, x, target, output = whole(job)
    module = loaded(job["program"])
    pipeline = module.Pipeline(mean_square, job["microbatches"], dtype=torch.float64)
    mesh, weights = pipeline.mesh, model.state_dict()
    pipeline.load_state_dict(weights)
    names = mesh.mesh_dim_names
    data = mesh["data"].size() if "data" in names else 1
    place = mesh["data"].get_local_rank() if "data" in names else 0
    size = x.shape[0] // data
    mine = slice(place * size, (place + 1) * size)

    def step() -> Any:
        wanted = target[mine] if pipeline.is_last else None
        return pipeline.step(x[mine], target=wanted)

    step()
    for weight in pipeline.parameters():
        weight.grad = None
    with debug_mode() as debug, Counted() as counted:
        found = step()
    named = dict(model.named_parameters(remove_duplicate=False))
    shared = {id(p): p.grad for p in model.parameters()}
    worst, shapes = 0.0, {}
    for number, part in zip(pipeline.numbers, pipeline.modules, strict=True):
        for name, weight in part.named_parameters():
            whole_name = module.whole_name(number, name)
            wanted = shared[id(named[whole_name])]
            wanted = module.share(f"{number}.{name}", wanted, weight)
            gradient = module.local(weight.grad)
            assert gradient.shape == wanted.shape, name
            if gradient.numel():
                worst = max(worst, (gradient - wanted).abs().max().item())
            shapes[f"{number}.{name}"] = list(module.local(weight).shape)
    back = pipeline.state_dict()
    return {
        "output": None if found is None else (found - output[mine]).abs().max().item(),
        "gradient": worst,
        "shapes": shapes,
        "back": all(torch.equal(back[name], weights[name]) for name in back),
        "counted": dict(counted.found),
        "debug": sum(debug.get_comm_counts().values()),
        "refused": refused(lambda: pipeline.step(x[:-1], target=target[:-1])),
    }


def gradient_error(module: Any, shared: Any, expected: dict[str, Any]) -> float:
    """How far the gradients are from the shares of those of the whole model, as they lie there."""
    worst = 0.0
    for name, weight in shared.named_parameters():
        wanted = module.share(name, expected[name].grad, weight)
        gradient = module.local(weight.grad)
        assert gradient.shape == wanted.shape, (
            name,
            gradient.shape,
            wanted.shape,
            weight.grad.placements,
        )
        if gradient.numel():
            worst = max(worst, (gradient - wanted).abs().max().item())
    return worst


def step_of(module: Any, shared: Any, more: Any, x: Any, target: Any) -> None:
    module.step(shared, *more, mean_square, x[:-1], target=target[:-1])


def refused(run: Any) -> str:
    try:
        run()
    except ValueError as error:
        return str(error)
    return ""


def process(
    rank: int, count: int, port: int, jobs: list[dict[str, Any]], folder: str
) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    limit = timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", rank=rank, world_size=count, timeout=limit)
    found = [run(rank, job) for job in jobs]
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def main() -> None:
    folder = str(Path(sys.argv[1]).parent)
    jobs = json.loads(Path(sys.argv[1]).read_text())
    count = jobs[0]["processes"]
    processes.start_processes(  # pyright: ignore[reportPrivateImportUsage]
        process, (count, free_port(), jobs, folder), nprocs=count, start_method="fork"
    )


if __name__ == "__main__":
    main()
