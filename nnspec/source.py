"""Source texts and the places in them.

A `Span` is two offsets into the text of a `Source`; lines and columns are computed only when a person
is to see them. Columns count characters, lines end where Python's universal newlines end them
(``\\n``, ``\\r\\n`` and a bare ``\\r``), as editors count them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import field
from functools import cached_property
from typing import NamedTuple

from nnspec.records import dataclass


class Span(NamedTuple):
    """A half-open range of character offsets."""

    start: int
    end: int

    def cover(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


@dataclass(frozen=True, eq=False)
class Source:
    """One text: the name that diagnostics show for it, and what it says."""

    name: str
    text: str = field(repr=False)

    @cached_property
    def line_starts(self) -> list[int]:
        """The offset at which each line begins."""
        ends = re.finditer(r"\r\n|\n|\r", self.text)
        return [0, *(match.end() for match in ends)]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (from 1) without its end."""
        start = self.line_starts[number - 1]
        following = self.line_starts[number : number + 1]
        end = following[0] if following else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class Location:
    """A span together with the text that it is in."""

    source: Source
    span: Span

    def __str__(self) -> str:
        line, column = self.source.position(self.span.start)
        return f"{self.source.name}:{line}:{column}"
