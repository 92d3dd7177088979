"""`nnspec compile`: the program of a model for one framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    refuse_errors,
    spec_arguments,
    spec_errors_reported,
)

if TYPE_CHECKING:
    from nnspec.compiler import Spec, Target

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
    target: Target,
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
    from nnspec.cli.render import write

    with spec_errors_reported(as_json):
        model = load_model(spec, settings)
        refuse_errors(model)
        source = model.source(target)
    if output is not None:
        from nnspec.files import write_generated

        write_generated(output, source, force, inputs=[spec.path])
    if as_json:
        _write_json(model, target, source if output is None else None, output)
        return 0
    _write_warnings(model)
    if output is None:
        write(source)
    return 0


def _write_warnings(model: Spec) -> None:
    warnings = model.compile_warnings()
    if not warnings:
        return
    from nnspec.cli.findings import render_all
    from nnspec.cli.render import error_style, write_error

    write_error(render_all(warnings, style=error_style()))


def _write_json(
    model: Spec, target: str, source: str | None, output: str | None
) -> None:
    from nnspec.cli.findings_data import as_json
    from nnspec.cli.render import write_json

    place = {"file": output} if source is None else {"source": source}
    warnings = as_json(model.compile_warnings())
    write_json({"name": model.name, "target": target, **place, "warnings": warnings})
