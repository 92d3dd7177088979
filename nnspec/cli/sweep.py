"""`nnspec sweep`: a model at many values of its constants and sizes, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    listed,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.settings import setting_of, setting_options

if TYPE_CHECKING:
    from nnspec.analysis.figures import Figure
    from nnspec.explore.axes import Axis
    from nnspec.explore.sweep import Point

ON = "flops,parameters"
LONGEST_TABLE = 60
MOST_DRAWN = 10**300
_GREATEST, _LEAST = "max:", "min:"


@click.command()
@spec_arguments
@click.option(
    "--on",
    "names",
    default=ON,
    show_default=True,
    metavar="FIGURE,...",
    help="The figures to compare; `max:NAME` where more is better.",
)
@setting_options
@click.option("--svg", metavar="FILE", help="Draw the first two figures here.")
@click.option(
    "--force", is_flag=True, help="Overwrite a file that nnspec did not write."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print every point as CSV.")
@json_option
def sweep(
    spec: SpecArgument,
    settings: dict[str, str],
    names: str,
    svg: str | None,
    force: bool,
    as_csv: bool,
    as_json: bool,
    **assumed: str | None,
) -> int:
    """Tabulate figures over many models, and mark those that none beats (the Pareto front).

    Values are listed with commas, or as ranges `first..last` and `first..last..step`.

    \b
    Examples:
      nnspec sweep gpt2.nns:GPT2 depth=6..24 width=384,768 heads=12 B=1 T=1024
      nnspec sweep gpt2.nns:GPT2 width=256..2048..64 heads=4 B=1 T=1024 \\
          --on min:flops,max:parameters --svg front.svg
      nnspec sweep vit.nns:ViT patch=8,16,32 B=1 --on cost.flops,cost.saved_bytes --csv
    """
    import os

    from nnspec.cli.render import write, write_json
    from nnspec.explore.axes import read_axes
    from nnspec.explore.sweep import Task
    from nnspec.explore.sweep import sweep as swept

    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    if svg is not None and not svg.lower().endswith(".svg"):
        raise click.UsageError(f"`{svg}` should end with .svg")
    with spec_errors_reported(as_json):
        goals = _goals(names)
        if svg is not None and len(goals) < 2:
            raise click.UsageError(
                "--svg draws two figures against each other: name two by --on"
            )
        figures = tuple(figure.name for figure, _ in goals)
        axes = read_axes(settings)
        task = Task(spec.path, spec.name, figures, setting_of(assumed))
        points = swept(task, axes, os.cpu_count() or 1)
    table = Table(axes, goals, points)
    if svg is not None:
        _draw(svg, table, [spec.path], force)
    if as_json:
        write_json(table.as_object())
    elif as_csv:
        write(table.as_csv())
    else:
        write(table.as_text())
    return 0 if table.models else 1


def _goals(names: str) -> list[tuple[Figure, int]]:
    """Each figure with 1 where less of it is better, -1 where more is."""
    from nnspec.analysis.figures import figure_named

    goals: dict[str, tuple[Figure, int]] = {}
    for name in listed("--on", names):
        sign = -1 if name.startswith(_GREATEST) else 1
        plain = name.removeprefix(_GREATEST).removeprefix(_LEAST)
        figure = figure_named(plain.removeprefix("cost."))
        if figure.name in goals:
            raise click.UsageError(f"--on has `{figure.name}` twice: `{names}`")
        goals[figure.name] = figure, sign
    return list(goals.values())


class Table:
    """The points of a sweep, and which of them are best."""

    def __init__(
        self,
        axes: Sequence[Axis],
        goals: Sequence[tuple[Figure, int]],
        points: Sequence[Point],
    ) -> None:
        from nnspec.explore.pareto import front

        self.axes, self.goals, self.points = axes, goals, points
        self.models = [point for point in points if point.fault is None]
        signs = [sign for _, sign in goals]
        values = [
            [value * sign for value, sign in zip(point.figures, signs, strict=True)]
            for point in self.models
        ]
        self.best = {id(self.models[place]) for place in front(values)}

    @property
    def varied(self) -> list[Axis]:
        """What takes more than one value."""
        return [axis for axis in self.axes if len(axis.values) > 1]

    @property
    def is_drawable(self) -> bool:
        """Whether the first two figures are those of a plane, and no larger than a picture can say."""
        pairs = [point.figures[:2] for point in self.models]
        return len(self.goals) > 1 and all(max(pair) < MOST_DRAWN for pair in pairs)

    # ---- for people ----------------------------------------------------------------------

    def as_text(self) -> str:
        """The points with those on the front marked; of many, only the front; and a plot."""
        from nnspec.cli.render import plot, table

        shown = self.models
        if len(shown) > LONGEST_TABLE:
            shown = [point for point in shown if id(point) in self.best]
        rows = [self._row(point) for point in shown[:LONGEST_TABLE]]
        names = [axis.name for axis in self.varied]
        titles = [figure.title for figure, _ in self.goals]
        numeric = tuple(range(1, 1 + len(names) + len(titles)))
        pieces = [table(("", *names, *titles), rows, numeric)] if rows else []
        if len(self.models) > 1 and self.is_drawable:
            x, y = (figure.title for figure, _ in self.goals[:2])
            pieces.append(plot(self.marks(), x, y, self.in_bytes))
        pieces.append(self._counts(len(rows)))
        return "\n".join(pieces)

    def _row(self, point: Point) -> list[str]:
        from nnspec.cli.shown.amounts import quantity

        mark = "*" if id(point) in self.best else ""
        pairs = zip(point.figures, self.goals, strict=True)
        amounts = [quantity(value, figure.unit) for value, (figure, _) in pairs]
        return [mark, *(point.values[axis.name] for axis in self.varied), *amounts]

    def _counts(self, shown: int) -> str:
        noun = "model" if len(self.models) == 1 else "models"
        best = f"{len(self.best):,} that none beats (*)"
        lines = [f"{len(self.models):,} {noun}, {best}"]
        if shown < len(self.models):
            lines[0] += f"; {shown:,} of them shown, all with --csv"
        faults: dict[str, int] = {}
        for point in self.points:
            if point.fault is not None:
                faults[point.fault] = faults.get(point.fault, 0) + 1
        lines += [
            f"{count:,} {'is no model' if count == 1 else 'are no models'}: {text}"
            for text, count in faults.items()
        ]
        return "\n".join(lines[:8]) + "\n"

    @property
    def in_bytes(self) -> tuple[bool, bool]:
        """Whether the first two figures count bytes."""
        first, second = (figure.unit == "byte" for figure, _ in self.goals[:2])
        return first, second

    def marks(self) -> list[tuple[float, float, bool]]:
        return [
            (float(p.figures[0]), float(p.figures[1]), id(p) in self.best)
            for p in self.models
        ]

    # ---- for programs --------------------------------------------------------------------

    def as_object(self) -> dict[str, Any]:
        """Every point, by name."""
        return {
            "figures": [figure.name for figure, _ in self.goals],
            "points": [self._object(point) for point in self.points],
        }

    def _object(self, point: Point) -> dict[str, Any]:
        values: dict[str, Any] = {"values": dict(point.values)}
        if point.fault is not None:
            return {**values, "fault": point.fault}
        from nnspec.analysis.quantities import nearest_number

        pairs = zip(self.goals, point.figures, strict=True)
        figures = {
            figure.name: value if isinstance(value, int) else nearest_number(value)
            for (figure, _), value in pairs
        }
        return {**values, **figures, "best": id(point) in self.best}

    def as_csv(self) -> str:
        """Every model as a row."""
        import csv
        import io

        paper = io.StringIO()
        writer = csv.writer(paper, lineterminator="\n")
        names = [figure.name for figure, _ in self.goals]
        writer.writerow([*(axis.name for axis in self.axes), *names, "best", "fault"])
        for point in self.points:
            figures = point.figures or [""] * len(names)
            best = int(id(point) in self.best)
            writer.writerow([*point.values.values(), *figures, best, point.fault or ""])
        return paper.getvalue()


def _draw(path: str, table: Table, inputs: list[str], force: bool) -> None:
    from nnspec.files import write_generated
    from nnspec.picture.scatter import Mark, scatter

    if not table.models:
        raise click.UsageError("there is no model to draw")
    if not table.is_drawable:
        raise click.UsageError("the figures are too large for a picture")
    marks = [
        Mark(x, y, " ".join(f"{a.name}={p.values[a.name]}" for a in table.varied), best)
        for p, (x, y, best) in zip(table.models, table.marks(), strict=True)
    ]
    x, y = (figure.title for figure, _ in table.goals[:2])
    picture = scatter(marks, f"{len(marks):,} models", x, y, table.in_bytes)
    write_generated(path, picture, force, inputs=inputs)
