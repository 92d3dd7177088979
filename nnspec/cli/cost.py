"""`nnspec cost`: the figures of a model, whole and by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_models,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.settings import (
    checkpoint_option,
    checkpointed,
    setting_of,
    setting_options,
)
from nnspec.cli.shown.formulas import FORMATS, Formulas, rendered
from nnspec.cli.shown.peaks import holders_of, kinds_of, peak_table
from nnspec.cli.time_options import show_times, time_options, wants_times
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.figures import Figure, Measured
    from nnspec.analysis.setting import Setting
    from nnspec.analysis.summary import SummaryTree
    from nnspec.compiler import Spec
    from nnspec.ir.dims import Dim


@click.command()
@spec_arguments
@click.option(
    "--figures",
    "names",
    metavar="NAME,...",
    help="The figures to give, or `all`.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Levels of parts to show; 0 for the whole model alone.",
)
@click.option(
    "--in",
    "constants",
    metavar="NAME,...",
    help="Give formulas in these constants of the model too, or in `all`.",
)
@click.option(
    "--format",
    "notation",
    type=click.Choice(FORMATS),
    help="Give the formulas alone, in this notation.",
)
@setting_options
@checkpoint_option
@time_options
@click.option("--csv", "as_csv", is_flag=True, help="Print the parts as CSV.")
@json_option
def cost(
    spec: SpecArgument,
    settings: dict[str, str],
    names: str | None,
    depth: int,
    constants: str | None,
    notation: str | None,
    checkpoint: str | None,
    as_csv: bool,
    as_json: bool,
    **assumed: str | None,
) -> int:
    """Say what a model costs: parameters, FLOPs, memory, by part.

    Exact numbers when every symbolic size is given, else formulas in the sizes.

    \b
    Examples:
      nnspec cost resnet.nns:ResNet50
      nnspec cost resnet.nns:ResNet50 B=8 --depth 2
      nnspec cost gpt2.nns B=1 T=1024 --policy mixed_bf16 --json
      nnspec cost gpt2.nns --figures flops,training_flops --csv
      nnspec cost gpt2.nns B=8 T=1024 --checkpoint Block
      nnspec cost gpt2.nns B=8 T=1024 --policy mixed_bf16 --device h100
      nnspec cost gpt2.nns --in width,depth
      nnspec cost gpt2.nns --in all --format python
    """
    from nnspec.cli.render import write, write_json

    as_formulas = constants is not None or notation is not None
    if as_json and (as_csv or notation is not None):
        raise click.UsageError(
            "--json is a form of its own: leave out --csv and --format"
        )
    if as_formulas and as_csv:
        raise click.UsageError("--csv gives parts, and --in and --format give formulas")
    timed = wants_times(assumed)
    if timed and (as_formulas or as_csv or names is not None):
        raise click.UsageError("--device gives times, not figures, formulas or CSV")
    with spec_errors_reported(as_json):
        wanted = _figures(names)
        setting = setting_of(assumed)
        models = [
            checkpointed(model, checkpoint) for model in load_models(spec, settings)
        ]
        if timed:
            return show_times(models, setting, assumed, depth, as_json)
        views = [View.of(model, setting, wanted, names is None) for model in models]
        if as_formulas:
            formulas = [view.formulas(constants) for view in views]
            text = "" if as_json else rendered(formulas, notation or "text")
            if as_json:
                write_json([each.as_object() for each in formulas])
        elif as_json:
            text = ""
            write_json([view.as_object(depth) for view in views])
        elif as_csv:
            text = _csv(views, depth)
        else:
            text = "\n".join(view.as_text(depth) for view in views)
    write(text)
    return 0


def _figures(names: str | None) -> list[Figure]:
    """The figures that are asked for, those that are usually of interest if none are."""
    from nnspec.analysis.figures import FIGURES, figure_named

    if names is None:
        return [figure for figure in FIGURES.values() if figure.usual]
    if names == "all":
        return list(FIGURES.values())
    return [figure_named(name.strip()) for name in names.split(",")]


# What the parts are compared by: the first of these that is shown.
_SHARED = ("flops", "backward_flops", "parameters", "saved_bytes")
# The figures of parts that a person wants to see first.
_FIRST = ("parameters", "flops")
_BAR = 12
# Between columns, and the least width of a column of words.
_GAP = 3
_NARROW = 32


@dataclass(frozen=True)
class View:
    """What is shown of one model."""

    spec: Spec
    analysis: Analysis
    figures: Sequence[Figure]
    unasked: bool = False

    @staticmethod
    def of(
        spec: Spec, setting: Setting, figures: Sequence[Figure], unasked: bool
    ) -> View:
        """A view of figures, which nobody asked for by name if `unasked`."""
        from nnspec.analysis.analysis import Analysis

        return View(spec, Analysis(spec.program, setting), figures, unasked)

    def value(self, figure: Figure) -> Measured:
        """A figure with what is known of the sizes put in."""
        return self.analysis.measured(figure.name).at(self.spec.symbols)

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
        """The whole model and its parts as rows of texts: for CSV."""
        from nnspec.cli.shown.amounts import for_program

        tree = self.parts(self.counted)
        for row, _ in [(tree, 0), *unfolded(tree, depth)]:
            amounts = (for_program(row.figures[each.name]) for each in self.counted)
            yield [
                self.spec.name,
                row.path,
                row.kind,
                str(row.count),
                row.output,
                *map(str, amounts),
            ]

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

        rows = [
            (each.title, self._amount(each), each.convention) for each in self._shown()
        ]
        shown = table(("figure", "", "convention"), list(_on_lines(rows)))
        return shown + self._remarks()

    def _amount(self, figure: Figure) -> str:
        from nnspec.cli.shown.amounts import amount, formula
        from nnspec.cli.shown.maxima import maximum

        value = self.value(figure)
        if not value.is_known and value.below == 1:
            shown = maximum(value.value, self.spec.program, {}, formula)
            if shown is not None:
                return shown
        return amount(value, figure.unit)

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
        lines = ["\n  ".join(wrapped_words(each, line_width() - 2)) for each in said]
        return "".join(["\n", *(f"{line}\n" for line in lines)] if lines else [])

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

        figures = [
            each for each in self.additive if not self.unasked or each.name in _FIRST
        ]
        tree, sizes = self.parts(figures), self._sample()
        shared = self._shared(figures)
        total = _at(tree.figures[shared.name], sizes)
        rows: list[list[str]] = []
        for row, level in unfolded(tree, depth):
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


def unfolded(tree: SummaryTree, depth: int) -> list[tuple[SummaryTree, int]]:
    """The rows below a row in order, as deep as asked, each with its level; without recursion."""
    found: list[tuple[SummaryTree, int]] = []
    waiting = [(child, 1) for child in reversed(tree.children)] if depth else []
    while waiting:
        row, level = waiting.pop()
        found.append((row, level))
        if level < depth:
            waiting += [(child, level + 1) for child in reversed(row.children)]
    return found


def part_name(row: SummaryTree, level: int) -> str:
    """The path of a part, indented by its level, and how often it is there."""
    repeated = f"{row.count} x " if row.count > 1 else ""
    return f"{'  ' * (level - 1)}{repeated}{row.path}"


def _at(amount: int | Dim, sizes: Mapping[str, int]) -> int:
    return amount if isinstance(amount, int) else int(amount.at(sizes))


def share_bar(thousandths: int) -> str:
    """A share as a bar and in percent."""
    from nnspec.cli.render import bar

    return f"{bar(thousandths, _BAR)} {thousandths / 10:5.1f} %"


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


def _csv(views: Sequence[View], depth: int) -> str:
    import csv
    import io

    paper = io.StringIO()
    writer = csv.writer(paper, lineterminator="\n")
    names = [each.name for each in views[0].counted] if views else []
    writer.writerow(["model", "path", "kind", "count", "output", *names])
    for view in views:
        writer.writerows(view.rows(depth))
    return paper.getvalue()
