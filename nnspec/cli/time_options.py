"""The options of `nnspec cost` that ask for times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from nnspec.analysis.setting import Setting
    from nnspec.analysis.timing.training import Budget
    from nnspec.spec import Spec

Command = TypeVar("Command", bound=Callable[..., Any])
Given = Mapping[str, str | None]

_OPTIONS = {
    "device": ("NAME", "Times on this device (see `nnspec devices`), or on that of a file."),
    "tokens": ("N", "Time and energy to train on so many tokens: 300B."),
    "images": ("N", "The same for images: 1.28M."),
    "epochs": ("N", "How often each of them is seen."),
    "devices": ("N", "How many devices train together."),
    "mfu": ("SHARE", "The model FLOPs utilisation to assume: 0.4 or 40%."),
    "per": ("INPUT", "The input that holds the tokens or images."),
}  # fmt: skip


def time_options(command: Command) -> Command:
    """Adds the options, passed on as texts by their names; None where not given."""
    for name, (metavar, text) in reversed(_OPTIONS.items()):
        command = click.option(f"--{name}", metavar=metavar, help=text)(command)
    return command


def wants_times(given: Given) -> bool:
    """Whether a device is named. Raises a usage error for options that are idle."""
    budget = given["tokens"] or given["images"]
    if given["device"] is None:
        _refuse(given, list(_OPTIONS)[1:], "--device")
        return False
    if budget is None:
        _refuse(given, list(_OPTIONS)[3:], "--tokens or --images")
    if given["tokens"] and given["images"]:
        raise click.UsageError("give --tokens or --images, not both")
    return True


def _refuse(given: Given, names: Sequence[str], wanted: str) -> None:
    for name in names:
        if given[name] is not None:
            raise click.UsageError(f"--{name} says something only with {wanted}")


def show_times(
    models: Sequence[Spec], setting: Setting, given: Given, depth: int, as_json: bool
) -> int:
    """Prints the times of models. Raises `SpecError` for what is wrong with the options."""
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.timing.device import load_device
    from nnspec.cli.render import write, write_json
    from nnspec.cli.shown.times import TimesView

    device = load_device(given["device"] or "")
    budget = _budget(given)
    views = [
        TimesView(model, Analysis(model.program, setting), device, budget)
        for model in models
    ]
    if as_json:
        write_json([view.as_object(depth) for view in views])
    else:
        write("\n".join(view.as_text(depth) for view in views))
    return 0


def _budget(given: Given) -> Budget | None:
    from nnspec.analysis.timing.training import read_budget

    chosen = {name: given[name] for name in ("epochs", "devices", "mfu", "per")}
    if given["tokens"] is not None:
        return read_budget("tokens", given["tokens"], **chosen)
    if given["images"] is not None:
        return read_budget("images", given["images"], **chosen)
    return None
