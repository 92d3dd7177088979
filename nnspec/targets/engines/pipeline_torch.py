"""What emitted PyTorch programs carry that run on several devices. Read as text, never imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import PipelineStage
from torch.distributed.pipelining.schedules import get_schedule_class

STAGES: Sequence[Callable[..., nn.Module]] = ()
RANKS: Sequence[int] = ()
TIED: Sequence[Sequence[tuple[int, str]]] = ()
PATHS: Sequence[dict[str, str]] = ()
SCHEDULE = ""


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
        if dist.get_world_size() != max(RANKS) + 1:
            raise ValueError(
                f"this plan is for {max(RANKS) + 1} processes, "
                f"and there are {dist.get_world_size()}"
            )
        self.microbatches = microbatches
        self.device = torch.device("cpu" if device is None else device)
        self.numbers = [
            number for number, rank in enumerate(RANKS) if rank == dist.get_rank()
        ]
        self.modules = [
            STAGES[number](device=self.device, dtype=dtype) for number in self.numbers
        ]
        self.groups = [tied_group(copies) for copies in TIED]
        self.tie()
        stages = [
            PipelineStage(Exchanged(module), number, len(STAGES), self.device)
            for number, module in zip(self.numbers, self.modules, strict=True)
        ]
        single = SCHEDULE in ("GPipe", "1F1B")
        self.schedule = get_schedule_class(SCHEDULE)(
            stages[0] if single else stages,
            microbatches,
            loss_fn=loss,
            scale_grads=averaged,
        )

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
        """The weights that this process holds, by their names in the whole model."""
        return {
            whole_name(number, name): weight
            for number, module in zip(self.numbers, self.modules, strict=True)
            for name, weight in module.state_dict().items()
        }

    def load_state_dict(self, weights: dict[str, Tensor]) -> None:
        """Takes this process's share of the weights of the whole model."""
        for number, module in zip(self.numbers, self.modules, strict=True):
            own = module.state_dict()
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
        self.add_tied_gradients()
        return outputs

    def tie(self) -> None:
        """Makes the copies of each shared weight equal: the first stage that has one gives it."""
        for copies, group in zip(TIED, self.groups, strict=True):
            weights = self.copies(copies)
            if weights:
                dist.broadcast(weights[0].data, RANKS[copies[0][0]], group=group)
            for weight in weights[1:]:
                weight.data.copy_(weights[0].data)

    def add_tied_gradients(self) -> None:
        """Adds the gradients of the copies of each shared weight, so that they stay equal."""
        for copies, group in zip(TIED, self.groups, strict=True):
            weights = self.copies(copies)
            if not weights or not weights[0].requires_grad:
                continue
            total = sum(weight.grad for weight in weights if weight.grad is not None)
            dist.all_reduce(total, group=group)
            for weight in weights:
                weight.grad = total.clone()

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

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        for x in inputs:
            if x.requires_grad:
                x.register_hook(Tensor.contiguous)  # its gradient is sent back
        outputs = self.stage(*inputs)
        if isinstance(outputs, Tensor):
            return outputs.contiguous()
        return tuple(output.contiguous() for output in outputs)


def tied_group(copies: Sequence[tuple[int, str]]) -> dist.ProcessGroup | None:
    """The processes that hold a shared weight; every process has to ask for every group."""
    return dist.new_group(sorted(dict.fromkeys(RANKS[number] for number, _ in copies)))


def whole_name(number: int, name: str) -> str:
    """The name in the whole model of a weight of a stage."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        here = ".".join(parts[:count])
        if here in PATHS[number]:
            return ".".join([PATHS[number][here], *parts[count:]])
    return name
