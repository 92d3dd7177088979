"""What is in a program, by path: layers, blocks and the operations that cost something.

Repetitions (the turns of a loop that came out alike) are folded into one row with a count. The figures
of a row are those of all its repetitions together, so every column adds up to the row above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nnspec.analysis.cost import Costs, Figures
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Function, Node, Path, Program, dotted
from nnspec.ir.types import TensorType
from nnspec.ops.base import Layout

LONGEST_PERIOD = 16


@dataclass(frozen=True)
class SummaryTree:
    """A row, and the rows of what it is made of.

    `path` is that of the layer, turns of a folded loop as a range (`blocks.0-11`). `parameters` and
    `flops` are ints where they are known and else `Dim`s.
    """

    path: str
    kind: str
    output: str
    parameters: int | Dim
    flops: int | Dim
    count: int = 1
    children: tuple[SummaryTree, ...] = ()


@dataclass(frozen=True)
class _Row:
    """A row of one function, before paths are joined and symbols put in."""

    path: Path
    kind: str
    output: tuple[TensorType, ...]
    figures: Figures
    count: int = 1
    children: tuple[_Row, ...] = ()

    def again(self, other: _Row, turn: int) -> bool:
        """Whether another row is this one, `turn` turns of the innermost loop later."""
        if not self.path or not isinstance(self.path[-1], int):
            return False
        path = (*self.path[:-1], self.path[-1] + turn)
        return replace(other, path=self.path) == self and other.path == path


def summary(program: Program, symbols: Mapping[str, Size] | None = None) -> SummaryTree:
    """The rows of a program, with what is known of its symbols put in."""
    found = _Summary(program)
    main = program.main
    figures = Costs(program).total()
    output = tuple(_output_types(main))
    root = _Row((), program.name, output, figures, children=found.rows(main))
    return _tree(root, "", 1, symbols or {})


class _Summary:
    """The rows of each function, worked out once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.costs = Costs(program)
        self._rows: dict[str, tuple[_Row, ...]] = {}

    def rows(self, function: Function) -> tuple[_Row, ...]:
        """The rows of a function, folded."""
        if function.key not in self._rows:
            seen: set[Path] = set()
            rows: list[_Row] = []
            for node in function.nodes:
                row = self._row(function, node, again=node.path in seen)
                if row is not None:
                    rows.append(row)
                if node.owns:
                    seen.add(node.path)
            self._rows[function.key] = tuple(_folded(rows))
        return self._rows[function.key]

    def _row(self, function: Function, node: Node, *, again: bool) -> _Row | None:
        if node.weight is not None:
            return None
        figures = Figures(flops=self.costs.node_flops(function, node))
        if node.owns and not again:
            weights = self.costs.node_weights(function, node, frozen=False)
            figures = replace(weights, flops=figures.flops)
        output = tuple(_plain_type(kind) for kind in function.results(node))
        shared = " (shared)" if again and node.owns else ""
        if node.callee is not None:
            callee = self.program.functions[node.callee]
            children = () if again else self.rows(callee)
            return _Row(
                node.path, callee.name + shared, output, figures, children=children
            )
        if not _is_shown(node, figures):
            return None
        assert node.op is not None
        return _Row(node.path, node.op.op_name() + shared, output, figures)


def _is_shown(node: Node, figures: Figures) -> bool:
    """Layers, what costs something, and what works on images; the rest would hide them."""
    assert node.op is not None
    return node.owns or figures.flops != 0 or node.op.layout is Layout.SPATIAL


def _plain_type(kind: TensorType) -> TensorType:
    return TensorType(tuple(size.value for size in kind.shape), kind.dtype)


def _output_types(function: Function) -> list[TensorType]:
    values = [
        value
        for port in function.outputs
        for value in (port.values if isinstance(port.values, tuple) else (port.values,))
        if value is not None
    ]
    return [_plain_type(function.types[value]) for value in values]


# ---- folding ----------------------------------------------------------------------------------------


def _folded(rows: Sequence[_Row]) -> list[_Row]:
    """The rows with successive turns of a loop put together where they are alike."""
    found: list[_Row] = []
    start = 0
    while start < len(rows):
        period, turns = _repetition(rows, start)
        for row in rows[start : start + period]:
            found.append(row if turns == 1 else _repeated(row, turns))
        start += period * turns
    return found


def _repetition(rows: Sequence[_Row], start: int) -> tuple[int, int]:
    """How many rows from `start` on repeat, and how often."""
    for period in range(1, min(LONGEST_PERIOD, (len(rows) - start) // 2) + 1):
        turns = 1
        while _alike(rows, start, period, turns):
            turns += 1
        if turns > 1:
            return period, turns
    return 1, 1


def _alike(rows: Sequence[_Row], start: int, period: int, turn: int) -> bool:
    first = start + turn * period
    if first + period > len(rows):
        return False
    return all(rows[start + i].again(rows[first + i], turn) for i in range(period))


def _repeated(row: _Row, turns: int) -> _Row:
    last = row.path[-1]
    assert isinstance(last, int)
    path = (*row.path[:-1], f"{last}-{last + turns - 1}")
    return replace(row, path=path, count=turns)


# ---- the tree ---------------------------------------------------------------------------------------


def _tree(
    row: _Row, prefix: str, repeated: int, symbols: Mapping[str, Size]
) -> SummaryTree:
    path = ".".join(part for part in (prefix, dotted(row.path)) if part)
    count = repeated * row.count
    output = ", ".join(
        str(TensorType(tuple(size.at(symbols) for size in kind.shape), kind.dtype))
        for kind in row.output
    )
    return SummaryTree(
        path,
        row.kind,
        output,
        _plain(row.figures.parameters * count, symbols),
        _plain(row.figures.flops * count, symbols),
        count,
        tuple(_tree(child, path, count, symbols) for child in row.children),
    )


def _plain(value: Dim, symbols: Mapping[str, Size]) -> int | Dim:
    found = value.at(symbols)
    return int(found) if found.is_constant else found
