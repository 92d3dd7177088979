"""The class of an emitted program for other values of its constants, and whether it is the model that the spec is for these."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emitted
from nnspec.verify.build import import_source
from nnspec.verify.samples import draw_inputs
from nnspec.verify.sizes import choices
from tests.targets.comparing import TOLERANCE, fill


class Refused(Exception):
    """The class does not take the constant, or not this value of it."""


def loaded(text: str, **settings: str) -> Spec:
    """The model of a text, for these values of its constants."""
    return load_source(Source("net.nns", text), ["Net"], settings)[0]


def classes(spec: Spec) -> Any:
    """The names of a model's program."""
    return import_source(emitted(spec.program, "torch").source)


def values(spec: Spec) -> dict[str, Any]:
    """The constants of a model, as Python has them."""
    return {each.name: _plain(each.value) for each in spec.program.main.parameters}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        return [_plain(item) for item in items]
    return value if isinstance(value, bool | float | str) else int(value)


def taken(program: Any) -> set[str]:
    """The constants that the class of a model takes."""
    return set(inspect.signature(program.Net).parameters) - {"device", "dtype"}


def built(program: Any, given: Mapping[str, Any], changed: str) -> nn.Module:
    """The class for these constants. Raises `Refused`."""
    known = taken(program)
    if changed not in known:
        raise Refused
    own = {name: value for name, value in given.items() if name in known}
    try:
        return program.Net(**own, dtype=torch.float64)
    except ValueError as error:
        if re.search("written for", str(error)):
            raise Refused from error
        raise


def same(model: nn.Module, other: Spec) -> None:
    """Asserts that a module is that of another model: its layers, and what it computes with equal weights."""
    wanted = classes(other).Net(
        **{k: v for k, v in values(other).items() if k in taken(classes(other))},
        dtype=torch.float64,
    )
    assert list(parts(model)) == list(parts(wanted))
    for each in (model, wanted):
        each.eval()
        fill(each)
    for sizes in choices(other.program, dict(other.symbols)):
        inputs = [torch.from_numpy(x) for x in draw_inputs(other.program, sizes, 0)]
        with torch.no_grad():
            for one, two in zip(
                results(model, inputs), results(wanted, inputs), strict=True
            ):
                assert one.shape == two.shape
                assert torch.allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE)


def parts(model: nn.Module) -> Iterator[tuple[str, str]]:
    """The layers of a module, and its weights with their shapes."""
    for name, layer in model.named_modules():
        # A block may be another class of those that its uses need in all.
        kind = type(layer)
        kept = kind.__name__ if kind.__module__.startswith("torch.") else ""
        yield name, f"{kept}({layer.extra_repr()})"
    for name, weight in model.state_dict().items():
        yield name, str(tuple(weight.shape))


def results(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """What a module computes."""
    found = model(*inputs)
    return [found] if isinstance(found, Tensor) else list(found)
