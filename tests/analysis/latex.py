"""A reader of the LaTeX that formulas are written in, with plain integer arithmetic: an oracle for tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor

TOKEN = re.compile(
    r"(?P<space>\\,|\s+)|(?P<number>\d+(?:\{,\}\d+)*)|(?P<word>\\mathrm\{(?P<inner>[^}]*)\})"
    r"|(?P<command>\\[a-zA-Z]+)|(?P<letter>[A-Za-z])|(?P<sign>[-+^_{},()=])"
)
CLOSING = {"(": ")", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}


def evaluate(text: str, values: Mapping[str, int]) -> Fraction:
    reader = Reader(tokens(text), values)
    found = reader.sum()
    assert reader.at == len(reader.tokens), f"{text} goes on after {reader.at} tokens"
    return found


def tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, f"{text[at:]!r} is no LaTeX of formulas"
        at = match.end()
        if match["word"]:
            found.append(f"name:{match['inner'].replace(chr(92), '')}")
        elif match["letter"]:
            found.append(f"name:{match['letter']}")
        elif match["space"] is None:
            found.append(match[0].replace("{,}", ""))
    return found


class Reader:
    def __init__(self, tokens: list[str], values: Mapping[str, int]) -> None:
        self.tokens, self.values, self.at = tokens, values, 0

    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *expected: str) -> str:
        found = self.next()
        assert not expected or found in expected, f"{found} instead of {expected}"
        self.at += 1
        return found

    def sum(self) -> Fraction:
        if self.next() == "-":
            self.take()
            total = -self.product()
        else:
            total = self.product()
        while self.next() in ("+", "-", "\\bmod"):
            sign = self.take()
            part = self.product()
            if sign == "\\bmod":
                total = total % part
            else:
                total = total + part if sign == "+" else total - part
        return total

    def product(self) -> Fraction:
        total = self.power()
        while self.next() and self.next() not in (
            "+",
            "-",
            "}",
            ")",
            ",",
            "\\right",
            "\\bmod",
            "\\le",
        ):
            if self.next() == "\\cdot":
                self.take()
            total *= self.power()
        return total

    def power(self) -> Fraction:
        base = self.atom()
        if self.next() == "^":
            self.take()
            base **= int(self.braced())
        return base

    def braced(self) -> Fraction:
        self.take("{")
        found = self.sum()
        self.take("}")
        return found

    def atom(self) -> Fraction:
        token = self.take()
        if token.isdigit():
            return Fraction(int(token))
        if token.startswith("name:"):
            return Fraction(self.values[token.removeprefix("name:") + self.place()])
        if token == "\\frac":
            above = self.braced()
            return above / self.braced()
        if token == "\\max" and self.next() == "_":
            return self.largest()
        if token == "\\sum":
            return self.series()
        if token in ("\\min", "\\max"):
            return self.extreme(min if token == "\\min" else max)
        assert token == "\\left", f"{token} begins nothing"
        return self.fenced()

    def place(self) -> str:
        if self.next() != "_":
            return ""
        self.take()
        return f"[{int(self.braced())}]"

    def extreme(self, choose) -> Fraction:
        self.take("\\left")
        self.take("(")
        parts = [self.sum()]
        while self.next() == ",":
            self.take()
            parts.append(self.sum())
        self.take("\\right")
        self.take(")")
        return choose(parts)

    def largest(self) -> Fraction:
        """The largest of what stands behind `\\max_{first \\le i \\le last}`, read once for each turn."""
        for expected in ("_", "{"):
            self.take(expected)
        first = self.sum()
        self.take("\\le")
        turn = self.take().removeprefix("name:")
        assert turn not in self.values, f"{turn} is something else, too"
        self.take("\\le")
        last = self.sum()
        self.take("}")
        return max(self.over_turns(turn, first, last), default=Fraction(0))

    def series(self) -> Fraction:
        """The sum of what stands behind `\\sum_{turn = first}^{last}`."""
        for expected in ("_", "{"):
            self.take(expected)
        turn = self.take().removeprefix("name:")
        assert turn not in self.values, f"{turn} is something else, too"
        self.take("=")
        first = self.sum()
        self.take("}")
        self.take("^")
        return sum(self.over_turns(turn, first, self.braced()), Fraction(0))

    def over_turns(self, turn: str, first: Fraction, last: Fraction) -> list[Fraction]:
        """What stands in the parentheses that begin here, read once for each turn."""
        begin, outside = self.at, self.values
        found: list[Fraction] = []
        for number in range(int(first), int(last) + 1):
            self.at, self.values = begin, {**outside, turn: number}
            found.append(self.atom())
        self.at, self.values = begin, outside
        self.skip()
        return found

    def skip(self) -> None:
        """Goes on behind what is in parentheses."""
        depth = 0
        while depth or self.next() == "\\left":
            token = self.take()
            depth += {"\\left": 1, "\\right": -1}.get(token, 0)
            if not depth:
                self.take(")")
                return

    def fenced(self) -> Fraction:
        fence = self.take(*CLOSING)
        found = self.sum()
        self.take("\\right")
        self.take(CLOSING[fence])
        if fence == "(":
            return found
        return Fraction(floor(found) if fence == "\\lfloor" else ceil(found))
