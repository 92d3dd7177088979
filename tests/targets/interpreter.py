"""A program evaluated node by node in PyTorch, without the compiler's code generators.

Values are the numbers of the graph: there are no names, no loops, no merging of specialisations. Sizes
are filled in before an operator is lowered, and each operator is lowered on its own by the plain
printer of the contract tests. Weights are looked up by their full paths in the state of the emitted
module, so that both compute with the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.ir.dims import Dim, dim
from nnspec.ir.graph import Argument, Function, Node, Program
from nnspec.ir.types import TensorType
from nnspec.ops.base import replaced
from nnspec.ops.checked import fields_of
from nnspec.targets.names import safe_name

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from lowering import (
    LABEL,
    infer,
    lower,
    namespace,
)

Path_ = tuple[str | int, ...]
UNCOUNTED = "num_batches_tracked"


class Interpreter:
    """Evaluates a program for one set of sizes, with the state of the emitted module."""

    def __init__(
        self, program: Program, state: Mapping[str, Tensor], sizes: Mapping[str, int]
    ) -> None:
        self.program = program
        self.state = state
        self.sizes = sizes
        self.read: set[str] = set()

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs of the model."""
        with torch.no_grad():
            return self._call(self.program.main, list(inputs), ())

    def unread(self) -> set[str]:
        """Weights of the emitted module that no node of the program has."""
        names = {name for name in self.state if not name.endswith(UNCOUNTED)}
        return names - self.read

    def _call(
        self, function: Function, given: Sequence[Any], path: Path_
    ) -> list[Tensor]:
        values: dict[int, Tensor] = {}
        for port, tensors in zip(function.inputs, given, strict=True):
            if isinstance(port.values, tuple):
                values.update(zip(port.values, tensors, strict=True))
            elif port.values is not None:
                values[port.values] = tensors
        for node in function.nodes:
            arguments = [_picked(values, argument) for argument in node.inputs]
            results = self._node(function, node, arguments, (*path, *node.path))
            for number, result in zip(node.outputs, results, strict=True):
                shape = tuple(
                    int(size) for size in self._type(function.types[number]).shape
                )
                assert tuple(result.shape) == shape, (
                    f"{node.path}: {result.shape} {shape}"
                )
                values[number] = result
        return [
            values[port.values]
            for port in function.outputs
            if isinstance(port.values, int)
        ]

    def _node(
        self, function: Function, node: Node, arguments: list[Any], path: Path_
    ) -> Sequence[Tensor]:
        if node.callee is not None:
            return self._call(self.program.functions[node.callee], arguments, path)
        if node.weight is not None:
            return [self._weight(path, "", node.weight)]
        types = [self._known(kind) for kind in function.node_types(node)]
        host = self._host(node, types, path)
        flat = [
            tensor
            for argument in arguments
            for tensor in (argument if isinstance(argument, list) else [argument])
            if tensor is not None
        ]
        return host(*flat)

    def _host(self, node: Node, types: list[Any], path: Path_) -> nn.Module:
        """A module that holds one operator, with its weights."""
        assert node.op is not None
        operator = replaced(
            node.op,
            **{
                name: _plain(getattr(node.op, name), self.sizes)
                for name in fields_of(type(node.op))
            },
        )
        # Sizes are settled before the operator is asked what it is.
        assert infer(operator, types)
        lowered = lower(operator, types, "torch")
        options = {"device": torch.device("cpu"), "dtype": torch.float64}
        names = namespace("torch") | options
        exec(lowered.function("forward"), names)
        host = type("Host", (nn.Module,), {"forward": names["forward"]})()
        host.anchor = torch.zeros((), dtype=torch.float64)
        for attribute, source in lowered.modules.items():
            module = eval(source, names)
            suffix = attribute.removeprefix(LABEL)
            own = {
                key: value
                if key.endswith(UNCOUNTED)
                else self._weight(path, suffix, key)
                for key, value in module.state_dict().items()
            }
            module.load_state_dict(own)
            setattr(host, attribute, module)
        for name in lowered.parameters:
            suffix = f"_{name}" if name else ""
            setattr(host, f"{LABEL}_{name}", self._weight(path, suffix, ""))
        return host.eval()

    def _weight(self, path: Path_, suffix: str, name: str) -> Tensor:
        """A weight by the path of its layer."""
        parts = list(path)
        place = max(i for i, part in enumerate(parts) if isinstance(part, str))
        parts[place] = f"{parts[place]}{suffix}"
        spelled = [
            safe_name(part, "torch") if isinstance(part, str) else str(part)
            for part in parts
        ]
        key = ".".join([*spelled, *([name] if name else [])])
        self.read.add(key)
        return self.state[key]

    def _type(self, kind: TensorType) -> TensorType:
        sizes = tuple(dim(int(size.at(self.sizes))) for size in kind.shape)
        return TensorType(sizes, kind.dtype)

    def _known(self, kind: Any) -> Any:
        """The types of an input with their sizes filled in."""
        if isinstance(kind, tuple):
            return tuple(self._type(item) for item in kind)
        return None if kind is None else self._type(kind)


def _picked(values: Mapping[int, Tensor], argument: Argument) -> Any:
    if isinstance(argument, tuple):
        return [values[number] for number in argument]
    return None if argument is None else values[argument]


def _plain(value: Any, sizes: Mapping[str, int]) -> Any:
    """An operator's argument with its sizes filled in."""
    if isinstance(value, Dim):
        return dim(int(value.value.at(sizes)))
    if isinstance(value, tuple):
        return tuple(_plain(item, sizes) for item in value)
    return value
