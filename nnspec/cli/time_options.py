"""The options of `nnspec cost` that ask for times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nnspec.analysis.setting import Setting
    from nnspec.compiler import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = {
    "device": (
        "NAME",
        "Times on this device (see `nnspec devices`), or on that of a file.",
    ),
}


def time_options(command: Command) -> Command:
    """Adds the options, passed on as texts by their names; None where not given."""
    for name, (metavar, text) in reversed(_OPTIONS.items()):
        command = click.option(f"--{name}", metavar=metavar, help=text)(command)
    return command


def show_times(
    models: Sequence[Spec],
    setting: Setting,
    given: Mapping[str, str | None],
    depth: int,
    as_json: bool,
) -> int:
    """Prints the times of models. Raises `SpecError` for what is wrong with the options."""
    from nnspec.analysis.device import load_device
    from nnspec.analysis.figures import Analysis
    from nnspec.cli.render import write, write_json
    from nnspec.cli.times import TimesView

    device = load_device(given["device"] or "")
    views = [
        TimesView(model, Analysis(model.program, setting), device) for model in models
    ]
    if as_json:
        write_json([view.as_object(depth) for view in views])
    else:
        write("\n".join(view.as_text(depth) for view in views))
    return 0
