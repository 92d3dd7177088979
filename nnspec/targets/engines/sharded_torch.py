"""What emitted PyTorch programs carry that share a model among processes. Read as text, never imported.

Constants in capitals are tables of the emitted program. Those that only an `if` asks are settled when the
program is emitted: it has one of the branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import ParallelStyle, parallelize_module

BLOCKS: tuple[type[nn.Module], ...] = ()
MESH: dict[str, int] = {}
MICROBATCHES = 1
PLAN: dict[str, ParallelStyle] = {}
PACKED: dict[str, int] = {}
SHARDED = ""
TABLES: dict[str, int] = {}

SPLITS = SHARDS = PACKS = EMBEDS = HOLDS_TABLES = REDUCES_ONCE = True


def make_mesh(device_type: str = "cpu") -> DeviceMesh:
    """The processes by the axes of `MESH`, of which the last runs fastest."""
    count = math.prod(MESH.values())
    if dist.get_world_size() != count:
        raise ValueError(
            f"this plan is for {count} processes, and there are {dist.get_world_size()}"
        )
    return init_device_mesh(
        device_type, tuple(MESH.values()), mesh_dim_names=tuple(MESH)
    )


def build(
    factory: Callable[..., nn.Module],
    mesh: DeviceMesh,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    policy: MixedPrecisionPolicy | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """This process's share of a model, which no process ever holds as a whole.

    `weights` are those of the whole model (memory-mapped, if they are large), of which each
    process takes its share; without them they are drawn, and copies made equal.
    """
    model = factory(device="meta", dtype=dtype)
    if SPLITS:
        parallelize_module(model, mesh["tensor"], PLAN)
    if HOLDS_TABLES:
        divide_tables(model, mesh["tensor"])
    if SHARDS:
        shard(model, mesh["data"], policy)
    model.to_empty(device=device)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    if weights is None:
        make_copies_equal(model, mesh)
    else:
        load(model, weights)
    return model


def build_copy(
    factory: Callable[..., nn.Module],
    mesh: DeviceMesh,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """This process's share of a model, which no process ever holds as a whole.

    `weights` are those of the whole model (memory-mapped, if they are large), of which each
    process takes its share; without them they are drawn, and copies made equal.
    """
    model = factory(device="meta", dtype=dtype)
    if SPLITS:
        parallelize_module(model, mesh["tensor"], PLAN)
    if HOLDS_TABLES:
        divide_tables(model, mesh["tensor"])
    model.to_empty(device=device)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    if EMBEDS:
        divide_gradients(model)
    if weights is None:
        make_copies_equal(model, mesh)
    else:
        load(model, weights)
    return model


def divide_tables(model: nn.Module, mesh: DeviceMesh, prefix: str = "") -> None:
    """Gives each process its share of the weights of `TABLES`, along the axis that stands there."""
    for name, weight in list(model.named_parameters()):
        axis = entry_of(TABLES, f"{prefix}{name}")
        if axis is not None:
            path, _, last = name.rpartition(".")
            held = nn.Parameter(distribute_tensor(weight, mesh, [Shard(axis)]))
            model.get_submodule(path).register_parameter(last, held)


def divide_gradients(model: nn.Module) -> None:
    """Divides gradients as their weights are: the engine leaves those of embeddings whole."""
    for weight in model.parameters():
        if isinstance(weight, DTensor):

            def divided(gradient: DTensor, like: DTensor = weight) -> DTensor:
                return gradient.redistribute(placements=like.placements)

            weight.register_hook(divided)


def shard(
    model: nn.Module, mesh: DeviceMesh, policy: MixedPrecisionPolicy | None = None
) -> nn.Module:
    """Shards weights, gradients and optimizer states over the processes of `mesh` (FSDP2).

    Each block gathers its weights when it runs, and the rest of the model its own. Inner blocks
    come first: what they shard is not shared out once more.
    """
    options = {"mesh": mesh, "reshard_after_forward": SHARDED == "weights"}
    if policy is not None:
        options["mp_policy"] = policy
    for module in reversed(list(model.modules())):
        if isinstance(module, BLOCKS):
            fully_shard(module, **options)
    return fully_shard(model, **options)


def step(
    model: nn.Module, loss: Callable[..., Tensor], *inputs: Tensor, target: Tensor
) -> Tensor:
    """The forward and backward pass of this process's part of a batch; the mean loss of it.

    Processes with different places on the axis "data" give different parts, others the same.
    `loss` takes the outputs and the target of a micro-batch and is a mean over its samples, so
    that gradients are those of the whole batch.
    """
    losses = []
    for *given, wanted in micro_batches(*inputs, target):
        value = loss(model(*given), wanted) / MICROBATCHES
        value.backward()
        losses.append(value.detach())
    return torch.stack(losses).sum()


def step_holding(
    model: nn.Module, loss: Callable[..., Tensor], *inputs: Tensor, target: Tensor
) -> Tensor:
    """The forward and backward pass of this process's part of a batch; the mean loss of it.

    Processes with different places on the axis "data" give different parts, others the same.
    `loss` takes the outputs and the target of a micro-batch and is a mean over its samples, so
    that gradients are those of the whole batch.
    """
    losses = []
    batches = micro_batches(*inputs, target)
    for number, (*given, wanted) in enumerate(batches, start=1):
        is_last = number == MICROBATCHES
        model.set_reshard_after_backward(is_last)  # till then weights stay gathered
        if REDUCES_ONCE:
            model.set_requires_gradient_sync(is_last)
        value = loss(model(*given), wanted) / MICROBATCHES
        value.backward()
        losses.append(value.detach())
    return torch.stack(losses).sum()


def step_of_copies(
    model: nn.Module,
    mesh: DeviceMesh,
    loss: Callable[..., Tensor],
    *inputs: Tensor,
    target: Tensor,
) -> Tensor:
    """The forward and backward pass of this process's part of a batch; the mean loss of it.

    Processes with different places on the axis "data" give different parts, others the same.
    `loss` takes the outputs and the target of a micro-batch and is a mean over its samples, so
    that gradients are those of the whole batch.
    """
    losses = []
    for *given, wanted in micro_batches(*inputs, target):
        value = loss(model(*given), wanted) / MICROBATCHES
        value.backward()
        losses.append(value.detach())
    average_gradients(model.parameters(), mesh["data"])
    return torch.stack(losses).sum()


def micro_batches(*tensors: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """The parts of a batch that are run one after another."""
    for tensor in tensors:
        if tensor.shape[0] % MICROBATCHES:
            raise ValueError(
                f"a batch of {tensor.shape[0]} does not divide into "
                f"{MICROBATCHES} micro-batches"
            )
    return zip(*(tensor.chunk(MICROBATCHES) for tensor in tensors), strict=True)


def average_gradients(weights: Iterable[nn.Parameter], mesh: DeviceMesh) -> None:
    """Makes the gradients of copies equal: their mean over the processes of `mesh`."""
    gradients = [local(each.grad) for each in weights if each.grad is not None]
    group = mesh.get_group()
    waiting = [dist.all_reduce(each, group=group, async_op=True) for each in gradients]
    for work, gradient in zip(waiting, gradients, strict=True):
        work.wait()
        gradient.div_(mesh.size())


@torch.no_grad()
def load(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Takes this process's share of the weights of the whole model."""
    for name, weight in model.state_dict().items():
        local(weight).copy_(share(name, weights[name], weight))


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the whole model, in every process; all have to ask for them."""
    weights = model.state_dict().items()
    return {name: gathered(name, weight) for name, weight in weights}


def local(weight: Tensor) -> Tensor:
    """What this process holds of a weight."""
    return weight.to_local() if isinstance(weight, DTensor) else weight


def share(name: str, whole: Tensor, weight: Tensor) -> Tensor:
    """The part of a whole tensor that this process holds of a weight."""
    if not isinstance(weight, DTensor):
        return whole
    mesh = weight.device_mesh
    if PACKS:
        stretches = stretches_of(name)
        if stretches > 1:
            whole = interleaved(whole, stretches, mesh["tensor"].size())
    for axis, placement in reversed(list(enumerate(weight.placements))):
        if not placement.is_replicate():
            chunks = whole.chunk(mesh.size(axis), placement.dim)
            place = mesh.get_local_rank(axis)
            none = whole.narrow(placement.dim, 0, 0)
            whole = chunks[place] if place < len(chunks) else none
    return whole


@torch.no_grad()
def gathered(name: str, weight: Tensor) -> Tensor:
    """A weight as a whole, from the shares of all processes."""
    if not isinstance(weight, DTensor):
        return weight
    mesh, shape = weight.device_mesh, list(weight.shape)
    sizes = []
    for axis, placement in reversed(list(enumerate(weight.placements))):
        if not placement.is_replicate():
            sizes.append((axis, placement.dim, shape[placement.dim]))
            shape[placement.dim] = -(-shape[placement.dim] // mesh.size(axis))
    found = weight.to_local()
    for axis, along, size in reversed(sizes):
        chunk = -(-size // mesh.size(axis))
        padded = found.new_zeros(*found.shape[:along], chunk, *found.shape[along + 1 :])
        padded.narrow(along, 0, found.shape[along]).copy_(found)
        parts = [torch.empty_like(padded) for _ in range(mesh.size(axis))]
        dist.all_gather(parts, padded, group=mesh.get_group(axis))
        found = torch.cat(parts, along).narrow(along, 0, size).contiguous()
    if PACKS:
        stretches = stretches_of(name)
        if stretches > 1:
            found = interleaved(found, mesh["tensor"].size(), stretches)
    return found


def interleaved(weight: Tensor, outer: int, inner: int) -> Tensor:
    """Rows in `outer` stretches of `inner` parts each, in the order of the parts."""
    return weight.unflatten(0, (outer, inner, -1)).transpose(0, 1).flatten(0, 2)


def stretches_of(name: str) -> int:
    """In how many stretches the rows of a weight are split, each apart."""
    return entry_of(PACKED, name.rpartition(".")[0]) or 1


def entry_of(table: dict[str, int], path: str) -> int | None:
    """What stands in a table for a path, where `*` is any number."""
    names = path.split(".")
    for pattern, entry in table.items():
        parts = pattern.split(".")
        alike = (a in ("*", b) for a, b in zip(parts, names, strict=False))
        if len(parts) == len(names) and all(alike):
            return entry
    return None


def make_copies_equal(model: nn.Module, mesh: DeviceMesh) -> None:
    """Gives what processes hold alike the values that the first of them has drawn."""
    for axis in mesh.mesh_dim_names or ():
        group = mesh.get_group(axis)
        for weight in (*model.parameters(), *model.buffers()):
            if not is_divided(weight, axis):
                dist.broadcast(local(weight.detach()), group=group, group_src=0)


def is_divided(weight: Tensor, axis: str) -> bool:
    """Whether the processes along an axis of the mesh hold different parts of a weight."""
    if not isinstance(weight, DTensor):
        return False
    axes = weight.device_mesh.mesh_dim_names or ()
    return axis in axes and not weight.placements[axes.index(axis)].is_replicate()


def split_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` times a weight of which each process has some rows; the whole result, in each."""
    if not isinstance(weight, DTensor):
        return F.linear(x, weight, bias)
    whole = DTensor.from_local(x, weight.device_mesh, [Replicate()], run_check=False)
    y = F.linear(whole, weight).redistribute(placements=[Replicate()]).to_local()
    return y if bias is None else y + bias


def own_share(x: Tensor, like: Tensor, axis: int) -> Tensor:
    """This process's share of a value that is whole in each; gradients are gathered from all.

    `like` is a weight that the processes share.
    """
    if not isinstance(like, DTensor):
        return x
    whole = DTensor.from_local(x, like.device_mesh, [Replicate()], run_check=False)
    return whole.redistribute(placements=[Shard(axis)]).to_local()


def summed(x: Tensor, like: Tensor) -> Tensor:
    """A value that each process needs as a whole; gradients are the sums of those of all.

    `like` is a weight that the processes share.
    """
    if not isinstance(like, DTensor):
        return x
    whole = DTensor.from_local(x, like.device_mesh, [Replicate()], run_check=False)
    return whole.to_local(grad_placements=[Partial()])


def drawn_apart(
    function: Callable[..., Tensor], like: Tensor, *inputs: Tensor, **options: object
) -> Tensor:
    """A function that draws for this process's share what no other process draws for its own.

    `like` is a weight that the processes share. They are seeded alike, and draw alike behind this.
    """
    if not isinstance(like, DTensor):
        return function(*inputs, **options)
    place = like.device_mesh.get_local_rank()
    seed = int(torch.randint(2**62, (), device="cpu")) + place
    device = inputs[0].device
    others = [] if device.type == "cpu" else [device]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(others, device_type=kind):
        torch.manual_seed(seed)
        return function(*inputs, **options)
