"""Diagnostics for a person: message, place, the source line with a mark, hint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nnspec.cli.shown.text import excerpt, shortened, visible, visible_lines
from nnspec.diagnostics import Diagnostic, Severity
from nnspec.source import Location

Style = Callable[[str, str], str]
"""Gives a text (first) the look of a role (second): error, warning, note, frame, hint."""


def plain(text: str, role: str) -> str:
    """The look of every role where there are no colours."""
    return text


def render_all(
    diagnostics: Iterable[Diagnostic], suppressed: int = 0, style: Style = plain
) -> str:
    """All findings, a blank line after each, and how many there are."""
    found = list(diagnostics)
    blocks = [render(diagnostic, style) for diagnostic in found]
    return "\n".join([*blocks, tally(found, suppressed)])


def tally(found: list[Diagnostic], suppressed: int = 0) -> str:
    """The closing line: `found 2 errors and 1 warning`."""
    errors = sum(each.severity is Severity.ERROR for each in found)
    warnings = len(found) - errors
    parts = [
        count(number, noun)
        for number, noun in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    more = f" (and {suppressed} more, not shown)" if suppressed else ""
    return f"found {' and '.join(parts) or 'nothing wrong'}{more}\n"


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def render(diagnostic: Diagnostic, style: Style = plain) -> str:
    """One finding as several lines."""
    severity = diagnostic.severity.value
    heading = style(f"{severity}[{visible(diagnostic.code)}]", severity)
    message = visible_lines(shortened(diagnostic.message))
    lines = [f"{heading}: {message}", *_places(diagnostic, style)]
    if diagnostic.hint:
        hint = visible_lines(shortened(diagnostic.hint))
        lines.append(f"  {style('hint', 'hint')}: {hint}")
    return "\n".join(lines) + "\n"


def _places(diagnostic: Diagnostic, style: Style) -> Iterator[str]:
    labels = [(label.location, label.text) for label in diagnostic.labels]
    if diagnostic.location is not None:
        labels.insert(0, (diagnostic.location, ""))
    gutter = max((len(str(_line(place))) for place, _ in labels), default=1)
    shown: str | None = None
    for number, (place, text) in enumerate(labels):
        main = number == 0 and diagnostic.location is not None
        if place.source.name != shown:
            arrow = style("-->" if shown is None else ":::", "frame")
            yield f"{' ' * gutter}{arrow} {visible(str(place))}"
            shown = place.source.name
        yield from _marked_line(place, text, main, gutter, style)


def _line(place: Location) -> int:
    return place.source.position(place.span.start)[0]


def _marked_line(
    place: Location, text: str, main: bool, gutter: int, style: Style
) -> Iterator[str]:
    number, column = place.source.position(place.span.start)
    line = place.source.line(number)
    start = column - 1
    piece = excerpt(line, start, start + place.span.end - place.span.start)
    bar = style("|", "frame")
    role = "error" if main else "note"
    mark = style(("^" if main else "-") * piece.length, role)
    note = style(f" {visible(shortened(text, 200))}", role) if text else ""
    yield f"{' ' * gutter} {bar}"
    yield f"{number:>{gutter}} {bar} {piece.text}"
    yield f"{' ' * gutter} {bar} {' ' * piece.offset}{mark}{note}"
