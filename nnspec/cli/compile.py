"""`nnspec compile`: the program of a model for one framework."""

from __future__ import annotations

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    spec_arguments,
    spec_errors_reported,
)

TARGETS = ("torch", "keras")


@click.command(name="compile")
@spec_arguments
@click.option(
    "--target", type=click.Choice(TARGETS), required=True, help="The framework."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the program here, whole or not at all (default: standard output).",
)
@click.option(
    "--force", is_flag=True, help="Overwrite a file that nnspec did not write."
)
@json_option
def compile_(
    spec: SpecArgument,
    settings: dict[str, str],
    target: str,
    output: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Write the program of a model: standalone code for PyTorch or Keras 3.

    \b
    Examples:
      nnspec compile --target torch resnet.nns:ResNet50
      nnspec compile --target keras resnet.nns:ResNet50 -o resnet50.py
      nnspec compile --target torch gpt2.nns:GPT2 depth=6 width=384 heads=6
    """
    from nnspec.cli.render import write, write_json

    with spec_errors_reported(as_json):
        model = load_model(spec, settings)
        source = model.source(target)
    if output is not None:
        from nnspec.files import write_generated

        write_generated(output, source, force, inputs=[spec.path])
    if as_json:
        place = {"source": source} if output is None else {"file": output}
        write_json({"name": model.name, "target": target, **place})
    elif output is None:
        write(source)
    return 0
