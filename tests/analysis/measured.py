"""What an emitted PyTorch program keeps in memory, measured: the truth for the figures of memory.

Bytes are those of storages (each once, however many tensors lie in it), as PyTorch's dispatcher sees
them come and go. Under `FakeTensorMode` nothing is computed and no memory is taken, so that models of
any size can be measured; kernels that choose by value or device are the same as in a real run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnspec.verify.build import build


@dataclass
class Live(TorchDispatchMode):
    """Counts the bytes of living storages, and the most that lived at once."""

    now: int = 0
    peak: int = 0
    _known: dict[int, Any] = field(default_factory=dict[int, Any])

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.native_batch_norm_backward.default:
            result = _asked_for(result, args[-1])
        self.watch(tree_leaves(result))
        return result

    def watch(self, values: Iterable[Any]) -> None:
        """Counts the storages of tensors, those that are new."""
        for value in values:
            if isinstance(value, Tensor):
                self._watch(value.untyped_storage())
        self.peak = max(self.peak, self.now)

    def _watch(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def gone(_: Any) -> None:
            self.now -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.now += size


def _asked_for(gradients: Iterable[Any], asked: Iterable[bool]) -> tuple[Any, ...]:
    """Those of some gradients that are asked for: fake batch norms, unlike real ones, make that of their input besides."""
    return tuple(g if a else None for g, a in zip(gradients, asked, strict=True))


@dataclass(frozen=True)
class Measured:
    """Bytes: what autograd keeps, and the peaks, parameters, buffers and inputs included."""

    saved: int
    backward_peak: int
    train_peak: int


def built(spec: Any, **options: Any) -> torch.nn.Module:
    """The emitted model, its weights left as they come: fake tensors hold no numbers to draw again."""
    with mock.patch("torch.nn.init.trunc_normal_", lambda tensor, **_: tensor):
        return build(spec, "torch", **options)


def total(outputs: Any) -> Tensor:
    """The sum of all that a model gives."""
    leaves = [leaf for leaf in tree_leaves(outputs) if leaf.requires_grad]
    result = leaves[0].sum()
    for leaf in leaves[1:]:
        result = result + leaf.sum()
    return result


def state_of(model: torch.nn.Module) -> list[Tensor]:
    """Parameters and buffers."""
    return [*model.parameters(), *model.buffers()]


def storages(tensors: Iterable[Any]) -> dict[int, int]:
    """The bytes of each storage."""
    found: dict[int, int] = {}
    for tensor in tensors:
        if isinstance(tensor, Tensor):
            storage = tensor.untyped_storage()
            found[storage._cdata] = storage.nbytes()
    return found


def saved_bytes(
    forward: Callable[[], Any], outside: Sequence[Tensor]
) -> tuple[int, Any]:
    """What autograd keeps of a forward pass besides the tensors `outside`, and the pass's result."""
    kept: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> _Kept:
        # Without its history: a result that its own operation keeps would else hold itself.
        made = _Kept(tensor.detach())
        kept.add(made)
        return made

    with saved_tensors_hooks(pack, lambda made: made.tensor):
        result = forward()
    found = storages(made.tensor for made in kept)
    for known in storages(outside):
        found.pop(known, None)
    return sum(found.values()), result


@dataclass(eq=False)
class _Kept:
    tensor: Tensor


def memory_of(model: torch.nn.Module, inputs: Sequence[Any]) -> dict[str, int]:
    """The figures of memory by their names, of a forward pass and of a training step."""
    inference, step = inference_peak(model, inputs), training(model, inputs)
    return {
        "saved_bytes": step.saved,
        "inference_peak": inference,
        "backward_peak": step.backward_peak,
        "train_peak": step.train_peak,
    }


def inference_peak(model: torch.nn.Module, inputs: Sequence[Any]) -> int:
    """The most that lives during a forward pass, parameters, buffers and inputs included."""
    model.eval()
    live = Live()
    live.watch([*state_of(model), *tree_leaves(inputs)])
    with torch.no_grad(), live:
        model(*inputs)
    return live.peak


def training(model: torch.nn.Module, inputs: Sequence[Any]) -> Measured:
    """A training step with the sum of the outputs as the loss: the second one, once Adam has its state."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    saved, outputs = saved_bytes(
        lambda: model(*inputs), [*state_of(model), *tree_leaves(inputs)]
    )
    del outputs
    peaks: list[int] = []
    for steps in (False, True):
        live = Live()
        states = [
            value for state in optimizer.state.values() for value in state.values()
        ]
        live.watch([*state_of(model), *tree_leaves(inputs), *states])
        optimizer.zero_grad()
        with live:
            total(model(*inputs)).backward()
            peaks.append(live.peak)
            optimizer.step()
        if steps:
            peaks.append(live.peak)
        del live
    return Measured(saved, peaks[0], peaks[-1])
