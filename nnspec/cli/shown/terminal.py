"""Tables on a terminal, drawn by rich: the only module that imports it, and only when a table is drawn there.

Which lines a cell takes is known before (see `tables`): rich would cut off what does not fit. It never sees text of a
spec as markup: every cell is a `Text` of visible characters.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from nnspec.cli.shown.tables import Draw, Laid

# A line below the headings, and nothing else (see `rich.box.Box`).
_LINE = "\n".join(["    ", "    ", " -- ", *["    "] * 5])


def on_terminal(*, colours: bool, is_ascii: bool) -> Draw:
    """Draws columns for a terminal that shows colours or not, or no more than ASCII."""

    def draw(columns: Sequence[Laid], gap: int) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        # Beside the padding there is the character of the box between columns.
        drawn = Table(
            box=box.Box(_LINE, ascii=True) if is_ascii else box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 0, 0, gap - 1),
            header_style="bold" if colours else "none",
        )
        for column in columns:
            drawn.add_column(
                Text("\n".join(column.heading)),
                justify="right" if column.is_numeric else "left",
                width=column.width,
                no_wrap=True,
            )
        for row in zip(*(column.body for column in columns), strict=True):
            drawn.add_row(*(Text("\n".join(lines)) for lines in row))
        paper = io.StringIO()
        widths = [column.width for column in columns]
        console = Console(
            file=paper,
            width=sum(widths) + gap * len(widths),
            force_terminal=colours,
            color_system="standard" if colours else None,
            legacy_windows=False,
        )
        console.print(drawn)
        lines = paper.getvalue().split("\n")[:-1]
        return "".join(f"{line.rstrip()}\n" for line in lines)

    return draw
