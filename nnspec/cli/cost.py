"""`nnspec cost`: the figures of a model, whole and by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    listed,
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
from nnspec.records import dataclass

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
    metavar="N",
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
    form = Form(depth, constants, notation, as_csv, as_json)
    form.check()
    timed = wants_times(assumed)
    if timed and (form.is_of_formulas or as_csv or names is not None):
        raise click.UsageError("--device gives times, not figures, formulas or CSV")
    with spec_errors_reported(as_json):
        wanted = _figures(names)
        setting = setting_of(assumed)
        models = [
            checkpointed(model, checkpoint) for model in load_models(spec, settings)
        ]
        if timed:
            return show_times(models, setting, assumed, depth, as_json)
        form.show([Costs.of(model, setting, wanted, names is None) for model in models])
    return 0


@dataclass(frozen=True, slots=True)
class Form:
    """How figures are written, as the options say it."""

    depth: int
    constants: str | None
    notation: str | None
    as_csv: bool
    as_json: bool

    @property
    def is_of_formulas(self) -> bool:
        """Whether formulas in constants are asked for."""
        return self.constants is not None or self.notation is not None

    def check(self) -> None:
        """Raises a usage error for options that say two forms."""
        if self.as_json and (self.as_csv or self.notation is not None):
            raise click.UsageError(
                "--json is a form of its own: leave out --csv and --format"
            )
        if self.is_of_formulas and self.as_csv:
            raise click.UsageError(
                "--csv gives parts, and --in and --format give formulas"
            )

    def show(self, costs: Sequence[Costs]) -> None:
        """Prints the costs of models."""
        from nnspec.cli.render import write, write_json

        if self.is_of_formulas:
            formulas = [each.formulas(self.constants) for each in costs]
            if self.as_json:
                write_json([each.as_object() for each in formulas])
            else:
                write(rendered(formulas, self.notation or "text"))
        elif self.as_json:
            write_json([each.as_object(self.depth) for each in costs])
        elif self.as_csv:
            write(parts_as_csv(costs, self.depth))
        else:
            write("\n".join(each.as_text(self.depth) for each in costs))


def _figures(names: str | None) -> list[Figure]:
    """The figures that are asked for, those that are usually of interest if none are."""
    from nnspec.analysis.figures import FIGURES, figure_named

    if names is None:
        return [figure for figure in FIGURES.values() if figure.usual]
    if names == "all":
        return list(FIGURES.values())
    return [figure_named(name) for name in dict.fromkeys(listed("--figures", names))]
