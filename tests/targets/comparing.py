"""An emitted PyTorch program against the evaluation of its graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnspec.spec import Spec
from nnspec.targets import emitted
from nnspec.verify.build import import_source
from nnspec.verify.samples import draw_inputs
from nnspec.verify.sizes import choices
from tests.targets.interpreter import Interpreter

TOLERANCE = 1e-9


def agree(spec: Spec, model: nn.Module | None = None) -> None:
    """Asserts that every output equals that of the graph, for unlike sizes, in float64."""
    program = spec.program
    if model is None:
        made = emitted(program, "torch")
        model = getattr(import_source(made.source), made.factory)(dtype=torch.float64)
    assert isinstance(model, nn.Module)
    model.eval()
    fill(model)
    for sizes in choices(program, dict(spec.symbols)):
        inputs = [torch.from_numpy(array) for array in draw_inputs(program, sizes, 0)]
        interpreter = Interpreter(program, model.state_dict(), sizes)
        wanted = interpreter.run(inputs)
        with torch.no_grad():
            result = model(*inputs)
        found = [result] if isinstance(result, Tensor) else list(result)
        assert not interpreter.unread(), "weights that the spec does not have"
        for one, other in zip(wanted, found, strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            assert torch.allclose(
                one.double(), other.double(), rtol=TOLERANCE, atol=TOLERANCE
            )


def fill(model: nn.Module) -> None:
    """Gives every weight a value of its own, from a seed."""
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if not tensor.is_floating_point():
            continue
        if tensor.ndim < 2:
            drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(drawn * 0.5 + 0.25)
        else:
            drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(drawn * 0.3)
