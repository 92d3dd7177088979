"""`nnspec cost`: the figures of a model, whole and by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from nnspec.cli.shown.costs import Costs, parts_as_csv
from nnspec.cli.shown.formulas import FORMATS, rendered
from nnspec.cli.time_options import show_times, time_options, wants_times

if TYPE_CHECKING:
    from nnspec.analysis.figures import Figure


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
        costs = [Costs.of(model, setting, wanted, names is None) for model in models]
        if as_formulas:
            formulas = [each.formulas(constants) for each in costs]
            text = "" if as_json else rendered(formulas, notation or "text")
            if as_json:
                write_json([each.as_object() for each in formulas])
        elif as_json:
            text = ""
            write_json([each.as_object(depth) for each in costs])
        elif as_csv:
            text = parts_as_csv(costs, depth)
        else:
            text = "\n".join(each.as_text(depth) for each in costs)
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
