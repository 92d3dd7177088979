"""The figures of a model, whole and by part: for people, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnspec.cli.shown.formulas import Formulas
from nnspec.cli.shown.parts import part_name, share_bar, unfolded
from nnspec.cli.shown.peaks import holders_of, kinds_of, peak_table
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.figures import Figure, Measured
    from nnspec.analysis.setting import Setting
    from nnspec.analysis.summary import SummaryTree
    from nnspec.ir.dims import Dim
    from nnspec.spec import Spec

# What the parts are compared by: the first of these that is shown.
_SHARED = ("flops", "backward_flops", "parameters", "saved_bytes")
# The figures of parts that a person wants to see first.
_FIRST = ("parameters", "flops")
# The figures of training, which layers without gradients have no part in.
_TRAINING = frozenset(
    {
        "backward_flops",
        "training_flops",
        "gradient_bytes",
        "optimizer_bytes",
        "saved_bytes",
        "backward_peak",
        "train_peak",
    }
)
# So many layers are named in one remark.
_MOST_NAMED = 8
# Between columns, and the least width of a column of words.
_GAP = 3
_NARROW = 32
# On narrower lines figures stand below each other instead of in a table.
_LEAST_PAGE = 76


@dataclass(frozen=True)
class Costs:
    """The figures of one model, as they are shown."""

    spec: Spec
    analysis: Analysis
    figures: Sequence[Figure]
    unasked: bool = False

    @staticmethod
    def of(
        spec: Spec, setting: Setting, figures: Sequence[Figure], unasked: bool
    ) -> Costs:
        """Figures of a model under a setting, which nobody asked for by name if `unasked`."""
        from nnspec.analysis.analysis import Analysis

        analysis = Analysis(spec.program, setting).where(spec.symbols)
        return Costs(spec, analysis, figures, unasked)

    def value(self, figure: Figure) -> Measured:
        """A figure with what is known of the sizes put in."""
        return self.analysis.at(figure.name, self.spec.symbols)

    @property
    def additive(self) -> list[Figure]:
        """The figures that parts have a share of."""
        return [each for each in self.figures if each.has_parts]

    @property
    def peaks(self) -> list[Figure]:
        """The figures that parts have a share of once sizes are known, if they were asked for."""
        if self.unasked:
            return []
        return [each for each in self.figures if each.at_sizes]

    @property
    def counted(self) -> list[Figure]:
        """The figures that parts have a share of, as far as sizes are known."""
        is_open = any(n not in self.spec.symbols for n in self.spec.program.symbols)
        return self.additive if is_open else [*self.additive, *self.peaks]

    def parts(self, figures: Sequence[Figure]) -> SummaryTree:
        """The parts of the model with their shares of additive figures."""
        from nnspec.analysis.summary import summary

        return summary(
            self.spec.program,
            self.spec.symbols,
            figures=[each.name for each in figures],
            analysis=self.analysis,
        )

    def formulas(self, constants: str | None) -> Formulas:
        """The figures as formulas, in these constants too."""
        figures = [
            each
            for each in self.figures
            if not (self.unasked and self.analysis.goes_without_saying(each))
        ]
        return Formulas.of(
            self.spec,
            self._title(),
            self.analysis,
            figures,
            constants,
            unasked=self.unasked,
        )

    # ---- for programs --------------------------------------------------------------------

    def as_object(self, depth: int) -> dict[str, Any]:
        """Everything as JSON: the figures by name, what they assume, where they are not exact, the parts."""
        from nnspec.analysis.exactness import remarks

        setting = self.analysis.setting
        holds = {each.name: self._holds(each) for each in self.figures}
        holds = {name: each for name, each in holds.items() if each}
        return {
            "name": self.spec.name,
            **{each.name: self.value(each).for_program() for each in self.figures},
            "sizes": dict(self.spec.symbols),
            "assumes": {
                "policy": setting.policy.name,
                "optimizer": setting.optimizer,
                "attention": setting.attention,
                "dropout": setting.dropout,
            },
            "inexact": [
                {
                    "figures": list(each.figures),
                    "direction": each.direction,
                    "operators": list(each.operators),
                    "reason": each.reason,
                }
                for each in remarks(
                    self.analysis, tuple(figure.name for figure in self.figures)
                )
            ],
            "without_gradient": self._without_gradient(),
            **({"holds_where": holds} if holds else {}),
            "parts": [
                _part(row) for row, _ in unfolded(self.parts(self.counted), depth)
            ],
            **self._held(),
        }

    def _held(self) -> dict[str, Any]:
        """What is alive at the peaks that were asked for, by kind, where sizes are known."""
        peaks = [each for each in self.counted if each.at_sizes]
        held = [holders_of(self.analysis, each, self.spec.symbols) for each in peaks]
        kinds = {p.name: kinds_of(h) for p, h in zip(peaks, held, strict=True)}
        return {"held": kinds} if kinds else {}

    def rows(self, depth: int) -> Iterator[list[str]]:
        """The whole model and its parts as rows of texts: for CSV.

        Figures that parts have no share of are left empty for parts.
        """
        from nnspec.cli.shown.amounts import for_program

        counted = self.counted
        tree = self.parts(counted)
        whole = [str(self.value(each).for_program()) for each in self.figures]
        yield [*self._where(tree), *whole]
        for row, _ in unfolded(tree, depth):
            amounts = (
                str(for_program(row.figures[each.name])) if each in counted else ""
                for each in self.figures
            )
            yield [*self._where(row), *amounts]

    def _where(self, row: SummaryTree) -> list[str]:
        return [self.spec.name, row.path, row.kind, str(row.count), row.output]

    # ---- for people ----------------------------------------------------------------------

    def as_text(self, depth: int) -> str:
        """The figures with their units and conventions, and the parts with their shares."""
        from nnspec.cli.shown.text import visible

        pieces = [f"{visible(self._title())}\n", self._whole()]
        pieces += self._growth()
        if depth and self.additive:
            pieces.append(self._table(depth))
        known = {**self.spec.symbols, **self._sample()}
        for peak in self.peaks:
            pieces.append(peak_table(self.analysis, peak, known, depth))
        return "\n".join(pieces)

    def _title(self) -> str:
        setting = self.analysis.setting
        sizes = [f"{name}={size}" for name, size in self.spec.symbols.items()]
        return "  ".join([self.spec.name, *sizes, setting.policy.name])

    def _whole(self) -> str:
        from nnspec.cli.render import table
        from nnspec.cli.shown.wrapping import line_width

        rows = [
            (each.title, self._amount(each), each.convention) for each in self._shown()
        ]
        if line_width() < _LEAST_PAGE:
            return "\n".join(map(_stacked, rows)) + self._remarks()
        shown = table(("figure", "", "convention"), list(_on_lines(rows)))
        return shown + self._remarks()

    def _amount(self, figure: Figure) -> str:
        from nnspec.cli.shown.maxima import figure_amount

        return figure_amount(self.value(figure), figure.unit, self.spec.program)

    def _shown(self) -> list[Figure]:
        return [
            each
            for each in self.figures
            if not (self.unasked and self.analysis.goes_without_saying(each))
        ]

    def _remarks(self) -> str:
        """Which of the figures are not exact, and why."""
        from nnspec.analysis.exactness import remarks
        from nnspec.cli.shown.wrapping import line_width, wrapped_words

        titles = {each.name: each.title for each in self._shown()}
        said = [
            f"{each.direction}: {', '.join(titles[name] for name in each.figures)}"
            f" ({_by(each.operators)}{each.reason})"
            for each in remarks(self.analysis, tuple(titles))
        ]
        said += self._sizes()
        missing = self._without_gradient() if _TRAINING & titles.keys() else []
        if missing:
            said.append(
                f"no gradient: the weights of {_named(missing)} (none comes to them from any output:"
                " training leaves them as they are)"
            )
        lines = ["\n  ".join(wrapped_words(each, line_width() - 2)) for each in said]
        return "".join(["\n", *(f"{line}\n" for line in lines)] if lines else [])

    def _sizes(self) -> list[str]:
        """For which of the open sizes formulas are right, where they are not for all."""
        found: dict[str, list[str]] = {}
        for figure in self._shown():
            if holds := ", ".join(self._holds(figure)):
                found.setdefault(holds, []).append(figure.title)
        return [
            f"for {holds}: {', '.join(titles)} (an axis of one element lies otherwise in memory:"
            " give the size for what it is there)"
            for holds, titles in found.items()
        ]

    def _holds(self, figure: Figure) -> list[str]:
        from nnspec.analysis.at_one import conditions, differing, products_of

        if self.value(figure).is_known:
            return []
        apart = differing(self.analysis, figure.name, self.spec.symbols)
        return conditions(products_of(apart))

    def _without_gradient(self) -> list[str]:
        """The layers that training does not change, though they are not frozen."""
        from nnspec.analysis.reached import WithoutGradient

        return WithoutGradient(self.analysis.uses).paths()

    def _growth(self) -> list[str]:
        """What figures grow with: those that were asked for, else the one that parts are compared by."""
        from nnspec.cli.shown.growth import growth_table

        sizes = self._sample()
        if not sizes or not self.additive:
            return []
        figures = [self._shared(self.additive)] if self.unasked else self.additive
        known = self.spec.symbols
        tables = (growth_table(self.analysis, each, known, sizes) for each in figures)
        return [table for table in tables if table is not None]

    def _table(self, depth: int) -> str:
        from nnspec.cli.render import table
        from nnspec.cli.shown.amounts import short
        from nnspec.cli.shown.gathering import gathered

        figures = [
            each for each in self.additive if not self.unasked or each.name in _FIRST
        ]
        tree, sizes = self.parts(figures), self._sample()
        shared = self._shared(figures)
        total = _at(tree.figures[shared.name], sizes)
        rows: list[list[str]] = []
        for row, level in unfolded(gathered(tree), depth):
            amounts = [_at(row.figures[each.name], sizes) for each in figures]
            share = _at(row.figures[shared.name], sizes) * 1000 // total if total else 0
            shown = map(short, amounts, [each.unit for each in figures])
            rows.append([part_name(row, level), row.kind, *shown, share_bar(share)])
        titles = [each.title for each in figures]
        where = ", ".join(f"{name}={size}" for name, size in sizes.items())
        first = f"part, at {where}" if where else "part"
        numeric = tuple(range(2, 2 + len(titles)))
        headings = (first, "kind", *titles, f"share of {shared.title}")
        return table(headings, rows, numeric)

    def _shared(self, figures: Sequence[Figure]) -> Figure:
        names = {each.name: each for each in figures}
        return next((names[n] for n in _SHARED if n in names), figures[0])

    def _sample(self) -> dict[str, int]:
        """Sizes for what is still open, to compare parts at."""
        from nnspec.analysis.typical import typical_sizes

        sizes = typical_sizes(self.spec.program)
        return {n: s for n, s in sizes.items() if n not in self.spec.symbols}


def _named(names: Sequence[str]) -> str:
    """Names in a row, the first of them where there are many."""
    more = len(names) - _MOST_NAMED
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def _by(operators: Sequence[str]) -> str:
    return f"{', '.join(operators)}: " if operators else ""


def _on_lines(rows: Sequence[tuple[str, str, str]]) -> Iterator[list[str]]:
    """Figures with their conventions, on more lines where one would be too wide."""
    from itertools import zip_longest

    from nnspec.cli.shown.wrapping import line_width, wrapped, wrapped_words

    title, formula, convention = (
        max(len(row[column]) for row in rows) for column in range(3)
    )
    room = line_width() - title - 2 * _GAP
    # A convention is narrower before a formula breaks.
    limit = min(formula, max(room - convention, room - _NARROW))
    formulas = [wrapped(row[1], limit) for row in rows]
    room -= max(len(line) for lines in formulas for line in lines)
    for row, lines in zip(rows, formulas, strict=True):
        words = wrapped_words(row[2], room)
        yield from map(list, zip_longest([row[0]], lines, words, fillvalue=""))


def _stacked(row: tuple[str, str, str]) -> str:
    """A figure on narrow lines: what it is called, its amount and its convention below each other."""
    from nnspec.cli.shown.wrapping import line_width, wrapped, wrapped_words

    title, amount, convention = row
    room = line_width() - 2
    words = wrapped_words(f"({convention})", room)
    lines = [*wrapped(amount, room), *words]
    return "".join(f"{line}\n" for line in [title, *(f"  {each}" for each in lines)])


def _at(amount: int | Dim, sizes: Mapping[str, int]) -> int:
    return amount if isinstance(amount, int) else int(amount.at(sizes))


def _part(row: SummaryTree) -> dict[str, Any]:
    from nnspec.cli.shown.amounts import for_program

    figures = {name: for_program(value) for name, value in row.figures.items()}
    return {
        "path": row.path,
        "kind": row.kind,
        "count": row.count,
        "output": row.output,
        **figures,
    }


def parts_as_csv(models: Sequence[Costs], depth: int) -> str:
    """The rows of models, one below the other."""
    import csv
    import io

    paper = io.StringIO()
    writer = csv.writer(paper, lineterminator="\n")
    names = [each.name for each in models[0].figures] if models else []
    writer.writerow(["model", "path", "kind", "count", "output", *names])
    for each in models:
        writer.writerows(each.rows(depth))
    return paper.getvalue()
