"""How many bytes of a model's parameters each device of a mesh holds, as PyTorch's engines divide them.

The model is cut into stages, each a program of its own; a weight that several stages use
is in each of them. The tensor axis divides what is split (`nnspec.placement.tensor`);
where weights are sharded over the data axis, FSDP2 then divides the first axis of every
weight: each process has ceil(n / processes) of n, and the last ones what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from math import prod
from typing import Literal

from nnspec.ir.graph import Function, Path, Program, dotted
from nnspec.placement.tensor import Parts

Shape = tuple[int, ...]
Weights = Counter[Shape]
"""How many weights a device would hold of each shape, were the data axis not to divide them."""


def parameter_bytes(
    stages: Sequence[Weights], data: int, place: int, width: int
) -> int:
    """The bytes on a device with these stages, which stands at `place` on a data axis that divides.

    `width` is that of an element in bytes; `data` is 1 where weights are whole.
    """
    return width * sum(
        count * _rows(shape, data, place) * prod(shape[1:])
        for weights in stages
        for shape, count in weights.items()
    )


def _rows(shape: Shape, data: int, place: int) -> int:
    rows = shape[0] if shape else 1
    share = -(-rows // data)
    return max(0, min(share, rows - place * share))


def weights_of(
    program: Program, parts: Mapping[str, Parts], tensor: int, used: Set[Path]
) -> Weights:
    """The trained weights of a stage that uses these instances of the main function, each once."""
    main = program.main
    found: Weights = Counter()
    seen: set[Path] = set()
    for node in main.nodes:
        if node.owns and node.path in used and node.path not in seen:
            seen.add(node.path)
            found.update(_of_node(program, parts, tensor, main, node.id))
    return found


def _of_function(
    program: Program, parts: Mapping[str, Parts], tensor: int, function: Function
) -> Weights:
    found: Weights = Counter()
    seen: set[Path] = set()
    for node in function.nodes:
        if node.owns and node.path not in seen:
            seen.add(node.path)
            found.update(_of_node(program, parts, tensor, function, node.id))
    return found


def _of_node(
    program: Program,
    parts: Mapping[str, Parts],
    tensor: int,
    function: Function,
    number: int,
) -> Weights:
    node = function.nodes[number]
    if node.callee is not None:
        return _of_function(program, parts, tensor, program.functions[node.callee])
    return Counter(_shapes(parts[function.key], tensor, function, number))


def _shapes(
    parts: Parts, tensor: int, function: Function, number: int
) -> Iterator[Shape]:
    for name, weight in function.node_weights(function.nodes[number]).items():
        if weight.trainable:
            shape = tuple(int(size) for size in weight.shape)
            axis = parts.axis(number, name)
            yield shape if axis is None else _divided(shape, axis, tensor)


def _divided(shape: Shape, axis: int, count: int) -> Shape:
    return (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])


# ---- by labels ---------------------------------------------------------------------------

Manner = Literal["columns", "rows"]


def split_layers(program: Program, parts: Mapping[str, Parts]) -> dict[str, Manner]:
    """What the tensor axis splits, by labels: turns of a loop that are alike are one, `blocks.0-11`."""
    turns: dict[tuple[Path, Path, Manner], list[int]] = {}
    for path, manner in _split_below(program, parts, program.main):
        at = next((n for n, part in enumerate(path) if isinstance(part, int)), None)
        key = (path, (), manner) if at is None else (path[:at], path[at + 1 :], manner)
        number = -1 if at is None else path[at]
        assert isinstance(number, int)
        turns.setdefault(key, []).append(number)
    return {
        dotted((*before, *turn, *behind)): manner
        for (before, behind, manner), numbers in turns.items()
        for turn in _runs(numbers)
    }


def _runs(numbers: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Numbers that count on from each other as one; of what is in no loop (-1) there is none."""
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            start = numbers[first]
            first = place + 1
            if number < 0:
                yield ()
            else:
                yield (str(number) if start == number else f"{start}-{number}",)


def _split_below(
    program: Program, parts: Mapping[str, Parts], function: Function
) -> Iterator[tuple[Path, Manner]]:
    own = parts[function.key]
    for node in function.nodes:
        if node.id in own.columns or node.id in own.rows:
            manner: Manner = "columns" if node.id in own.columns else "rows"
            yield node.path, manner
        elif node.callee is not None and node.owns:
            below = _split_below(program, parts, program.functions[node.callee])
            for path, manner in below:
                yield (*node.path, *path), manner
