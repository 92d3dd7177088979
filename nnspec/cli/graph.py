"""`nnspec graph` and `nnspec report`: an architecture to look at."""

from __future__ import annotations

from collections.abc import Callable

import click

from nnspec.cli.arguments import (
    Command,
    SpecArgument,
    load_model,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.settings import (
    checkpoint_option,
    checkpointed,
    setting_of,
    setting_options,
)


def output_option(what: str) -> Callable[[Command], Command]:
    """Adds `-o FILE`, passed on as `output`."""
    said = f"Write the {what} here, whole or not at all."
    return click.option("-o", "--output", metavar="FILE", required=True, help=said)


force_option = click.option(
    "--force", is_flag=True, help="Overwrite a file that nnspec did not write."
)


@click.command()
@spec_arguments
@output_option("picture")
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Levels of blocks to open.",
)
@click.option(
    "--open",
    "asked",
    metavar="BLOCK",
    multiple=True,
    help="Open a block, by its path (layers.0.attn), its loop (layers) or its name.",
)
@force_option
def graph(
    spec: SpecArgument,
    settings: dict[str, str],
    output: str,
    depth: int,
    asked: tuple[str, ...],
    force: bool,
) -> int:
    """Draw the architecture of a model: blocks folded, shapes on the edges.

    The end of FILE says the form: .svg, .dot (Graphviz), .mmd (Mermaid), or
    .html, in which blocks open with a click.

    \b
    Examples:
      nnspec graph resnet.nns:ResNet50 -o resnet.svg
      nnspec graph gpt2.nns:GPT2Small B=1 T=1024 --depth 1 -o gpt2.svg
      nnspec graph t5.nns --open decoder.cross -o t5.html
    """
    from nnspec.files import write_generated
    from nnspec.picture.opening import Unknown

    ending = _ending(output)
    with spec_errors_reported(as_json=False):
        model = load_model(spec, settings)
        try:
            text = model.picture(ending, depth=depth, open=asked)
        except Unknown as error:
            raise click.UsageError(f"{error}: {error.hint}") from None
    write_generated(output, text, force, inputs=[spec.path])
    return 0


@click.command()
@spec_arguments
@output_option("page")
@setting_options
@checkpoint_option
@force_option
def report(
    spec: SpecArgument,
    settings: dict[str, str],
    checkpoint: str | None,
    output: str,
    force: bool,
    **assumed: str | None,
) -> int:
    """Write a page of what a model is and costs.

    One self-contained file, without network: the foldable architecture coloured by
    cost, the parts with their shares, every figure, and a slider for each size.
    KEY=VALUE says at which sizes the page opens.

    \b
    Examples:
      nnspec report resnet.nns:ResNet50 B=8 -o resnet.html
      nnspec report gpt2.nns:GPT2Small --policy mixed_bf16 -o gpt2.html
    """
    from nnspec.files import write_generated

    if not output.lower().endswith((".html", ".htm")):
        raise click.UsageError(f"`{output}` should end with .html")
    with spec_errors_reported(as_json=False):
        setting = setting_of(assumed)
        model = checkpointed(load_model(spec, settings), checkpoint)
        text = model.report(setting)
    write_generated(output, text, force, inputs=[spec.path])
    return 0


def _ending(output: str) -> str:
    from nnspec.picture import FORMATS

    ending = output.rpartition(".")[2].lower()
    if ending not in FORMATS:
        known = ", ".join(f".{each}" for each in FORMATS)
        raise click.UsageError(f"`{output}` should end with one of {known}")
    return ending
