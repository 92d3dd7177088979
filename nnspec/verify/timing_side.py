"""The worker that measures how long emitted PyTorch programs take."""

# PyTorch's own annotations leave parts of many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.verify.build import import_source
from nnspec.verify.exchange import Array, Program

WARM_UPS = 2
LEAST_RUNS = 3
PURE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MIXED = {"mixed_bf16": torch.bfloat16, "mixed_fp16": torch.float16}


class TimingSide:
    """Runs one program after the other; the methods are the commands of the worker."""

    def timed(
        self,
        program: Program,
        inputs: Sequence[Array],
        *,
        mode: str,
        policy: str,
        on: str,
        threads: int,
        budget: float,
    ) -> list[float]:
        """The seconds of each run, `budget` of them in all and no fewer than three."""
        torch.set_num_threads(threads)
        dtype = PURE.get(policy, torch.float32)
        factory = getattr(import_source(program.source), program.factory)
        model: nn.Module = factory(dtype=dtype).to(on)
        given = [_tensor(array, dtype).to(on) for array in inputs]
        run = _forward(model) if mode == "forward" else _training(model)
        with _precision(policy, on):
            return _repeated(lambda: run(given), on, budget, _clock(on, threads))


def _tensor(array: Array, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _precision(policy: str, on: str) -> AbstractContextManager[Any]:
    if policy not in MIXED:
        return nullcontext()
    return torch.autocast(torch.device(on).type, MIXED[policy])


def _forward(model: nn.Module) -> Callable[[Sequence[Tensor]], None]:
    model.eval()

    @torch.inference_mode()
    def run(inputs: Sequence[Tensor]) -> None:
        model(*inputs)

    return run


def _training(model: nn.Module) -> Callable[[Sequence[Tensor]], None]:
    """Forward, backward of the sum of what comes out, and a step of Adam."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)

    def run(inputs: Sequence[Tensor]) -> None:
        optimizer.zero_grad()
        outputs = model(*inputs)
        results = outputs if isinstance(outputs, tuple | list) else (outputs,)
        terms = [each.float().sum() for each in results if each.requires_grad]
        torch.stack(terms).sum().backward()
        optimizer.step()

    return run


def _clock(on: str, threads: int) -> Callable[[], float]:
    """Of one thread the time that it really ran, so that other programs do not count."""
    return process_time if on == "cpu" and threads == 1 else perf_counter


def _repeated(
    run: Callable[[], None], on: str, seconds: float, clock: Callable[[], float]
) -> list[float]:
    for _ in range(WARM_UPS):
        run()
    _wait(on)
    found: list[float] = []
    while len(found) < LEAST_RUNS or sum(found) < seconds:
        start = clock()
        run()
        _wait(on)
        found.append(clock() - start)
    return found


def _wait(on: str) -> None:
    """Until an accelerator has done what it was asked."""
    if on != "cpu":
        torch.accelerator.synchronize()
