"""What PyTorch counts while an emitted program runs on fake tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from nnspec.ir.types import DType
from nnspec.spec import Spec
from tests.analysis.measured import built


def counted_flops(
    spec: Spec, sizes: Mapping[str, int], *, training: bool = False
) -> dict[str, int]:
    """FLOPs of a forward pass, and of a forward and a backward pass."""
    with FakeTensorMode():
        model = built(spec).train(training)
        return _counted(model, inputs_of(spec, sizes))


def inputs_of(spec: Spec, sizes: Mapping[str, int]) -> list[torch.Tensor]:
    """Tensors of zeros, as the model takes them."""
    main = spec.program.main
    found: list[torch.Tensor] = []
    for port in main.inputs:
        assert isinstance(port.values, int)
        kind = main.types[port.values]
        shape = [int(size.at(sizes)) for size in kind.shape]
        name = {DType.FLOAT: "float32", DType.F32: "float32", DType.I64: "int64"}
        dtype = getattr(torch, name.get(kind.dtype, kind.dtype.value))
        found.append(torch.zeros(shape, dtype=dtype))
    return found


def _counted(model: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> dict[str, int]:
    counter = FlopCounterMode(
        display=False,
        custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward},
    )
    plain = torch.backends.mkldnn.flags(enabled=False)
    with sdpa_kernel(SDPBackend.MATH), plain, counter:
        outputs = model(*inputs)
        forward = counter.get_total_flops()
        _go_back(outputs)
    return {"flops": forward, "training_flops": counter.get_total_flops()}


def _go_back(outputs: Any) -> None:
    """The backward pass of the sum of all outputs; none where nothing is trained."""
    every = outputs if isinstance(outputs, tuple | list) else (outputs,)
    loss: Any = sum(each.sum() for each in every if each.is_floating_point())
    if loss.requires_grad:
        loss.backward()


def _convolution_backward(
    gradient: list[int],
    x: list[int],
    weight: list[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    needed: tuple[bool, bool, bool],
    **_: Any,
) -> int:
    """Each gradient, of the input and of the weight, takes what the convolution itself takes."""
    forward = conv_flop_count(x, weight, gradient, transposed=transposed)
    return forward * sum(needed[:2])
