"""`nnspec check`: the errors of specs, in the form that a reader or a tool wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nnspec.cli.arguments import SpecArgument, json_option, spec_arguments

if TYPE_CHECKING:
    from nnspec.diagnostics import Diagnostics

FORMATS = ("text", "json", "github", "sarif")


@click.command()
@spec_arguments
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    help="Text for people (the default); the others go to standard output.",
)
@json_option
def check(
    spec: SpecArgument, settings: dict[str, str], form: str, as_json: bool
) -> int:
    """Find the errors of a spec: names, types, shapes, claims, requirements.

    \b
    Examples:
      nnspec check resnet.nns
      nnspec check resnet.nns:ResNet depths=[2,2,2,2]
      nnspec check --format github specs/
    """
    form = "json" if as_json else form
    found, models = findings(spec, settings)
    show(found, models, form)
    return 1 if found.errors else 0


def findings(
    spec: SpecArgument, settings: dict[str, str]
) -> tuple[Diagnostics, list[str]]:
    """Everything that is wrong with any model, and the names of all models seen."""
    from nnspec import compiler
    from nnspec.diagnostics import Diagnostics, SpecErrors

    found = Diagnostics()
    names: list[str] = []
    for path in spec.files():
        try:
            if spec.name is None:
                models = compiler.load_all(path, settings=settings)
            else:
                models = [compiler.load(path, spec.name, settings=settings)]
            for model in models:
                names.append(model.name)
                found.extend(model.check().diagnostics)
        except SpecErrors as errors:
            found.extend(errors.diagnostics)
            found.suppressed += errors.suppressed
    return found, names


def show(found: Diagnostics, models: list[str], form: str) -> None:
    """Prints findings in one of `FORMATS`."""
    from nnspec import __version__
    from nnspec.cli.render import error_style, write, write_error, write_json
    from nnspec.cli.shown.findings import count, render_all
    from nnspec.cli.shown.findings_data import as_github, as_json, as_sarif

    if form == "json":
        listed = as_json(found)
        write_json({"ok": not found.errors, "models": models, "diagnostics": listed})
    elif form == "github":
        write(as_github(found))
    elif form == "sarif":
        write_json(as_sarif(found.found, __version__))
    elif found.found:
        write_error(render_all(found, found.suppressed, error_style()))
    elif models:
        write(f"{count(len(models), 'model')} checked, nothing wrong\n")
    else:
        write("no model here can be checked by itself; the names are all right\n")
