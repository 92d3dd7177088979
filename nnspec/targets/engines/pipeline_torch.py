"""What emitted PyTorch programs carry that run on several devices. Read as text, never imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import get_schedule_class
from torch.distributed.tensor.parallel import ParallelStyle, parallelize_module

from nnspec.targets.engines.sharded_torch import (
    average_gradients,
    divide_gradients,
    divide_tables,
    gathered,
    local,
    make_copies_equal,
    make_mesh,
    shard,
    share,
)

STAGES: Sequence[Callable[..., nn.Module]] = ()
RANKS: Sequence[int] = ()
TIED: Sequence[Sequence[tuple[int, str]]] = ()
PATHS: Sequence[dict[str, str]] = ()
PLANS: Sequence[dict[str, ParallelStyle]] = ()
MESH: dict[str, int] = {}
SCHEDULE = ""
UNDIVIDED: Sequence[int] = ()

MESHED = SPLITS = SHARDS = COPIES = EMBEDS = HOLDS_TABLES = True
REDUCES_ONCE = GATHERS_ONCE = TAKES_IDS = KEEPS_WHOLE = True


class OnDevices(nn.Module):
    """The stages in turn, each on its device; what goes from one to the next is moved explicitly."""

    def __init__(
        self,
        devices: Sequence[torch.device | str],
        *,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if len(devices) != len(STAGES):
            raise ValueError(f"{len(STAGES)} devices are needed, one for each stage")
        self.devices = [torch.device(device) for device in devices]
        self.stages = nn.ModuleList(
            build(device=device, dtype=dtype)
            for build, device in zip(STAGES, self.devices, strict=True)
        )

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        values: Tensor | tuple[Tensor, ...] = inputs
        for stage, device in zip(self.stages, self.devices, strict=True):
            given = (values,) if isinstance(values, Tensor) else values
            values = stage(*(value.to(device) for value in given))
        return values


class Pipeline:
    """The stages of this process, which it runs on one micro-batch after another.

    Start one process for each of the ranks, with the process group initialised:
    `torchrun --nproc-per-node <ranks> train.py`. `loss` takes the outputs of the last
    stage and the target of a micro-batch; `averaged` says that it is a mean over the
    samples, so that gradients are those of the whole batch.
    """

    def __init__(
        self,
        loss: Callable[..., Tensor] | None,
        microbatches: int,
        *,
        averaged: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.microbatches = microbatches
        self.device = torch.device("cpu" if device is None else device)
        if MESHED:
            self.mesh = make_mesh(self.device.type)
            self.rank = self.mesh.get_local_rank("pipeline")
            self.group = self.mesh.get_group("pipeline")
        else:
            if dist.get_world_size() != max(RANKS) + 1:
                raise ValueError(
                    f"this plan is for {max(RANKS) + 1} processes, "
                    f"and there are {dist.get_world_size()}"
                )
            self.rank, self.group = dist.get_rank(), None
        self.numbers = [
            number for number, rank in enumerate(RANKS) if rank == self.rank
        ]
        self.stages = [self.make(number, dtype) for number in self.numbers]
        self.modules = [each.stage for each in self.stages]
        self.groups = [self.tied_group(copies) for copies in TIED]
        self.tie()
        if KEEPS_WHOLE:
            kinds = [
                Undivided if number in UNDIVIDED else PipelineStage
                for number in self.numbers
            ]
            stages = [
                kind(stage, number, len(STAGES), self.device, group=self.group)
                for kind, number, stage in zip(
                    kinds, self.numbers, self.stages, strict=True
                )
            ]
        else:
            stages = [
                PipelineStage(stage, number, len(STAGES), self.device, group=self.group)
                for number, stage in zip(self.numbers, self.stages, strict=True)
            ]
        if GATHERS_ONCE:  # gradients lie with the shards, which `step` brings back
            self.averaged, averaged = averaged, False
        single = SCHEDULE in ("GPipe", "1F1B")
        self.schedule = get_schedule_class(SCHEDULE)(
            stages[0] if single else stages,
            microbatches,
            loss_fn=loss,
            scale_grads=averaged,
        )

    def make(self, number: int, dtype: torch.dtype | None) -> Exchanged:
        """A stage on this process's device."""
        if MESHED:
            module = STAGES[number](device="meta", dtype=dtype)
            stage = Exchanged(module)
            if SPLITS:
                parallelize_module(module, self.mesh["tensor"], PLANS[number])
            if HOLDS_TABLES:
                divide_tables(module, self.mesh["tensor"], f"{number}.")
            if SHARDS:
                if REDUCES_ONCE:  # the schedule does so with what is sharded itself
                    shard(stage, self.mesh["data"])
                else:
                    shard(module, self.mesh["data"])
                if GATHERS_ONCE:
                    module.set_reshard_after_backward(False)
            module.to_empty(device=self.device)
            for part in module.modules():
                if hasattr(part, "reset_parameters"):
                    part.reset_parameters()
            if EMBEDS:
                divide_gradients(module)
            axes = tuple(axis for axis in MESH if axis != "pipeline")
            make_copies_equal(module, self.mesh[axes])
            return stage
        else:
            return Exchanged(STAGES[number](device=self.device, dtype=dtype))

    @property
    def is_first(self) -> bool:
        """Whether this process takes the inputs."""
        return 0 in self.numbers

    @property
    def is_last(self) -> bool:
        """Whether this process gives the outputs."""
        return len(STAGES) - 1 in self.numbers

    def parameters(self) -> list[nn.Parameter]:
        """The weights that this process holds, for its optimizer."""
        return [weight for module in self.modules for weight in module.parameters()]

    def state_dict(self) -> dict[str, Tensor]:
        """The weights of this process's stages, by their names in the whole model."""
        found = {}
        for number, module in zip(self.numbers, self.modules, strict=True):
            for name, weight in module.state_dict().items():
                if MESHED:
                    weight = gathered(f"{number}.{name}", weight)
                found[whole_name(number, name)] = weight
        return found

    @torch.no_grad()
    def load_state_dict(self, weights: dict[str, Tensor]) -> None:
        """Takes this process's share of the weights of the whole model."""
        for number, module in zip(self.numbers, self.modules, strict=True):
            own = module.state_dict()
            if MESHED:
                for name, weight in own.items():
                    whole = weights[whole_name(number, name)]
                    local(weight).copy_(share(f"{number}.{name}", whole, weight))
            else:
                module.load_state_dict(
                    {name: weights[whole_name(number, name)] for name in own}
                )

    def step(
        self,
        *inputs: Tensor,
        target: Tensor | None = None,
        losses: list[Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, ...] | None:
        """The forward and backward pass of a batch; the outputs, in the last process.

        The first process gives the inputs, the last one the target; its losses of the
        micro-batches are appended to `losses`.
        """
        for tensor in (*inputs, *(() if target is None else (target,))):
            if tensor.shape[0] % self.microbatches:
                raise ValueError(
                    f"a batch of {tensor.shape[0]} does not divide into "
                    f"{self.microbatches} micro-batches"
                )
        outputs = self.schedule.step(
            *(inputs if self.is_first else ()), target=target, losses=losses
        )
        if GATHERS_ONCE:
            for module in self.modules:
                for part in module.modules():
                    if isinstance(part, FSDPModule):
                        part.reshard()
            for weight in self.parameters() if self.averaged else ():
                if weight.grad is not None:
                    value_of(weight.grad).div_(self.microbatches)
        self.add_tied_gradients()
        if COPIES:
            average_gradients(self.parameters(), self.mesh["data"])
        return outputs

    def tie(self) -> None:
        """Makes the copies of each shared weight equal: the first stage that has one gives it."""
        for copies, group in zip(TIED, self.groups, strict=True):
            weights = [value_of(weight) for weight in self.copies(copies)]
            ranks = ranks_of(copies)
            if weights:
                first = ranks.index(RANKS[copies[0][0]])
                dist.broadcast(weights[0], group=group, group_src=first)
            for weight in weights[1:]:
                weight.copy_(weights[0])

    def add_tied_gradients(self) -> None:
        """Adds the gradients of the copies of each shared weight, so that they stay equal."""
        for copies, group in zip(TIED, self.groups, strict=True):
            weights = self.copies(copies)
            if not weights or not weights[0].requires_grad:
                continue
            gradients = [value_of(weight.grad) for weight in weights]
            total = torch.stack(gradients).sum(0)
            dist.all_reduce(total, group=group)
            for gradient in gradients:
                gradient.copy_(total)

    def tied_group(self, copies: Sequence[tuple[int, str]]) -> dist.ProcessGroup | None:
        """The processes that hold a shared weight; every process has to ask for every group."""
        if MESHED:
            found = None
            for lines in self.mesh.mesh.flatten(1).t().tolist():
                group = dist.new_group([lines[rank] for rank in ranks_of(copies)])
                if dist.get_rank() in lines:
                    found = group
            return found
        else:
            return dist.new_group(ranks_of(copies))

    def copies(self, copies: Sequence[tuple[int, str]]) -> list[nn.Parameter]:
        """The copies of a shared weight that this process holds."""
        held = dict(zip(self.numbers, self.modules, strict=True))
        return [
            held[number].get_parameter(path)
            for number, path in copies
            if number in held
        ]


class Exchanged(nn.Module):
    """A stage whose inputs and outputs processes send and receive, which have to lie in order."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage
        if TAKES_IDS:
            self.is_new = True

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        if TAKES_IDS:
            # The engine tries a new stage on memory as it finds it.
            inputs = tuple(without_ids(x) if self.is_new else x for x in inputs)
            self.is_new = False
        for x in inputs:
            if x.requires_grad:
                x.register_hook(Tensor.contiguous)  # its gradient is sent back
        outputs = self.stage(*inputs)
        if isinstance(outputs, Tensor):
            return outputs.contiguous()
        return tuple(output.contiguous() for output in outputs)


class Undivided(PipelineStage):
    """A stage whose backward pass runs as a whole where only gradients of inputs are asked for.

    In halves the engine computes a block again for each layer in it, and gives no gradients to
    weights that meet nothing which depends on the stage's inputs.
    """

    def backward_one_chunk(
        self,
        bwd_chunk_id: int,
        loss: Tensor | None = None,
        full_backward: bool = True,
        last_backward: bool = False,
    ) -> None:
        super().backward_one_chunk(bwd_chunk_id, loss, True, last_backward)

    def backward_weight_one_chunk(
        self, bwd_chunk_id: int, last_backward: bool = False
    ) -> None:
        """Gradients of weights are there already."""


def without_ids(x: Tensor) -> Tensor:
    """What can be any number stays so; places in tables are the first one."""
    return x if x.is_floating_point() else torch.zeros_like(x)


def ranks_of(copies: Sequence[tuple[int, str]]) -> list[int]:
    """The places in the pipeline that hold a shared weight."""
    return sorted(dict.fromkeys(RANKS[number] for number, _ in copies))


def value_of(weight: Tensor) -> Tensor:
    """What this process holds of a weight or its gradient, to be changed in place."""
    if MESHED:
        return local(weight.detach())
    else:
        return weight.detach()


def whole_name(number: int, name: str) -> str:
    """The name in the whole model of a weight of a stage."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        here = ".".join(parts[:count])
        if here in PATHS[number]:
            return ".".join([PATHS[number][here], *parts[count:]])
    return name
