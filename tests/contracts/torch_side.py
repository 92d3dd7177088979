"""Runs a case in PyTorch: eagerly, exported with open sizes, and on the device that computes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from harness import Draw, Outcome
from lowering import LABEL, flat_types, lower, namespace
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

torch.set_num_threads(1)


def make(draw: Draw, types: list[Any], device: str = "cpu") -> nn.Module:
    """A module whose forward pass is the operator's lowering, with the weights of the draw."""
    lowered = lower(draw.operator, types, "torch")
    names = namespace("torch") | {
        "device": torch.device(device),
        "dtype": torch.float64,
    }
    exec(lowered.function("forward"), names)
    host = type("Host", (nn.Module,), {"forward": names["forward"]})()
    host.register_buffer(
        "anchor", torch.zeros((), device=device, dtype=torch.float64), persistent=False
    )
    for name, source in lowered.modules.items():
        setattr(host, name, eval(source, names))
    for name in lowered.parameters:
        value = torch.from_numpy(draw.weights[name].copy()).to(device)
        if draw.specs[name].trainable:
            host.register_parameter(f"{LABEL}_{name}", nn.Parameter(value))
        else:
            host.register_buffer(f"{LABEL}_{name}", value)
    return host.train(draw.case.training)


def places(draw: Draw, host: nn.Module) -> dict[str, torch.Tensor]:
    """The tensor of each weight by its name; fails unless they are exactly those of the modules."""
    found: dict[str, torch.Tensor] = {}
    state = {**dict(host.named_parameters()), **dict(host.named_buffers())}
    for path, tensor in state.items():
        module, _, name = path.rpartition(".")
        name = name if module else name.removeprefix(f"{LABEL}_")
        name = name if name in draw.specs else path.partition(".")[2]
        if name == "num_batches_tracked" or not host.state_dict().keys() & {path}:
            continue
        assert name not in found, f"two tensors are called {name}"
        found[name] = tensor
    assert found.keys() == draw.specs.keys(), (
        f"weights {[*draw.specs]}, modules have {[*found]}"
    )
    for name, tensor in found.items():
        assert tuple(tensor.shape) == draw.weights[name].shape, name
        assert isinstance(tensor, nn.Parameter) == draw.specs[name].trainable, name
    return found


def run(draw: Draw) -> Outcome:
    """Results, gradients and FLOPs."""
    host = make(draw, draw.types)
    weights = _assign(draw, host)
    inputs = [torch.from_numpy(array.copy()) for array in draw.flat()]
    for tensor in inputs:
        tensor.requires_grad_(tensor.is_floating_point())
    with FlopCounterMode(display=False) as counter:
        outputs = host(*inputs)
    gradients = _gradients(draw, outputs, inputs, weights)
    _check_meta(draw)
    flops = counter.get_total_flops()
    return Outcome(_arrays(outputs), gradients, flops=flops)


def _assign(draw: Draw, host: nn.Module) -> dict[str, torch.Tensor]:
    """Gives every weight its value; the weights by their names."""
    found = places(draw, host)
    with torch.no_grad():
        for name, tensor in found.items():
            tensor.copy_(torch.from_numpy(draw.weights[name]))
    return found


def _arrays(tensors: Any) -> list[np.ndarray]:
    return [tensor.detach().numpy() for tensor in tensors]


def _gradients(
    draw: Draw, outputs: Any, inputs: list[Any], weights: dict[str, Any]
) -> dict[str, np.ndarray]:
    pairs = [
        (o, torch.from_numpy(c))
        for o, c in zip(outputs, draw.cotangents, strict=True)
        if o.requires_grad
    ]
    if not any(o.is_floating_point() for o in outputs):
        return {}
    leaves = {f"x{i}": tensor for i, tensor in enumerate(inputs)} | weights
    leaves = {name: tensor for name, tensor in leaves.items() if tensor.requires_grad}
    if not pairs:  # the results do not depend on the inputs
        return {name: torch.zeros_like(t).numpy() for name, t in leaves.items()}
    loss: Any = sum((output * cotangent).sum() for output, cotangent in pairs)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {
        name: (torch.zeros_like(tensor) if gradient is None else gradient).numpy()
        for (name, tensor), gradient in zip(leaves.items(), found, strict=True)
    }


def exported(draw: Draw) -> list[np.ndarray] | None:
    """The results of the program exported with open sizes, where the case names any."""
    types = draw.symbolic()
    if types is None:
        return None
    host = make(draw, types)
    _assign(draw, host)
    inputs = [torch.from_numpy(array.copy()) for array in draw.flat()]
    # Small sizes that a window does not fit are left out of what is claimed.
    names: dict[str, Any] = {}
    shapes = []
    for entry, tensor in zip(flat_types(types), inputs, strict=True):
        marks = {
            i: str(size) for i, size in enumerate(entry.shape) if not size.is_constant
        }
        shapes.append(
            {
                i: names.setdefault(
                    mark, torch.export.Dim(mark, min=min(6, tensor.shape[i]), max=64)
                )
                for i, mark in marks.items()
            }
        )
    program = torch.export.export(
        host, tuple(inputs), dynamic_shapes=shapes, strict=True
    )
    return _arrays(program.module()(*inputs))


def _check_meta(draw: Draw) -> None:
    host = make(draw, draw.types, "meta")
    outputs = host(*[torch.from_numpy(array).to("meta") for array in draw.flat()])
    for output, result in zip(outputs, draw.results, strict=True):
        assert output.device.type == "meta"
        assert tuple(output.shape) == tuple(int(size) for size in result.shape)
