"""Runs emitted programs in several processes beside the whole model in one, and writes what differs.

    python torch_worker.py JOBS.json

A job names the files, how inputs are made, and the micro-batches. All have as many processes, which import
the framework once (they are forked) and run every job.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from loading import Job, loaded
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.utils._python_dispatch import TorchDispatchMode

SECONDS = 60


Outputs: TypeAlias = torch.Tensor | tuple[torch.Tensor, ...]


def mean_square(output: Outputs, target: torch.Tensor) -> torch.Tensor:
    return ((together(output) - target) ** 2).mean()


def together(output: Outputs) -> torch.Tensor:
    """Several results as one, sample by sample."""
    if isinstance(output, torch.Tensor):
        return output
    return torch.cat([each.flatten(1) for each in output], dim=1)


def inputs_of(job: Job) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [input_of(below, job["shape"], generator) for below in job["ids"]]


def input_of(below: int, shape: list[int], generator: torch.Generator) -> torch.Tensor:
    if below == 0:
        return torch.randn(shape, generator=generator)
    ids = torch.randint(0, max(below, 4), shape, generator=generator)
    return ids if below > 1 else ids > 0


def whole(job: Job) -> tuple[Any, list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """The model in one process, after its backward pass; inputs, target, output."""
    torch.manual_seed(0)
    model = getattr(loaded(job["model"]), job["factory"])()
    x = inputs_of(job)
    output = together(model(*x))
    target = torch.randn(output.shape, generator=torch.Generator().manual_seed(4))
    mean_square(output, target).backward()
    return model, x, target, output.detach()


# ---- counting -----------------------------------------------------------------------------------------


def size_of(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def sizes_of(args: Any) -> int:
    return sum(map(size_of, args[0]))


# What each collective is called, and the bytes of its tensors as wholes.
KINDS: dict[str, tuple[str, Callable[[Any], int]]] = {
    "c10d::allreduce_": ("all_reduce", sizes_of),
    "c10d::_allgather_base_": ("all_gather", lambda args: size_of(args[0])),
    "c10d::_reduce_scatter_base_": ("reduce_scatter", lambda args: size_of(args[1])),
    "c10d::send": ("send", sizes_of),
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
SILENT = {
    "c10d::recv_",
    "_c10d_functional::wait_tensor",
    "_c10d_functional::_wrap_tensor_autograd",
}


class Counted(TorchDispatchMode):
    """How often each collective runs, and with how many bytes."""

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
    """In place of the modules that `CommDebugMode` follows, for which it takes one forward pass only."""

    name, is_bw, activation_checkpointing = "Global", False, False
    module_parents_dict: dict[str, set[str]] = {"Global": set()}  # noqa: RUF012

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def counted(run: Callable[[], Any]) -> tuple[Any, Job]:
    """What a run gives, and what it communicates, also by PyTorch's own count of collectives."""
    debug = CommDebugMode()
    debug.advanced_module_tracker = Untracked()  # pyright: ignore[reportAttributeAccessIssue]
    with debug, Counted() as mode:
        found = run()
    return found, {
        "counted": dict(mode.found),
        "debug": sum(debug.get_comm_counts().values()),
    }


# ---- runs ---------------------------------------------------------------------------------------------


def place_on(mesh: Any) -> tuple[int, int]:
    """Where a process stands on the data axis, of how many."""
    if mesh is None or "data" not in mesh.mesh_dim_names:
        return 0, 1
    return mesh["data"].get_local_rank(), mesh["data"].size()


def own_part(mesh: Any, size: int) -> slice:
    place, count = place_on(mesh)
    return slice(place * size // count, (place + 1) * size // count)


def run_mesh(job: Job) -> Job:
    model, x, target, output = whole(job)
    module = loaded(job["program"])
    mesh, weights = module.make_mesh(), model.state_dict()
    factory = getattr(module, job["factory"])
    shared = module.build(factory, mesh, weights=weights)
    mine = own_part(mesh, len(target))
    own = [each[mine] for each in x]
    found = together(shared(*own)).detach()
    more = (mesh,) if job["copies"] else ()

    def step(x: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        return module.step(shared, *more, mean_square, *x, target=target)

    step(own, target[mine])
    shared.zero_grad(set_to_none=True)
    loss, said = counted(lambda: step(own, target[mine]))
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    worst, shapes = 0.0, {}
    for name, weight in shared.named_parameters():
        shapes[name] = list(module.local(weight).shape)
        if is_frozen(weight, gradients[name]):
            continue
        wanted = module.share(name, gradients[name], weight)
        worst = max(worst, apart(module.local(weight.grad), wanted))
    back = module.whole_weights(shared)
    drawn = module.whole_weights(module.build(factory, mesh))
    return said | {
        "output": apart(found, output[mine]),
        "loss": abs(loss.item() - mean_square(output[mine], target[mine]).item()),
        "gradient": worst,
        "shapes": shapes,
        "back": all(torch.equal(back[name], weights[name]) for name in weights),
        "drawn": {name: weight.double().sum().item() for name, weight in drawn.items()},
        "refused": refused(lambda: step([each[:-1] for each in x], target[:-1])),
    }


def run_pipeline(job: Job) -> Job:
    model, x, target, output = whole(job)
    module = loaded(job["program"])
    pipeline = module.Pipeline(mean_square, job["microbatches"])
    mesh, weights = getattr(pipeline, "mesh", None), dict(model.state_dict())
    pipeline.load_state_dict(weights)
    mine = own_part(mesh, len(target))
    fewer = [each[:-1] for each in x]

    def step() -> Any:
        wanted = target[mine] if pipeline.is_last else None
        return pipeline.step(*(each[mine] for each in x), target=wanted)

    step()
    for weight in pipeline.parameters():
        weight.grad = None
    found, said = counted(step)
    named = dict(model.named_parameters(remove_duplicate=False))
    gradients = {id(weight): weight.grad for weight in model.parameters()}
    worst, shapes = 0.0, {}
    for number, stage in zip(pipeline.numbers, pipeline.modules, strict=True):
        for name, weight in stage.named_parameters():
            wanted = gradients[id(named[module.whole_name(number, name)])]
            held = weight if mesh is None else module.local(weight)
            shapes[f"{number}.{name}"] = list(held.shape)
            if is_frozen(weight, wanted):
                continue
            if mesh is not None:
                wanted = module.share(f"{number}.{name}", wanted, weight)
            gradient = weight.grad if mesh is None else module.local(weight.grad)
            worst = max(worst, apart(gradient, wanted))
    back = pipeline.state_dict()
    return said | {
        "output": None if found is None else apart(together(found), output[mine]),
        "gradient": worst,
        "shapes": shapes,
        "back": all(torch.equal(back[name], weights[name]) for name in back),
        "names": sorted(back),
        "refused": refused(lambda: pipeline.step(*fewer, target=target[:-1])),
    }


def run_lost(job: Job) -> Job:
    """A step in halves whose shards the engine does not follow: weights with gradients that are wrong, or missing."""
    model, x, target, _ = whole(job)
    module = loaded(job["program"])
    pipeline = module.Pipeline(mean_square, job["microbatches"])
    pipeline.load_state_dict(dict(model.state_dict()))
    mine = own_part(pipeline.mesh, len(target))
    wanted = target[mine] if pipeline.is_last else None
    pipeline.step(*(each[mine] for each in x), target=wanted)
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    missing, worst = 0, 0.0
    for number, stage in zip(pipeline.numbers, pipeline.modules, strict=True):
        for name, weight in stage.named_parameters():
            missing += weight.grad is None
            if weight.grad is not None:
                whole_one = gradients[module.whole_name(number, name)]
                share = module.share(f"{number}.{name}", whole_one, weight)
                worst = max(worst, apart(module.local(weight.grad), share))
    return {"missing": missing, "gradient": worst}


def run_draws(job: Job) -> Job:
    """A model in training against the whole of it, which draws for the share of each process in turn."""
    module, alone = loaded(job["program"]), loaded(job["program"])
    alone.drawn_apart = drawn_in_turn
    torch.manual_seed(0)
    model = getattr(alone, job["factory"])()
    shared = module.build(
        getattr(module, job["factory"]), module.make_mesh(), weights=model.state_dict()
    )
    found: list[tuple[torch.Tensor, float]] = []
    for each in (model, shared):
        torch.manual_seed(5)
        output = each(*inputs_of(job))
        (output**2).mean().backward()
        found.append((output.detach(), torch.rand(()).item()))
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    worst = 0.0
    for name, weight in shared.named_parameters():
        wanted = module.share(name, gradients[name], weight)
        worst = max(worst, apart(module.local(weight.grad), wanted))
    (output, next_draw), (own, own_next) = found
    alike = next_draw == own_next
    return {"output": apart(own, output), "gradient": worst, "alike": alike}


def drawn_in_turn(
    function: Callable[..., torch.Tensor],
    like: torch.Tensor,
    *inputs: torch.Tensor,
    **options: Any,
) -> torch.Tensor:
    """By features of [B, T, D], and heads of [B, heads, T, D]."""
    seed = int(torch.randint(2**62, ()))
    axis, count = (1 if inputs[0].ndim == 4 else 2), dist.get_world_size()
    results = []
    shares = zip(*(each.chunk(count, axis) for each in inputs), strict=True)
    for place, own in enumerate(shares):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed + place)
            results.append(function(*own, **options))
    return torch.cat(results, axis)


def is_frozen(weight: torch.Tensor, wanted: torch.Tensor | None) -> bool:
    """Whether a weight has no gradient, which has to be so in one process and in several."""
    assert (weight.grad is None) == (wanted is None)
    return wanted is None


def apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest distance of elements; tensors of one shape."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    return (found - wanted).abs().max().item() if found.numel() else 0.0


def refused(run: Callable[[], object]) -> str:
    """What is said of a batch that does not divide: in every process, before anything is sent."""
    try:
        run()
    except ValueError as error:
        return str(error)
    return ""


def process(rank: int, count: int, port: int, jobs: list[Job], folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    limit = timedelta(seconds=SECONDS)
    dist.init_process_group("gloo", rank=rank, world_size=count, timeout=limit)
    runs = {
        "mesh": run_mesh,
        "pipeline": run_pipeline,
        "draws": run_draws,
        "lost": run_lost,
    }
    found = [runs[job["kind"]](job) for job in jobs]
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
