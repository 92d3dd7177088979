"""`nnspec weights`: trained weights of one program for the other."""

from __future__ import annotations

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.compile import TARGETS


@click.group()
def weights() -> None:
    """Move trained weights between the PyTorch and the Keras program."""


@weights.command()
@spec_arguments
@click.option(
    "--from",
    "origin",
    type=click.Choice(TARGETS),
    required=True,
    help="Whose they are.",
)
@click.option(
    "--to", "target", type=click.Choice(TARGETS), required=True, help="For which one."
)
@click.option(
    "-i", "--input", "given", metavar="FILE", required=True, help="A safetensors file."
)
@click.option(
    "-o", "--output", metavar="FILE", required=True, help="The file to write."
)
@click.option("--force", is_flag=True, help="Overwrite the output if it exists.")
@json_option
def convert(
    spec: SpecArgument,
    settings: dict[str, str],
    origin: str,
    target: str,
    given: str,
    output: str,
    force: bool,
    as_json: bool,
) -> int:
    """Convert a safetensors file of weights from one program's names and layouts.

    \b
    Example:
      nnspec weights convert resnet.nns:ResNet50 --from torch --to keras \\
        -i trained.safetensors -o keras.safetensors
    """
    from nnspec.cli.render import write, write_json
    from nnspec.cli.shown.text import visible
    from nnspec.files import read_regular, write_new

    with spec_errors_reported(as_json):
        model = load_model(spec, settings)
        data = read_regular(given)
        converted = model.convert_weights(data, origin, target)
    write_new(output, converted.data, force, inputs=[spec.path, given])
    if as_json:
        write_json({"name": model.name, "file": output, "tensors": converted.tensors})
    else:
        write(f"{converted.tensors} tensors written to {visible(output)}\n")
    return 0
