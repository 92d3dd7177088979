"""What is in a program, by path: layers, blocks and the operations that cost something.

Repetitions (the turns of a loop that came out alike) are folded into one row with a count. The figures
of a row are those of all its repetitions together, so every column adds up to the row above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.cost import plain
from nnspec.analysis.totals import Parts
from nnspec.analysis.uses import Place, Site, Use
from nnspec.ir.dims import ZERO, Dim, Size
from nnspec.ir.graph import Function, Path, Program, dotted, values_of
from nnspec.ir.types import TensorType
from nnspec.ops.base import Layout
from nnspec.records import dataclass

LONGEST_PERIOD = 16


@dataclass(frozen=True)
class SummaryTree:
    """A row, and the rows of what it is made of.

    `path` is that of the layer, turns of a folded loop as a range (`blocks.0-11`). The figures, by
    name, are ints where they are known and else `Dim`s. `detail` is what is applied, with its constants,
    and `sources` name where its inputs come from, in its own block.
    """

    path: str
    kind: str
    output: str
    figures: Mapping[str, int | Dim]
    count: int = 1
    children: tuple[SummaryTree, ...] = ()
    detail: str = ""
    sources: tuple[str, ...] = ()

    @property
    def parameters(self) -> int | Dim:
        return self.figures["parameters"]

    @property
    def flops(self) -> int | Dim:
        return self.figures["flops"]


@dataclass(frozen=True)
class _Row:
    """A row of one function, before paths are joined and symbols put in."""

    path: Path
    kind: str
    output: tuple[TensorType, ...]
    figures: tuple[Dim, ...]
    count: int = 1
    children: tuple[_Row, ...] = ()
    site: Site | None = field(default=None, compare=False)

    def again(self, other: _Row, turn: int) -> bool:
        """Whether another row is this one, `turn` turns of the innermost loop later."""
        if not self.path or not isinstance(self.path[-1], int):
            return False
        path = (*self.path[:-1], self.path[-1] + turn)
        return replace(other, path=self.path) == self and other.path == path


SHOWN = ("parameters", "flops")


def summary(
    program: Program,
    symbols: Mapping[str, Size] | None = None,
    *,
    figures: Sequence[str] = SHOWN,
    analysis: Analysis | None = None,
    everything: bool = False,
    more: Mapping[str, Parts] | None = None,
) -> SummaryTree:
    """The rows of a program, with what is known of its symbols put in.

    `figures` are names of those that have parts (see `analysis.figures`), and `more` are other amounts by
    the names that they get. Raises `SpecError` for a figure that has no parts, or none while a size is open.
    With `everything`, operations are shown that cost nothing.
    """
    known = analysis or Analysis(program)
    parts = {name: known.parts(name, symbols) for name in figures}
    sums = parts | dict(more or {})
    found = _Summary(known, tuple(sums.values()), everything)
    main = program.main
    output = tuple(_output_types(main))
    totals = tuple(each.total() for each in found.totals)
    rows = found.rows(found.analysis.uses.main, ())
    root = _Row((), program.name, output, totals, children=rows)
    return _Tree(tuple(sums), symbols or {}).of(root, "", 1)


class _Summary:
    """The rows of each use of a function, worked out once; where it matters, once for each place of a call."""

    def __init__(
        self, analysis: Analysis, sums: tuple[Parts, ...], everything: bool
    ) -> None:
        self.analysis = analysis
        self.everything = everything
        self.totals = sums
        self._placed = any(each.placed for each in sums)
        self._rows: dict[tuple[Use, Place, bool], tuple[_Row, ...]] = {}

    def rows(self, use: Use, place: Place, *, is_run: bool = True) -> tuple[_Row, ...]:
        """The rows of a use that is called at a place, folded; a call that programs leave out is not run."""
        key = (use, place, is_run)
        if key not in self._rows:
            sites = self.analysis.uses.inside(use).sites
            found = (self._row(site, place, is_run) for site in sites)
            rows = [row for row in found if row is not None]
            self._rows[key] = tuple(_folded(rows))
        return self._rows[key]

    def _row(self, site: Site, place: Place, is_run: bool) -> _Row | None:
        node = site.node
        if node.weight is not None:
            return None
        figures = tuple(
            each.of_part(site, place) if is_run or each.owned else ZERO
            for each in self.totals
        )
        output = tuple(_plain_type(kind) for kind in site.results)
        again = node.owns and not site.is_first
        shared = " (shared)" if again else ""
        if node.callee is not None:
            name = self.analysis.program.functions[node.callee].name
            inside = (*place, node.id) if self._placed else ()
            runs = is_run and not site.is_left_out
            children = () if again else self.rows(site.use, inside, is_run=runs)
            return _Row(
                node.path, name + shared, output, figures, children=children, site=site
            )
        if not self.everything and not _is_shown(site, figures):
            return None
        assert node.op is not None
        return _Row(node.path, node.op.op_name() + shared, output, figures, site=site)


def _is_shown(site: Site, figures: Sequence[Dim]) -> bool:
    """Layers, what costs something, and what works on images; the rest would hide them."""
    assert site.node.op is not None
    is_spatial = site.node.op.layout is Layout.SPATIAL
    return site.node.owns or is_spatial or any(each != 0 for each in figures)


def _plain_type(kind: TensorType) -> TensorType:
    return TensorType(tuple(size.value for size in kind.shape), kind.dtype)


def _output_types(function: Function) -> list[TensorType]:
    return [_plain_type(function.types[v]) for v in values_of(function.outputs)]


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


@dataclass(frozen=True)
class _Tree:
    """Rows with their whole paths, and with symbols put in."""

    names: tuple[str, ...]
    symbols: Mapping[str, Size]

    def of(self, row: _Row, prefix: str, repeated: int) -> SummaryTree:
        path = ".".join(part for part in (prefix, dotted(row.path)) if part)
        count = repeated * row.count
        figures = (plain(each * count, self.symbols) for each in row.figures)
        return SummaryTree(
            path,
            row.kind,
            ", ".join(str(self._known(kind)) for kind in row.output),
            dict(zip(self.names, figures, strict=True)),
            count,
            tuple(self.of(child, path, count) for child in row.children),
            detail="" if row.site is None else _detail(row.site),
            sources=() if row.site is None else _sources(row.site),
        )

    def _known(self, kind: TensorType) -> TensorType:
        shape = tuple(size.at(self.symbols) for size in kind.shape)
        return TensorType(shape, kind.dtype)


def _detail(site: Site) -> str:
    """`Linear(features=64)`, or a block with its constants."""
    from nnspec.ir.show import show_operator, show_value

    if site.node.callee is None:
        assert site.node.op is not None
        return show_operator(site.node.op)
    callee = site.inside.program.functions[site.node.callee]
    constants = (f"{p.name}={show_value(p.value)}" for p in callee.parameters)
    return f"{callee.name}({', '.join(constants)})"


def _sources(site: Site) -> tuple[str, ...]:
    names = site.inside.names
    return tuple(names[value] for value in site.node.values())
