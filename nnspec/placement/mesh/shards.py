"""How many bytes of a model's parameters each device of a mesh holds, as PyTorch's engines divide them.

The model is cut into stages, each a program of its own; a weight that several stages use
is in each of them. The tensor axis divides what is split (`nnspec.analysis.sharding.plan`);
where anything is sharded over the data axis, FSDP2 then divides the first axis of every
weight: each process has ceil(n / processes) of n, and the last ones what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Literal, TypeVar

from nnspec.analysis.sharding.held import Shape, held_by_tensor, part_of
from nnspec.analysis.sharding.plan import Style, TensorPlan
from nnspec.analysis.sharding.reasons import reasons_of
from nnspec.ir.graph import Program
from nnspec.passes.stages import staged

Weights = Counter[Shape]
"""How many weights a device would hold of each shape, were the data axis not to divide them."""


def parameter_bytes(
    stages: Sequence[Weights], data: int, place: int, width: int
) -> int:
    """The bytes on a device with these stages, which stands at `place` on a data axis that divides.

    `width` is that of an element in bytes; `data` is 1 where weights are whole.
    """
    return width * sum(
        count * prod(part_of(shape or (1,), 0, data, place))
        for weights in stages
        for shape, count in weights.items()
    )


def weights_of_stages(
    program: Program, stage_of: Sequence[int], tensor: int
) -> tuple[Weights, ...]:
    """The trained weights that each stage holds, its share of what the tensor axis splits.

    `stage_of` gives the stage of each node of the main function. A layer that several
    stages have is split in none of them.
    """
    if len(set(stage_of)) == 1:
        return (_counted(TensorPlan(program, tensor)),)
    stages = staged(program, stage_of)
    copies = (copy for each in stages.tied.values() for copy in each)
    kept = {copy.path.rpartition(".")[0] or copy.path for copy in copies}
    return tuple(_counted(TensorPlan(each, tensor, kept)) for each in stages.programs)


def _counted(plan: TensorPlan) -> Weights:
    return Counter(held_by_tensor(plan).values())


# ---- by labels ---------------------------------------------------------------------------

Manner = Literal["columns", "rows", "vocabulary", "head", "table"]
_MANNERS: Mapping[Style, Manner] = {
    Style.COLUMNS: "columns",
    Style.ROWS: "rows",
    Style.VOCABULARY: "vocabulary",
    Style.HEAD: "head",
}


def split_layers(plan: TensorPlan) -> dict[str, Manner]:
    """What the tensor axis splits, by labels."""
    manners: dict[str, Manner] = {
        path: _MANNERS[style]
        for path, style in plan.styles.items()
        if style in _MANNERS
    }
    return by_labels({**manners, **dict.fromkeys(plan.tables, "table")})


def whole_layers(plan: TensorPlan) -> dict[str, str]:
    """What the tensor axis leaves whole, by labels, with the reasons."""
    return by_labels(reasons_of(plan))


Said = TypeVar("Said", bound=str)


def by_labels(values: Mapping[str, Said]) -> dict[str, Said]:
    """Values of paths by labels: turns of a loop that are alike are one, `blocks.0-11`."""
    turns: dict[tuple[str, str, Said], list[int]] = {}
    for path, value in values.items():
        before, number, behind = _at_first_turn(path)
        turns.setdefault((before, behind, value), []).append(number)
    return {
        ".".join(filter(None, (before, turn, behind))): value
        for (before, behind, value), numbers in turns.items()
        for turn in _runs(numbers)
    }


def _at_first_turn(path: str) -> tuple[str, int, str]:
    """A path around its first number; -1 if there is none."""
    parts = path.split(".")
    at = next((n for n, part in enumerate(parts) if part.isdigit()), None)
    if at is None:
        return path, -1, ""
    return ".".join(parts[:at]), int(parts[at]), ".".join(parts[at + 1 :])


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    """Numbers that count on from each other as one; of what is in no loop (-1) there is none."""
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            start, first = numbers[first], place + 1
            one = str(number) if start == number else f"{start}-{number}"
            yield "" if number < 0 else one
