"""What stands on the command line: SPEC, settings, and the options all commands share."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.spec import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

SPEC_FILE_END = ".nns"
_NAMED = re.compile(r"(?P<path>.+):(?P<name>[A-Za-z_][A-Za-z_0-9]*)", re.DOTALL)
_SETTING = re.compile(r"(?P<name>[A-Za-z_][A-Za-z_0-9]*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SpecArgument:
    """Where a spec is: a file or a folder, and maybe one model of the file."""

    path: str
    name: str | None = None

    @staticmethod
    def parse(text: str) -> SpecArgument:
        """Reads `file.nns`, `file.nns:Name`, or a folder."""
        match = _NAMED.fullmatch(text)
        if match is None or os.path.exists(text):
            return SpecArgument(text)
        return SpecArgument(match["path"], match["name"])

    def files(self) -> list[str]:
        """The file itself, or every spec in the folder, in a stable order."""
        if not os.path.isdir(self.path):
            return [self.path]
        found = sorted(_specs_below(self.path))
        if not found:
            message = f"has no {SPEC_FILE_END} file"
            raise FileNotFoundError(errno.ENOENT, message, self.path)
        return found


def _specs_below(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            os.path.join(parent, name)
            for name in files
            if name.endswith(SPEC_FILE_END) and not name.startswith(".")
        )


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    """Reads `key=value` arguments; the values stay text, the compiler reads them."""
    settings: dict[str, str] = {}
    for text in texts:
        match = _SETTING.fullmatch(text)
        if match is None:
            message = f"`{text}` is not of the form key=value, as in B=8"
            raise click.UsageError(message)
        if match["name"] in settings:
            raise click.UsageError(f"`{match['name']}` is set twice")
        settings[match["name"]] = match["value"]
    return settings


def listed(option: str, text: str) -> list[str]:
    """The names of an option that takes several, `flops,macs`. Raises UsageError for one that is missing."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.UsageError(f"{option} leaves a name out: `{text}`")
    return names


def _spec_callback(
    context: click.Context, parameter: click.Parameter, value: str
) -> SpecArgument:
    return SpecArgument.parse(value)


def _settings_callback(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    return parse_settings(value)


def spec_arguments(command: Command) -> Command:
    """Adds `SPEC [key=value]...`, passed on as `spec` and `settings`."""
    settings = click.argument(
        "settings", metavar="[KEY=VALUE]...", nargs=-1, callback=_settings_callback
    )
    spec = click.argument("spec", metavar="SPEC", callback=_spec_callback)
    return spec(settings(command))


def json_option(command: Command) -> Command:
    """Adds `--json`, passed on as `as_json`."""
    flag = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for programs."
    )
    return flag(command)


def load_models(spec: SpecArgument, settings: Mapping[str, str]) -> list[Spec]:
    """The model that was named, or every model of the file or folder that needs no other constants.

    Raises SpecErrors with the faults of all files, and where there is no model.
    """
    from nnspec import compiler
    from nnspec.diagnostics import Diagnostics, SpecErrors
    from nnspec.elaboration.entries import no_single

    if spec.name is not None:
        return [compiler.load(spec.path, spec.name, settings=settings)]
    models: list[Spec] = []
    faults = Diagnostics()
    for path in spec.files():
        try:
            models += compiler.load_all(path, settings=settings)
        except SpecErrors as errors:
            faults.extend(errors.diagnostics)
    faults.raise_errors()
    if not models and not os.path.isdir(spec.path):
        raise compiler.read(spec.path).without_models(settings)
    if not models:
        raise no_single(
            f"no file in {spec.path} holds a model that can be made without constants",
            "name a file, and give the constants, as in `net.nns depth=4`",
        )
    return models


def load_model(spec: SpecArgument, settings: Mapping[str, str]) -> Spec:
    """The one model that SPEC stands for. Raises SpecErrors if there is none, or more."""
    models = load_models(spec, settings)
    if len(models) == 1:
        return models[0]
    from nnspec.elaboration.entries import several

    raise several(spec.path, [model.name for model in models])


def refuse_errors(model: Spec) -> None:
    """Raises SpecErrors for what is wrong with a program that can be built: costs over budget."""
    from nnspec.diagnostics import Severity, SpecErrors

    found = [e for e in model.check().diagnostics if e.severity is Severity.ERROR]
    if found:
        raise SpecErrors(found)


@contextmanager
def spec_errors_reported(as_json: bool) -> Generator[None]:
    """Turns the faults of a spec, and sizes beyond all bounds, into output and exit code 1."""
    from nnspec.diagnostics import SpecError, SpecErrors
    from nnspec.ir.dims import DimTooLarge

    try:
        yield
    except DimTooLarge as error:
        diagnostics = (SpecError("E0329", str(error)).diagnostic,)
    except SpecErrors as errors:
        diagnostics = errors.diagnostics
    except SpecError as error:
        diagnostics = (error.diagnostic,)
    else:
        return
    from nnspec.cli.render import error_style, write_error, write_json
    from nnspec.cli.shown.findings import render_all
    from nnspec.cli.shown.findings_data import as_json as json_of

    if as_json:
        write_json({"ok": False, "diagnostics": json_of(diagnostics)})
    else:
        write_error(render_all(diagnostics, style=error_style()))
    raise click.exceptions.Exit(1)
