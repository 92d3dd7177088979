"""`nnspec summary` and `nnspec ir`: what is in a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    load_models,
    spec_arguments,
    spec_errors_reported,
)

if TYPE_CHECKING:
    from nnspec.analysis.summary import SummaryTree
    from nnspec.ir.graph import Program
    from nnspec.spec import Spec

UNFOLDED = 2


@click.command()
@spec_arguments
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=UNFOLDED,
    show_default=True,
    help="Levels to unfold; deeper layers are counted in the one that holds them.",
)
@json_option
def summary(
    spec: SpecArgument, settings: dict[str, str], depth: int, as_json: bool
) -> int:
    """Show the layers of a model by path: shapes, parameters, FLOPs.

    \b
    Examples:
      nnspec summary resnet.nns:ResNet50 B=1
      nnspec summary --depth 1 gpt2.nns:GPT2XL
    """
    from nnspec.cli.render import write, write_json

    with spec_errors_reported(as_json):
        models = load_models(spec, settings)
        trees = [(model.name, model.summary()) for model in models]
    if as_json:
        write_json([{"name": name, **_node(tree, depth)} for name, tree in trees])
        return 0
    write("\n".join(_summary_table(name, tree, depth) for name, tree in trees))
    return 0


def _node(tree: SummaryTree, depth: int) -> dict[str, Any]:
    """A row and those below it, as deep as asked (blocks nest at most some dozens)."""
    from nnspec.cli.shown.amounts import for_program

    children = tree.children if depth > 0 else ()
    return {
        "path": tree.path,
        "kind": tree.kind,
        "count": tree.count,
        "output": tree.output,
        "parameters": for_program(tree.parameters),
        "flops": for_program(tree.flops),
        "children": [_node(child, depth - 1) for child in children],
    }


def _summary_table(name: str, tree: SummaryTree, depth: int) -> str:
    from nnspec.cli.render import table
    from nnspec.cli.shown.amounts import exact, rounded
    from nnspec.cli.shown.gathering import gathered
    from nnspec.cli.shown.text import visible

    rows = [
        [
            _indented(row, above, level),
            row.kind,
            row.output,
            exact(row.parameters),
            rounded(row.flops),
        ]
        for row, above, level in _unfolded(gathered(tree), depth)
        if level > 0
    ]
    rows.append(
        ["total", tree.kind, tree.output, exact(tree.parameters), rounded(tree.flops)]
    )
    headings = ("path", "kind", "output", "parameters", "FLOPs")
    return f"{visible(name)}\n\n{table(headings, rows, numeric=(3, 4))}"


def _indented(row: SummaryTree, above: SummaryTree, level: int) -> str:
    """The path as far as the row above does not say it, and the count where it is new."""
    repeated = f" (x{row.count})" if row.count > above.count else ""
    return f"{'  ' * (level - 1)}{row.path.removeprefix(f'{above.path}.')}{repeated}"


def _unfolded(
    tree: SummaryTree, depth: int
) -> Iterator[tuple[SummaryTree, SummaryTree, int]]:
    """The rows in order, each with the one above it and its level; without recursion."""
    waiting = [(tree, tree, 0)]
    while waiting:
        row, above, level = waiting.pop()
        yield row, above, level
        if level < depth:
            waiting += [(child, row, level + 1) for child in reversed(row.children)]


@click.command()
@click.argument("spec", metavar="[SPEC]", required=False)
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--after", metavar="PASS", help="Show the program after this pass.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of programs.")
@json_option
def ir(
    spec: str | None,
    settings: tuple[str, ...],
    after: str | None,
    schema: bool,
    as_json: bool,
) -> int:
    """Show the typed program that a model becomes.

    \b
    Examples:
      nnspec ir resnet.nns:ResNet50
      nnspec ir --json resnet.nns:ResNet50 > program.json
      nnspec ir --schema
    """
    from nnspec.cli.arguments import parse_settings
    from nnspec.cli.render import write, write_json

    if schema:
        from nnspec.ir.json import program_schema

        write_json(program_schema())
        return 0
    if spec is None:
        raise click.UsageError("SPEC is missing (only --schema goes without it)")
    with spec_errors_reported(as_json):
        model = load_model(SpecArgument.parse(spec), parse_settings(settings))
        write(_program_text(model, after, as_json))
    return 0


def _program_text(model: Spec, after: str | None, as_json: bool) -> str:
    from nnspec.cli.shown.text import visible_lines

    program = model.program if after is None else _after(model, after)
    if as_json:
        from json import dumps

        from nnspec.ir.json import program_to_json

        return dumps(program_to_json(program), ensure_ascii=True) + "\n"
    from nnspec.ir.show import show_program

    return visible_lines(show_program(program)) + "\n"


def _after(model: Spec, name: str) -> Program:
    from nnspec.diagnostics import did_you_mean
    from nnspec.passes import PASSES

    if name not in PASSES:
        hint = did_you_mean(name, PASSES) or f"there are {', '.join(PASSES)}"
        raise click.UsageError(f"there is no pass `{name}`: {hint}")
    return model.program_after(name)
