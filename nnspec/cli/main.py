"""The `nnspec` command: a table of commands, and what happens when one fails.

Exit codes: 0 fine, 1 the spec has errors, 2 usage, 3 input or output, 70 a fault of
nnspec itself (one line and a file to send in, never a traceback), 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from nnspec import __version__
from nnspec.cli.render import (
    abandon_output,
    flush,
    prepare_streams,
    write_error,
)

SPEC_ERRORS, USAGE, INPUT_OUTPUT, FAULT, INTERRUPTED = 1, 2, 3, 70, 130


class Entry(NamedTuple):
    """Where a command is defined, and what `nnspec --help` says of it."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "check": Entry("check", "check", "Find the errors of a spec."),
    "summary": Entry("inspect", "summary", "Layers, shapes, parameters and FLOPs."),
    "cost": Entry("cost", "cost", "What a model costs, as numbers or formulas."),
    "graph": Entry("graph", "graph", "Draw the architecture."),
    "report": Entry("graph", "report", "A page of what a model is and costs."),
    "diff": Entry("diff", "diff", "What a change does to a model."),
    "sweep": Entry("sweep", "sweep", "Many models at once, and the best of them."),
    "fit": Entry("fit", "fit", "The largest batch, sequence or width that fits."),
    "place": Entry("place", "place", "Which device runs what, and how good that is."),
    "compile": Entry("compile", "compile_", "Write the PyTorch or Keras program."),
    "verify": Entry("verify", "verify", "Prove that both programs agree."),
    "fmt": Entry("format", "fmt", "Lay a spec out in the one canonical way."),
    "ir": Entry("inspect", "ir", "The typed program, after any pass."),
    "weights": Entry("weights", "weights", "Move trained weights between programs."),
    "devices": Entry("devices", "devices", "What is known of GPUs and other devices."),
    "calibrate": Entry("calibrate", "calibrate", "Fit a device to measured times."),
    "ops": Entry("reference", "ops", "The operators and their manual pages."),
    "explain": Entry("reference", "explain", "What a diagnostic's code means."),
}


class CommandTable(click.Group):
    """Commands that are imported when they run: help costs no more than the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            from nnspec.diagnostics import did_you_mean

            hint = did_you_mean(cmd_name, COMMANDS) or "`nnspec --help` lists them"
            ctx.fail(f"there is no command `{cmd_name}`: {hint}")
        return getattr(import_module(f"nnspec.cli.{entry.module}"), entry.function)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Lists all commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, e.summary) for name, e in COMMANDS.items()])


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nnspec")
def nnspec() -> None:
    """One description of a neural network, two programs that provably agree.

    SPEC is `file.nns`, `file.nns:Name` for one model or variant of it, or a folder.
    KEY=VALUE sets a constant or a symbolic size.

    \b
    Examples:
      nnspec check specs/
      nnspec cost specs/vision/resnet.nns:ResNet50 B=8
      nnspec compile --target keras resnet.nns:ResNet50 -o resnet.py
      nnspec COMMAND --help
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the result is the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    prepare_streams()
    try:
        code = _run(given)
        flush()
    except BrokenPipeError:  # the reader has seen enough, as in `nnspec ops | head`
        abandon_output()
        return 0
    except OSError as error:  # what was printed did not arrive
        abandon_output()
        return _input_output(error)
    return code


def _run(given: list[str]) -> int:
    try:
        # Not `nnspec.main(...)`: that ends the process when the reader is gone.
        with nnspec.make_context("nnspec", given) as context:
            outcome = nnspec.invoke(context)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        write_error(f"{error.format_message()}\n")
        return USAGE
    except click.UsageError as error:
        return _usage(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        return _input_output(error)
    except ModuleNotFoundError as error:
        return _missing(error, given)
    except Exception as error:
        return _fault(error, given)


def _usage(error: click.UsageError) -> int:
    from nnspec.cli.shown.text import shortened, visible_lines

    usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
    message = visible_lines(shortened(error.format_message()).expandtabs(2))
    write_error(f"{usage}nnspec: {message}\n")
    return USAGE


def _input_output(error: OSError) -> int:
    from nnspec.cli.shown.text import shortened, visible

    reason = error.strerror or str(error) or type(error).__name__
    place = f"{error.filename}: " if error.filename is not None else ""
    try:
        write_error(f"nnspec: {visible(shortened(place + reason))}\n")
        flush()
    except OSError:  # nobody listens; the exit code still tells
        abandon_output()
    return INPUT_OUTPUT


def _missing(error: ModuleNotFoundError, given: list[str]) -> int:
    from nnspec.cli.fault import EXTRAS

    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return _fault(error, given)
    write_error(
        f"nnspec: {package} is not installed, and this command needs it; "
        f"install it with: pip install 'nnspec[{extra}]'\n"
    )
    return INPUT_OUTPUT


def _fault(error: Exception, given: list[str]) -> int:
    from nnspec.cli.fault import report
    from nnspec.cli.shown.text import visible

    write_error(f"nnspec: {visible(report(error, given))}\n")
    return FAULT
