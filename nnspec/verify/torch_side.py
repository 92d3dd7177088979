"""The worker that runs emitted PyTorch programs."""

# PyTorch's own annotations leave parts of many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnspec.targets.probes import PROBE
from nnspec.verify.build import import_source
from nnspec.verify.exchange import (
    ANY,
    Array,
    Axis,
    Call,
    Described,
    Export,
    Outcome,
    Program,
)
from nnspec.verify.probing import Recorder
from nnspec.verify.randomness import Draws, replaced

torch.set_num_threads(1)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
UNCOUNTED = "num_batches_tracked"


class TorchSide:
    """Holds one built model; the methods are the commands of the worker."""

    def __init__(self) -> None:
        self._factory: Any = None
        self._model: nn.Module = nn.Identity()
        self._probed: nn.Module = nn.Identity()
        self._recorder = Recorder(_arrays)
        self._weights: Mapping[str, Array] = {}

    def build(
        self, program: Program, floats: str, inputs: Sequence[Array]
    ) -> dict[str, Described]:
        """Builds the model; gives its parameters and persistent buffers."""
        self._factory = getattr(import_source(program.source), program.factory)
        self._model = self._factory(dtype=getattr(torch, floats))
        disarm(self._model)
        trained = {
            name for name, p in self._model.named_parameters() if p.requires_grad
        }
        return {
            name: Described(tuple(tensor.shape), name in trained)
            for name, tensor in self._model.state_dict().items()
            if not name.endswith(UNCOUNTED)
        }

    def assign(self, weights: Mapping[str, Array]) -> None:
        """Gives every parameter and buffer its value."""
        self._weights = weights
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        tensors |= {
            name: torch.zeros_like(tensor)
            for name, tensor in self._model.state_dict().items()
            if name.endswith(UNCOUNTED)
        }
        self._model.load_state_dict(tensors, strict=True)

    def evaluate(
        self, inputs: Sequence[Array], capture: Collection[str] = ()
    ) -> Outcome:
        """Runs the model in evaluation mode; writes down the calls of the modules named by `capture`."""
        self._model.eval()
        calls: list[Call] = []
        with (
            torch.no_grad(),
            same_draws(),
            recorded(self._model, calls, capture),
        ):
            outputs = self._model(*_tensors(inputs))
        return Outcome(_arrays(outputs), calls=calls)

    def build_probed(self, program: Program, floats: str) -> None:
        """Builds the same model of a program with probes, with the same weights."""
        module = import_source(program.source, **{PROBE: self._probe})
        self._probed = getattr(module, program.factory)(dtype=getattr(torch, floats))
        disarm(self._probed)
        self._probed.load_state_dict(self._model.state_dict(), strict=True)
        self._probed.eval()

    def show(self, inputs: Sequence[Array], wanted: Collection[str]) -> Outcome:
        """Runs the model with probes in evaluation mode; writes down the values that are wanted."""
        followed = _followed(self._probed, self._recorder.layers)
        with (
            torch.no_grad(),
            same_draws(),
            followed,
            self._recorder.writing(wanted) as seen,
        ):
            outputs = self._probed(*_tensors(inputs))
        return Outcome(_arrays(outputs), calls=seen)

    def _probe(self, number: int, value: Any) -> Any:
        self._recorder.see(number, value)
        return value

    def train(
        self, inputs: Sequence[Array], cotangents: Sequence[Array | None]
    ) -> Outcome:
        """Runs the model in training mode and differentiates sum(output * cotangent)."""
        self._model.train()
        statistics = Statistics(self._model)
        with same_draws(), statistics.followed():
            outputs = _flat(self._model(*_tensors(inputs)))
        pairs = zip(outputs, cotangents, strict=True)
        terms = [
            (o * torch.from_numpy(c)).sum()
            for o, c in pairs
            if c is not None and o.requires_grad
        ]
        names = {
            name: p for name, p in self._model.named_parameters() if p.requires_grad
        }
        gradients = _gradients(terms, names)
        state = {**self._buffers(), **statistics.biased}
        found = Outcome(_arrays(outputs), gradients, state)
        self.assign(self._weights)
        return found

    def _buffers(self) -> dict[str, Array]:
        parameters = {name for name, _ in self._model.named_parameters()}
        return {
            name: tensor.numpy().copy()
            for name, tensor in self._model.state_dict().items()
            if name not in parameters and not name.endswith(UNCOUNTED)
        }

    # ---- further claims ----

    def compiled(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs of the model compiled as one graph."""
        torch.compiler.reset()
        self._model.eval()
        program = torch.compile(self._model, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            return _arrays(program(*_tensors(inputs)))

    def exported(self, export: Export) -> list[list[Array]]:
        """The outputs, for each sample, of the model exported with open sizes."""
        torch.compiler.reset()
        self._model.eval()
        sizes = {
            name: torch.export.Dim(name, min=low, max=high)
            for name, (low, high) in export.bounds.items()
        }
        shapes = tuple(
            {
                place: _open_size(axis, sizes)
                for place, axis in enumerate(axes)
                if axis.symbol is not None
            }
            for axes in export.axes
        )
        first = tuple(_tensors(export.samples[0]))
        program = torch.export.export(
            self._model, first, dynamic_shapes=shapes, strict=True
        )
        run = program.module()
        with torch.no_grad():
            return [_arrays(run(*_tensors(sample))) for sample in export.samples]

    def on_meta(self, inputs: Sequence[Array]) -> list[tuple[int, ...]]:
        """The shapes of the outputs on the device that computes nothing."""
        model = self._factory(device="meta")
        tensors = [*model.parameters(), *model.buffers()]
        stray = [tensor for tensor in tensors if tensor.device.type != "meta"]
        if stray:
            raise AssertionError(f"{len(stray)} tensors are not on the meta device")
        model.eval()
        floats = [
            t.float() if t.dtype is torch.float64 else t for t in _tensors(inputs)
        ]
        with torch.no_grad():
            outputs = _flat(model(*[tensor.to("meta") for tensor in floats]))
        return [tuple(output.shape) for output in outputs]


class Statistics:
    """Follows the running variances of batch norms, and tells what they were with biased variances.

    PyTorch moves them towards the unbiased variance of the batch, Keras towards the biased one.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {
            module: f"{name}.running_var" if name else "running_var"
            for name, module in model.named_modules()
            if isinstance(module, BATCH_NORMS) and module.running_var is not None
        }
        self.biased: dict[str, Array] = {}

    @contextmanager
    def followed(self) -> Generator[None]:
        """Inside, every call of a batch norm is followed."""
        call = nn.Module.__call__

        def wrapped(module: nn.Module, *inputs: Any, **options: Any) -> Any:
            if module not in self._names or not module.training:
                return call(module, *inputs, **options)
            before = _variance(module)
            result = call(module, *inputs, **options)
            self._step(module, inputs[0], before)
            return result

        with replaced(nn.Module, __call__=wrapped):
            yield

    def _step(self, module: nn.Module, x: Tensor, before: Array) -> None:
        assert isinstance(module, BATCH_NORMS)
        name = self._names[module]
        share = module.momentum or 0.0
        count = x.numel() // x.shape[1]
        moved = _variance(module) - (1 - share) * before
        known = self.biased.get(name, before)
        self.biased[name] = (1 - share) * known + moved * (count - 1) / count


def _variance(module: nn.Module) -> Array:
    assert isinstance(module.running_var, Tensor)
    return module.running_var.numpy().copy()


def disarm(model: nn.Module) -> None:
    """Sets every dropout rate to zero."""
    for module in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


@contextmanager
def recorded(
    model: nn.Module, calls: list[Call], wanted: Collection[str]
) -> Generator[None]:
    """Inside, every call of a submodule that is wanted is written down when it is over."""
    if not wanted:
        yield
        return
    names = {module: name for name, module in model.named_modules()}
    call = nn.Module.__call__

    def wrapped(module: nn.Module, *inputs: Any, **options: Any) -> Any:
        result = call(module, *inputs, **options)
        if names.get(module) in wanted:
            calls.append(Call(names[module], tuple(_arrays(result))))
        return result

    with replaced(nn.Module, __call__=wrapped):
        yield


@contextmanager
def _followed(model: nn.Module, layers: list[str]) -> Generator[None]:
    """Inside, the paths of the submodules that run stand in a list, the innermost last."""
    names = {module: name for name, module in model.named_modules()}
    call = nn.Module.__call__

    def wrapped(module: nn.Module, *inputs: Any, **options: Any) -> Any:
        layers.append(names[module])
        try:
            return call(module, *inputs, **options)
        finally:
            layers.pop()

    with replaced(nn.Module, __call__=wrapped):
        yield


@contextmanager
def same_draws() -> Generator[None]:
    """Inside, random tensors hold the draws that all frameworks share."""
    draws = Draws()

    def drawn(function: Any) -> Any:
        def draw(*shape: Any, **options: Any) -> Tensor:
            sizes = (
                shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
            )
            options.setdefault("dtype", torch.get_default_dtype())
            return torch.as_tensor(
                function(tuple(int(size) for size in sizes)), **options
            )

        return draw

    with replaced(torch, randn=drawn(draws.normal), rand=drawn(draws.uniform)):
        yield


def _gradients(terms: list[Tensor], leaves: Mapping[str, Tensor]) -> dict[str, Array]:
    if not terms or not leaves:
        return {name: np.zeros(tuple(leaf.shape)) for name, leaf in leaves.items()}
    total = torch.stack(terms).sum()
    found: Any = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        name: np.zeros(tuple(leaf.shape)) if gradient is None else gradient.numpy()
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }


def _open_size(axis: Axis, sizes: Mapping[str, Any]) -> Any:
    assert axis.symbol is not None
    if axis.symbol == ANY:
        return torch.export.Dim.AUTO
    size = sizes[axis.symbol]
    size = axis.factor * size if axis.factor != 1 else size
    return size + axis.plus if axis.plus else size


def _tensors(arrays: Sequence[Array]) -> list[Tensor]:
    return [torch.from_numpy(array.copy()) for array in arrays]


def _flat(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in _flat(output)]


def _arrays(outputs: Any) -> list[Array]:
    return [tensor.detach().numpy() for tensor in _flat(outputs)]
