"""Where every weight of a program lies in both emitted programs, and how to go from one to the other.

PyTorch's names are the keys of a module's state dict (`layers.0.3.conv1.weight`), Keras's the paths of
its variables below the model's own name (`layers_0_3/conv1/kernel`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, Literal

from nnspec.ir.graph import Function, Node, Path, Program, dotted
from nnspec.ops.base import KerasWeight, Weight
from nnspec.ops.weight_steps import (
    Reshape,
    StackPair,
    Step,
    SumPair,
    SwapGates,
    Transpose,
)
from nnspec.records import dataclass
from nnspec.targets.layout import FunctionLayout, layouts
from nnspec.targets.lowering import Lowered, lower_operator
from nnspec.targets.names import safe_name

Kind = Literal["trained", "frozen", "state"]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class WeightEntry:
    """One Keras variable and the PyTorch tensors that it is made of.

    `steps` lead from the `sources` (in PyTorch's layout) to the variable. `kind` tells whether training
    changes it: a parameter, a parameter that the spec froze, or state such as batch statistics.
    """

    path: str
    variable: str
    sources: tuple[str, ...]
    source_shapes: tuple[Shape, ...]
    shape: Shape
    steps: tuple[Step, ...]
    kind: Kind

    @property
    def elements(self) -> int:
        """Elements of the PyTorch tensors."""
        return sum(prod(shape) for shape in self.source_shapes)


@dataclass(frozen=True)
class Instance:
    """One layer of a program: an operator's node, reached through the calls of `prefix`."""

    prefix: tuple[Path, ...]
    function: Function
    node: Node
    frozen: bool

    @property
    def path(self) -> str:
        """The full path in the spec."""
        return dotted(
            tuple(part for path in (*self.prefix, self.node.path) for part in path)
        )


def weight_map(program: Program) -> tuple[WeightEntry, ...]:
    """Every Keras variable of a program, once, in the order in which layers first run.

    A weight that several places share belongs to the layer that owns it.
    """
    plans = {
        target: layouts(program, moved=target == "keras")
        for target in ("torch", "keras")
    }
    lowered = _Lowerings(plans)
    found: list[WeightEntry] = []
    for instance in instances(program):
        if instance.function.node_weights(instance.node):
            found += _entries(instance, lowered)
    return tuple(found)


def instances(program: Program) -> Iterator[Instance]:
    """The layers of a program, each once, in the order in which they first run."""
    yield from _instances(program, program.main, (), program.main.marks.frozen, set())


def _instances(
    program: Program,
    function: Function,
    prefix: tuple[Path, ...],
    frozen: bool,
    seen: set[tuple[Path, ...]],
) -> Iterator[Instance]:
    for node in function.nodes:
        full = (*prefix, node.path)
        if not node.owns or full in seen:
            continue
        seen.add(full)
        fixed = frozen or node.marks.frozen
        if node.callee is None:
            yield Instance(prefix, function, node, fixed)
            continue
        callee = program.functions[node.callee]
        yield from _instances(program, callee, full, fixed or callee.marks.frozen, seen)


class _Lowerings:
    """What each node is in each target, lowered once."""

    def __init__(self, plans: Mapping[str, Mapping[str, FunctionLayout]]) -> None:
        self._plans = plans
        self._found: dict[tuple[str, int, str], Lowered] = {}

    def bare(self, function: Function, node: Node, target: str) -> frozenset[str]:
        """The suffixes of the parameters that the target makes without a module."""
        key = (function.key, node.id, target)
        if key not in self._found:
            layout = self._plans[target][function.key]
            types = function.node_types(node)
            self._found[key] = lower_operator(function, node, types, layout, target)
        constructs = self._found[key].constructs
        return frozenset(made.suffix for made in constructs if made.is_parameter)


def _entries(instance: Instance, lowered: _Lowerings) -> Iterator[WeightEntry]:
    function, node = instance.function, instance.node
    assert node.op is not None
    weights = function.node_weights(node)
    bare_torch = lowered.bare(function, node, "torch")
    bare_keras = lowered.bare(function, node, "keras")
    for place in node.op.keras_weights(*function.node_types(node)):
        sources = tuple(torch_key(instance, name, bare_torch) for name in place.sources)
        shapes = tuple(_shape(weights[name]) for name in place.sources)
        yield WeightEntry(
            path=instance.path,
            variable=keras_variable(instance, place, bare_keras),
            sources=sources,
            source_shapes=shapes,
            shape=shape_after(place.steps, shapes),
            steps=place.steps,
            kind=_kind(instance, [weights[name] for name in place.sources]),
        )


def _kind(instance: Instance, weights: Sequence[Weight]) -> Kind:
    if not all(weight.trainable for weight in weights):
        return "state"
    return "frozen" if instance.frozen else "trained"


def _shape(weight: Weight) -> Shape:
    return tuple(int(size) for size in weight.shape)


# ---- names ----------------------------------------------------------------------------------------


def torch_path(paths: Sequence[Path], suffix: str = "") -> str:
    """The path of a submodule, from the paths of the calls that lead to it."""
    return ".".join(
        _torch_level(path, suffix if i == len(paths) - 1 else "")
        for i, path in enumerate(paths)
    )


def _torch_level(path: Path, suffix: str) -> str:
    label, *turns = path
    return ".".join(
        [safe_name(f"{label}{suffix}", "torch"), *(str(turn) for turn in turns)]
    )


def keras_path(paths: Sequence[Path], suffix: str = "") -> str:
    """The path of a layer below the model's own name."""
    return "/".join(
        _keras_level(path, suffix if i == len(paths) - 1 else "")
        for i, path in enumerate(paths)
    )


def _keras_level(path: Path, suffix: str) -> str:
    label, *turns = path
    return "_".join([f"{label}{suffix}", *(str(turn) for turn in turns)])


def torch_key(instance: Instance, name: str, bare: frozenset[str]) -> str:
    """The state-dict key of a weight, `bare` being the suffixes of parameters without a module."""
    paths = (*instance.prefix, instance.node.path)
    suffix = f"_{name}" if name else ""
    if suffix in bare:
        return torch_path(paths, suffix)
    return f"{torch_path(paths)}.{name}"


def keras_variable(instance: Instance, place: KerasWeight, bare: frozenset[str]) -> str:
    """The path of a variable, `bare` being the suffixes of parameters without a layer."""
    paths = (*instance.prefix, instance.node.path)
    suffix = f"_{place.variable}" if place.variable else ""
    if suffix in bare:
        return keras_path(paths, suffix)
    return f"{keras_path(paths, place.suffix)}/{place.variable}"


# ---- shapes ---------------------------------------------------------------------------------------


def shape_after(steps: Sequence[Step], shapes: Sequence[Shape]) -> Shape:
    """The shape of a Keras variable, from those of the PyTorch tensors that it is made of."""
    found = list(shapes)
    for step in steps:
        found = _step_shapes(step, found)
    (shape,) = found
    return shape


def _step_shapes(step: Step, shapes: list[Shape]) -> list[Shape]:
    match step:
        case Transpose(axes=axes):
            return [tuple(shape[axis] for axis in axes) for shape in shapes]
        case Reshape(after=after):
            return [after]
        case SumPair():
            return shapes[:1]
        case StackPair():
            return [(len(shapes), *shapes[0])]
        case SwapGates():
            return shapes
        case _:
            return _tried_shapes(step, shapes)


def _tried_shapes(step: Step, shapes: list[Shape]) -> list[Shape]:
    """The shapes that a step of a user's own makes, by trying it."""
    import numpy

    made: list[Any] = step.forward([numpy.zeros(shape, "uint8") for shape in shapes])
    return [tuple(array.shape) for array in made]


__all__ = [
    "Instance",
    "Kind",
    "WeightEntry",
    "instances",
    "keras_path",
    "shape_after",
    "torch_path",
    "weight_map",
]
