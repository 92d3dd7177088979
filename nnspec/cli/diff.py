"""`nnspec diff`: what a change to a spec, or to its constants, does to the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    parse_settings,
    spec_errors_reported,
)

if TYPE_CHECKING:
    from nnspec.analysis.difference import Change, Difference
    from nnspec.spec import Spec

_MARKS = {"added": "+", "removed": "-", "changed": "~", "inside": " ", "same": " "}


@click.command()
@click.argument(
    "arguments", metavar="SPEC [KEY=VALUE]... [SPEC [KEY=VALUE]...]", nargs=-1
)
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Levels of parts to show.",
)
@click.option("--check", is_flag=True, help="Exit with 1 if there is any difference.")
@json_option
def diff(arguments: tuple[str, ...], depth: int, check: bool, as_json: bool) -> int:
    """Compare two models: structure, shapes, parameters, costs.

    With one SPEC, its defaults are compared with the values that are given.

    \b
    Examples:
      nnspec diff resnet.nns:ResNet50 resnet.nns:ResNet101
      nnspec diff gpt2.nns:GPT2 depth=24
      nnspec diff old/net.nns B=1 new/net.nns B=1
    """
    from nnspec.analysis.difference import difference
    from nnspec.cli.render import write, write_json

    sides = _sides(arguments)
    with spec_errors_reported(as_json):
        before, after = (load_model(spec, settings) for spec, settings in sides)
        found = difference(before.program, after.program, before.symbols, after.symbols)
        if as_json:
            write_json(_object(before, after, found, depth))
        else:
            write(_text(before, after, found, depth))
    return 1 if check and not found.is_empty else 0


Side = tuple[SpecArgument, dict[str, str]]


def _sides(arguments: tuple[str, ...]) -> tuple[Side, Side]:
    """Both specs with their settings: a new one begins at each argument without `=`."""
    groups: list[list[str]] = []
    for text in arguments:
        if "=" not in text or not groups:
            groups.append([])
        groups[-1].append(text)
    if not 1 <= len(groups) <= 2:
        raise click.UsageError(f"one SPEC or two are compared, not {len(groups)}")
    sides = [(SpecArgument.parse(g[0]), parse_settings(g[1:])) for g in groups]
    if len(sides) == 1:
        spec, settings = sides[0]
        if not settings:
            raise click.UsageError(
                "give a second SPEC, or values to change: `depth=24`"
            )
        return (spec, {}), (spec, settings)
    return sides[0], sides[1]


# ---- for people -------------------------------------------------------------------------------------


def _text(before: Spec, after: Spec, found: Difference, depth: int) -> str:
    from nnspec.cli.shown.text import visible

    title = f"{visible(before.name)} -> {visible(after.name)}\n"
    if found.is_empty:
        return f"{title}\nno difference\n"
    sizes = _sizes(before, after)
    pieces = [title, _figures(before, after, found, sizes)]
    parts = _parts(found, sizes, depth)
    pieces.append(parts or "the parts are the same\n")
    return "\n".join(pieces)


def _figures(
    before: Spec, after: Spec, found: Difference, sizes: Mapping[str, int]
) -> str:
    from nnspec.analysis.difference import growth
    from nnspec.analysis.figures import figure_named
    from nnspec.cli.render import table
    from nnspec.cli.shown.maxima import figure_amount
    from nnspec.cli.shown.tables import Formula

    rows: list[list[str]] = []
    for name, (one, other) in found.figures.items():
        figure = figure_named(name)
        if one != other and figure.usual:
            sides = ((one, before.program), (other, after.program))
            values = (Formula(figure_amount(v, figure.unit, p)) for v, p in sides)
            rows.append([figure.title, *values, growth(one, other, sizes)])
    if not rows:
        return "every figure is the same\n"
    change = f"change{_at(sizes)}"
    headings = ("figure", "before", "after", change)
    return table(headings, rows, numeric=(3,), on_page=True)


def _at(sizes: Mapping[str, int]) -> str:
    where = ", ".join(f"{name}={size}" for name, size in sizes.items())
    return f", at {where}" if where else ""


def _parts(found: Difference, sizes: Mapping[str, int], depth: int) -> str:
    from nnspec.cli.render import table

    rows = [_row(change, sizes) for change in _shown(found.root, depth)]
    if not rows:
        return ""
    headings = ("", f"part{_at(sizes)}", "what", "parameters", "FLOPs")
    return table(headings, rows, numeric=(3, 4))


def _shown(root: Change, depth: int) -> Iterator[Change]:
    """The changes that say something: a new part speaks for all that is in it."""
    for change, level in root.walk():
        if 0 < level <= depth and change.kind not in ("same", "inside"):
            yield change


def _row(change: Change, sizes: Mapping[str, int]) -> list[str]:
    part = change.part
    what = "; ".join(_aspects(change)) if change.kind == "changed" else part.detail
    return [
        _MARKS[change.kind],
        part.path,
        what,
        *(_change_of(change, name, sizes) for name in ("parameters", "flops")),
    ]


def _aspects(change: Change) -> Iterator[str]:
    assert change.before is not None
    assert change.after is not None
    for name in change.aspects:
        if name == "repeats":
            one, other = change.repeats
            yield f"x{one} -> x{other}"
            continue
        if name == "kind" and "detail" in change.aspects:
            continue
        one, other = getattr(change.before, name), getattr(change.after, name)
        if name == "sources":
            yield f"from {', '.join(one)} -> from {', '.join(other)}"
        else:
            yield f"{one} -> {other}"


def _change_of(change: Change, name: str, sizes: Mapping[str, int]) -> str:
    """A signed difference; of a block that is on both sides too."""
    from nnspec.analysis.difference import known
    from nnspec.cli.shown.amounts import rounded

    one, other = (
        0 if part is None else known(part.figures[name], sizes)
        for part in (change.before, change.after)
    )
    sign = "+" if other > one else "-" if other < one else ""
    return f"{sign}{rounded(abs(other - one))}"


def _sizes(before: Spec, after: Spec) -> dict[str, int]:
    """Sizes for what is open on either side, to compare the parts at."""
    from nnspec.analysis.typical import typical_sizes

    sizes: dict[str, int] = {}
    for spec in (after, before):
        for name, size in typical_sizes(spec.program).items():
            if name not in spec.symbols:
                sizes[name] = min(size, sizes.get(name, size))
    return sizes


# ---- for programs -----------------------------------------------------------------------------------


def _object(before: Spec, after: Spec, found: Difference, depth: int) -> dict[str, Any]:
    figures = {
        name: {"before": one.for_program(), "after": other.for_program()}
        for name, (one, other) in found.figures.items()
    }
    return {
        "before": before.name,
        "after": after.name,
        "same": found.is_empty,
        "figures": figures,
        "parts": [_part(change) for change in _shown(found.root, depth)],
    }


def _part(change: Change) -> dict[str, Any]:
    from nnspec.cli.shown.amounts import for_program

    sides = {
        side: None
        if part is None
        else {
            "detail": part.detail,
            "output": part.output,
            "count": part.count,
            "sources": list(part.sources),
            **{name: for_program(value) for name, value in part.figures.items()},
        }
        for side, part in (("before", change.before), ("after", change.after))
    }
    return {"change": change.kind, "path": change.part.path, **sides}
