"""Where the output goes: streams that cannot fail on a character, colours, tables.

The only module that imports rich, and only when a table is drawn. Rich never sees text
of a spec as markup: every cell is a `Text` of visible characters.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
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
_UNBOUNDED_WIDTH = 1000


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
    headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()
) -> str:
    """A table as text, columns `numeric` to the right.

    It is as wide as it needs; on a terminal no wider than that, cells being clipped.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        return _drawn_table(headings, rows, numeric)
    return _aligned_table(headings, rows, numeric)


def _aligned_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]
) -> str:
    """What nobody watches needs no terminal's width, and not the library that knows it."""
    from nnspec.cli.shown.text import cells, visible

    shown = [[visible(cell) for cell in row] for row in (headings, *rows)]
    columns = list(zip(*shown, strict=True))
    widths = [max(map(cells, column)) for column in columns]
    rule = ("─" if _encodes("─") else "-") * (sum(widths) + 3 * (len(widths) - 1))
    head, *body = (_aligned(row, widths, numeric, cells) for row in shown)
    return "".join(f"{line}\n" for line in (head, rule, *body))


def _aligned(
    row: Sequence[str],
    widths: Sequence[int],
    numeric: Sequence[int],
    cells: Callable[[str], int],
) -> str:
    filled: list[str] = []
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        room = " " * (width - cells(cell))
        filled.append(room + cell if number in numeric else cell + room)
    return "   ".join(filled).rstrip()


def _drawn_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]
) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nnspec.cli.shown.text import visible

    drawn = Table(
        box=box.SIMPLE_HEAD if _encodes("─") else box.ASCII,
        show_edge=False,
        pad_edge=False,
        header_style="bold" if has_colours(sys.stdout) else "none",
    )
    for number, heading in enumerate(headings):
        justify = "right" if number in numeric else "left"
        drawn.add_column(heading, justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        drawn.add_row(*(Text(visible(cell)) for cell in row))
    paper = io.StringIO()
    console = Console(
        file=paper,
        width=_width(),
        force_terminal=has_colours(sys.stdout),
        color_system="standard" if has_colours(sys.stdout) else None,
        legacy_windows=False,
    )
    console.print(drawn)
    return "".join(f"{line.rstrip()}\n" for line in paper.getvalue().split("\n")[:-1])


PLOT_WIDTH, PLOT_HEIGHT = 64, 16


def plot(
    points: Sequence[tuple[float, float, bool]],
    x: str,
    y: str,
    in_bytes: tuple[bool, bool] = (False, False),
) -> str:
    """Points as characters, those that are `True` in another one; axes as in the picture."""
    from nnspec.picture.scatter import Scale

    dot, best, rule = "·●│" if _encodes("·●│") else ".*|"
    of_x, of_y = in_bytes
    across = Scale.over([p[0] for p in points], 0, PLOT_WIDTH - 1, in_bytes=of_x)
    up = Scale.over([p[1] for p in points], PLOT_HEIGHT - 1, 0, in_bytes=of_y)
    cells: dict[tuple[int, int], str] = {}
    for one, other, is_best in sorted(points, key=lambda point: point[2]):
        place = (round(up.place(other)), round(across.place(one)))
        cells[place] = best if is_best else cells.get(place, dot)
    names = [up.label(up.high), *[""] * (PLOT_HEIGHT - 2), up.label(up.low)]
    margin = max(len(name) for name in names)
    lines = [f"{y}"]
    for row in range(PLOT_HEIGHT):
        line = "".join(cells.get((row, column), " ") for column in range(PLOT_WIDTH))
        lines.append(f"{names[row]:>{margin}} {rule}{line.rstrip()}")
    low, high = across.label(across.low), across.label(across.high)
    lines.append(f"{' ' * margin}  {low}{high:>{PLOT_WIDTH - len(low)}}")
    lines.append(f"{' ' * margin}  {x:^{PLOT_WIDTH}}".rstrip())
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


def _width() -> int:
    if sys.stdout is None or not sys.stdout.isatty():
        return _UNBOUNDED_WIDTH
    import shutil

    return max(1, shutil.get_terminal_size().columns)


def _encodes(text: str) -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
