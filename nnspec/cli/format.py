"""`nnspec fmt`: the one canonical layout."""

from __future__ import annotations

import click

from nnspec.cli.arguments import SpecArgument, json_option, spec_errors_reported


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Change nothing; exit code 1 if a file would change.",
)
@json_option
def fmt(paths: tuple[str, ...], only_check: bool, as_json: bool) -> int:
    """Lay specs out in the one canonical way; comments stay, the meaning too.

    PATH is a file or a folder.

    \b
    Examples:
      nnspec fmt resnet.nns
      nnspec fmt --check specs/
    """
    from nnspec.cli.render import write, write_json
    from nnspec.cli.shown.findings import count
    from nnspec.cli.shown.text import visible

    files = [file for path in paths for file in SpecArgument(path).files()]
    with spec_errors_reported(as_json):
        changed = _changed(files, only_check)
    if as_json:
        write_json({"ok": not (only_check and changed), "changed": changed})
    else:
        verb = "would change" if only_check else "changed"
        write("".join(f"{verb} {visible(path)}\n" for path in changed))
        write(f"{count(len(files), 'file')} looked at, {len(changed)} {verb}\n")
    return 1 if only_check and changed else 0


def _changed(files: list[str], only_check: bool) -> list[str]:
    """Formats all files that can be; raises SpecErrors with the faults of the others."""
    from nnspec.diagnostics import Diagnostics, SpecError, SpecErrors

    changed: list[str] = []
    faults = Diagnostics()
    for path in files:
        try:
            if _formatted(path, only_check):
                changed.append(path)
        except SpecErrors as errors:
            faults.extend(errors.diagnostics)
        except SpecError as error:
            faults.add(error.diagnostic)
    faults.raise_errors()
    return changed


def _formatted(path: str, only_check: bool) -> bool:
    """Formats one file; whether it changes (a byte order mark is a change as well)."""
    from nnspec.files import read_regular, write_in_place
    from nnspec.syntax.format import format_file
    from nnspec.syntax.text import LARGEST_FILE, read_text

    data = read_regular(path, LARGEST_FILE)
    text = format_file(read_text(data, path))
    if text.encode("utf-8") == data:
        return False
    if not only_check:
        write_in_place(path, text)
    return True
