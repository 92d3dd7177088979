"""Where the output goes: streams that cannot fail on a character, colours, tables."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from nnspec.cli.shown.findings import Style

_ANSI = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;34",
    "frame": "34",
    "hint": "1;36",
}


def prepare_streams() -> None:
    """Makes the standard streams show what they cannot encode as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Prints to standard output, exactly this."""
    _write_to(sys.stdout, text)


def write_error(text: str) -> None:
    """Prints to standard error, exactly this."""
    _write_to(sys.stderr, text)


def _write_to(stream: TextIO | None, text: str) -> None:
    if stream is not None:  # None: the stream was closed before the start
        stream.write(text)


def write_json(value: Any) -> None:
    """Prints a JSON document in ASCII, which every consumer can decode."""
    import json

    write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def flush() -> None:
    """Sends out what is still buffered; raises OSError if it cannot be."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def abandon_output() -> None:
    """Sends the rest to nowhere: the reader is gone, or the disk is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, number)
    os.close(nowhere)


def has_colours(stream: TextIO | None) -> bool:
    """Whether a person looks at this stream on a terminal that shows colours."""
    if stream is None or "NO_COLOR" in os.environ:
        return False
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def error_style() -> Style:
    """The look of diagnostics on standard error."""
    from nnspec.cli.shown.findings import plain

    return coloured if has_colours(sys.stderr) else plain


def coloured(text: str, role: str) -> str:
    """The look of a role on a terminal with colours."""
    return f"\x1b[{_ANSI[role]}m{text}\x1b[0m"


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[int] = (),
    *,
    on_page: bool = False,
) -> str:
    """A table as text, columns `numeric` to the right.

    It is as wide as it needs; on a terminal, and `on_page`, no wider than that: on more lines, never cut off.
    """
    from nnspec.cli.shown.tables import plainly, table
    from nnspec.cli.shown.wrapping import line_width

    width = line_width() if on_page else _width()
    draw = plainly(shown_as("─", "-"))
    if sys.stdout is not None and sys.stdout.isatty():
        from nnspec.cli.shown.terminal import on_terminal

        colours = has_colours(sys.stdout)
        draw = on_terminal(colours=colours, is_ascii=not _encodes("─"))
    return table(headings, rows, numeric, width=width, draw=draw)


PLOT_WIDTH, PLOT_HEIGHT = 64, 16


def plot(
    points: Sequence[tuple[float, float, bool]],
    x: str,
    y: str,
    in_bytes: tuple[bool, bool] = (False, False),
) -> str:
    """Points as characters, those that are `True` in another one; axes as in the picture."""
    from nnspec.cli.shown.wrapping import line_width
    from nnspec.picture.scatter import Scale

    dot, best, rule = "·●│" if _encodes("·●│") else ".*|"
    of_x, of_y = in_bytes
    up = Scale.over([p[1] for p in points], PLOT_HEIGHT - 1, 0, in_bytes=of_y)
    names = [up.label(up.high), *[""] * (PLOT_HEIGHT - 2), up.label(up.low)]
    margin = max(len(name) for name in names)
    wide = min(PLOT_WIDTH, line_width() - margin - 2)
    across = Scale.over([p[0] for p in points], 0, wide - 1, in_bytes=of_x)
    cells: dict[tuple[int, int], str] = {}
    for one, other, is_best in sorted(points, key=lambda point: point[2]):
        place = (round(up.place(other)), round(across.place(one)))
        cells[place] = best if is_best else cells.get(place, dot)
    lines = [f"{y}"]
    for row in range(PLOT_HEIGHT):
        line = "".join(cells.get((row, column), " ") for column in range(wide))
        lines.append(f"{names[row]:>{margin}} {rule}{line.rstrip()}")
    low, high = across.label(across.low), across.label(across.high)
    lines.append(f"{' ' * margin}  {low}{high:>{wide - len(low)}}")
    lines.append(f"{' ' * margin}  {x:^{wide}}".rstrip())
    return "\n".join(lines) + "\n"


def bar(thousandths: int, width: int) -> str:
    """A share as a bar of `width` cells, to an eighth of a cell where the terminal can show it."""
    if not _encodes("█▏"):
        return ("#" * ((thousandths * width + 500) // 1000)).ljust(width)
    eighths = (thousandths * width * 8 + 500) // 1000
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + ("", *"▏▎▍▌▋▊▉")[rest]).ljust(width)


def shown_as(drawn: str, plain: str) -> str:
    """The characters to draw with, or plain ones where the output cannot show them."""
    return drawn if _encodes(drawn) else plain


def _width() -> int | None:
    """How wide a table may be: as the terminal, if somebody looks at one."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    import shutil

    return max(1, shutil.get_terminal_size().columns)


def _encodes(text: str) -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
