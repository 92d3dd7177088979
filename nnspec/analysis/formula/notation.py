"""Formulas as text: in the language of specs, LaTeX, Python and JavaScript.

Text and Python are exact for integers of any size. JavaScript counts in BigInt, which is exact too: every
name stands for a BigInt, and so does the result.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence

from nnspec.analysis.formula.tree import (
    Ceiling,
    Extreme,
    Formula,
    Name,
    Number,
    OverTurns,
    Power,
    Product,
    Quotient,
    Remainder,
    Sum,
    is_negative,
    negated,
)

_SUM, _PRODUCT, _POWER, _ATOM = range(4)


class Notation:
    """How one language writes formulas; this one is that of specs, which text for people uses too.

    Specs cannot say the largest or the sum over the turns of a loop: that is written for people alone.

    `write` puts parentheses where precedence asks for them, and around every quotient inside of a
    product, so that nobody has to know which way `a * b // c` is read.
    """

    times = " * "

    def write(self, formula: Formula, level: int = _SUM) -> str:
        """The formula as text, in parentheses where it binds less than `level`."""
        text, own = self._parts(formula)
        return self.enclosed(text) if own < level else text

    def _parts(self, formula: Formula) -> tuple[str, int]:
        match formula:
            case Number(value):
                return self.number(value), _ATOM if value >= 0 else _SUM
            case Name():
                return self.name(formula), _ATOM
            case Sum(terms):
                return self.sum(terms), _SUM
            case Product(factors):
                text = self.product(factors)
                return text, _SUM if text.startswith("-") else _PRODUCT
            case Power(base, exponent):
                return self.power(base, exponent)
            case Quotient(above, below):
                return self.quotient(above, below, formula.exact)
            case Ceiling(above, below):
                return self.ceiling(above, below)
            case Remainder(above, below):
                return self.remainder(above, below)
            case Extreme(kind, parts):
                return self.extreme(kind, [self.write(part) for part in parts]), _ATOM
            case OverTurns():
                return self.over_turns(formula)

    # ---- what differs between languages ----

    def ratio(self, above: str, below: str) -> str:
        """A quotient that is no integer."""
        return f"({above}) / ({below})"

    def enclosed(self, text: str) -> str:
        """A text in parentheses."""
        return f"({text})"

    def number(self, value: int) -> str:
        """An integer."""
        return str(value)

    def name(self, name: Name) -> str:
        """A size, a constant, or an element of a list."""
        return name.name + "".join(f"[{place}]" for place in name.places)

    def sum(self, terms: Sequence[Formula]) -> str:
        """Terms with their signs between them."""
        first, *rest = terms
        return " ".join((self.write(first), *map(self.signed, rest)))

    def signed(self, term: Formula) -> str:
        """A term with its sign before it, as it stands in a sum behind others."""
        if is_negative(term):
            return f"- {self.write(negated(term), _PRODUCT)}"
        level = _SUM if isinstance(term, Sum) else _PRODUCT
        return f"+ {self.write(term, level)}"

    def product(self, factors: Sequence[Formula]) -> str:
        """Factors side by side; a leading -1 is a sign."""
        first, *rest = factors
        if first == Number(-1):
            return f"-{self.times.join(self.write(f, _POWER) for f in rest)}"
        if isinstance(first, Number):
            texts = [self.number(first.value), *(self.write(f, _POWER) for f in rest)]
            return self.times.join(texts)
        return self.times.join(self.write(factor, _POWER) for factor in factors)

    def power(self, base: Formula, exponent: Formula) -> tuple[str, int]:
        """A power, and how strongly it binds."""
        return f"{self.write(base, _ATOM)}^{self.write(exponent, _ATOM)}", _POWER

    def quotient(self, above: Formula, below: Formula, exact: bool) -> tuple[str, int]:
        """A quotient rounded down."""
        return self.infix("//", above, below), _PRODUCT

    def ceiling(self, above: Formula, below: Formula) -> tuple[str, int]:
        """A quotient rounded up."""
        text = f"{self.write(above, _POWER)} / {self.write(below, _ATOM)}"
        return f"ceil({text})", _ATOM

    def remainder(self, above: Formula, below: Formula) -> tuple[str, int]:
        """A remainder."""
        return self.infix("%", above, below), _PRODUCT

    def infix(self, sign: str, left: Formula, right: Formula) -> str:
        """Two operands that are atoms, powers or in parentheses, and a sign between."""
        return f"{self.write(left, _POWER)} {sign} {self.write(right, _POWER)}"

    def extreme(self, kind: str, parts: Sequence[str]) -> str:
        """The least or greatest."""
        return f"{kind}({', '.join(parts)})"

    def over_turns(self, formula: OverTurns) -> tuple[str, int]:
        """The largest or the sum over the turns of a loop, both bounds included: `max(4 * 2^i for i in 1..depth - 2)`."""
        turns = f"{self.write(formula.first)}..{self.write(formula.last)}"
        value, turn = self.write(formula.value), self.name(formula.turn)
        return f"{formula.kind}({value} for {turn} in {turns})", _ATOM


def lines_of(notation: Notation, formula: Formula) -> list[str]:
    """A formula in lines, one for each term of a sum, with its sign before it."""
    if not isinstance(formula, Sum):
        return [notation.write(formula)]
    first, *rest = formula.terms
    return [notation.write(first), *(notation.signed(term) for term in rest)]


class Python(Notation):
    """Python, with integers."""

    def number(self, value: int) -> str:
        """An integer; the digits of a long one in threes."""
        return f"{value:_}" if abs(value) >= 100_000 else str(value)

    def name(self, name: Name) -> str:
        """A variable; `lambda_` where Python has the word for itself."""
        reserved = keyword.iskeyword(name.name)
        places = "".join(f"[{place}]" for place in name.places)
        return f"{name.name}_{places}" if reserved else f"{name.name}{places}"

    def power(self, base: Formula, exponent: Formula) -> tuple[str, int]:
        """`a**b`"""
        return f"{self.write(base, _ATOM)}**{self.write(exponent, _ATOM)}", _POWER

    def ceiling(self, above: Formula, below: Formula) -> tuple[str, int]:
        """`-(-a // b)`"""
        inner = f"-{self.write(above, _POWER)} // {self.write(below, _ATOM)}"
        return f"-({inner})", _SUM

    def over_turns(self, formula: OverTurns) -> tuple[str, int]:
        """`max((4 * 2**i for i in range(1, depth - 1)), default=0)`, and a sum without what stands for none."""
        turns = f"range({self.write(formula.first)}, {self.write(formula.stop)})"
        value, turn = self.write(formula.value), self.name(formula.turn)
        every = f"{value} for {turn} in {turns}"
        if formula.kind == "sum":
            return f"sum({every})", _ATOM
        return f"max(({every}), default=0)", _ATOM


class JavaScript(Notation):
    """JavaScript with BigInt. Its division rounds towards zero, so `PRELUDE` has one that rounds down."""

    PRELUDE = """\
const quotient = (a, b) => { const q = a / b; return a % b !== 0n && (a < 0n) !== (b < 0n) ? q - 1n : q; };
const remainder = (a, b) => a - b * quotient(a, b);
const least = (...values) => values.reduce((a, b) => (b < a ? b : a));
const greatest = (...values) => values.reduce((a, b) => (b > a ? b : a));
const greatestOfTurns = (first, stop, value) => {
  let found = first < stop ? value(first) : 0n;
  for (let turn = first + 1n; turn < stop; turn += 1n) found = greatest(found, value(turn));
  return found;
};
const sumOfTurns = (first, stop, value) => {
  let found = 0n;
  for (let turn = first; turn < stop; turn += 1n) found += value(turn);
  return found;
};
"""
    RESERVED = frozenset(
        [
            "arguments",
            "await",
            "break",
            "case",
            "catch",
            "class",
            "const",
            "continue",
            "debugger",
            "default",
            "delete",
            "do",
            "else",
            "enum",
            "eval",
            "export",
            "extends",
            "false",
            "finally",
            "for",
            "function",
            "if",
            "implements",
            "import",
            "in",
            "instanceof",
            "interface",
            "let",
            "new",
            "null",
            "package",
            "private",
            "protected",
            "public",
            "return",
            "static",
            "super",
            "switch",
            "this",
            "throw",
            "true",
            "try",
            "typeof",
            "var",
            "void",
            "while",
            "with",
            "yield",
            "quotient",
            "remainder",
            "least",
            "greatest",
            "greatestOfTurns",
            "sumOfTurns",
        ]
    )

    def number(self, value: int) -> str:
        """A BigInt."""
        return f"{value}n"

    def name(self, name: Name) -> str:
        """A variable that holds a BigInt, or an array of them."""
        own = f"{name.name}_" if name.name in self.RESERVED else name.name
        return own + "".join(f"[{place}]" for place in name.places)

    def product(self, factors: Sequence[Formula]) -> str:
        """Factors; the sign of a power must not stand alone before it, so -1 is a factor like others."""
        first, *rest = factors
        texts = [self.number(first.value)] if isinstance(first, Number) else []
        rest = rest if isinstance(first, Number) else list(factors)
        return self.times.join([*texts, *(self.write(f, _POWER) for f in rest)])

    def power(self, base: Formula, exponent: Formula) -> tuple[str, int]:
        """`a ** b`"""
        return f"{self.write(base, _ATOM)} ** {self.write(exponent, _ATOM)}", _POWER

    def ratio(self, above: str, below: str) -> str:
        """A double, of two BigInts."""
        return f"Number({above}) / Number({below})"

    def quotient(self, above: Formula, below: Formula, exact: bool) -> tuple[str, int]:
        """`a / b` where nothing is left over, else rounded down."""
        if exact:
            return self.infix("/", above, below), _PRODUCT
        return f"quotient({self.write(above)}, {self.write(below)})", _ATOM

    def ceiling(self, above: Formula, below: Formula) -> tuple[str, int]:
        """The negative of a quotient of the negative."""
        inner = f"quotient(-{self.write(above, _ATOM)}, {self.write(below)})"
        return f"-{inner}", _SUM

    def remainder(self, above: Formula, below: Formula) -> tuple[str, int]:
        """A remainder with the sign of the divisor."""
        return f"remainder({self.write(above)}, {self.write(below)})", _ATOM

    def extreme(self, kind: str, parts: Sequence[str]) -> str:
        """The least or greatest of BigInts, which `Math` does not take."""
        name = "least" if kind == "min" else "greatest"
        return f"{name}({', '.join(parts)})"

    def over_turns(self, formula: OverTurns) -> tuple[str, int]:
        """A call with the value as a function of the turn."""
        bounds = f"{self.write(formula.first)}, {self.write(formula.stop)}"
        value, turn = self.write(formula.value), self.name(formula.turn)
        name = "sumOfTurns" if formula.kind == "sum" else "greatestOfTurns"
        return f"{name}({bounds}, ({turn}) => {value})", _ATOM


class Latex(Notation):
    """LaTeX, in math mode; needs no package."""

    times = " \\, "

    def enclosed(self, text: str) -> str:
        """Parentheses that grow with what is in them."""
        return f"\\left({text}\\right)"

    def number(self, value: int) -> str:
        """An integer, its digits in threes."""
        return f"{value:,}".replace(",", "{,}")

    def name(self, name: Name) -> str:
        """One letter as it is, a word upright; an element of a list with its place below."""
        word = name.name.replace("_", "\\_")
        text = word if len(word) == 1 else f"\\mathrm{{{word}}}"
        places = ",".join(str(place) for place in name.places)
        return f"{text}_{{{places}}}" if places else text

    def product(self, factors: Sequence[Formula]) -> str:
        """Factors with a thin space; a dot where two numbers would meet."""
        first, *rest = factors
        texts = [self.write(factor, _POWER) for factor in rest]
        if first == Number(-1):
            return f"-{self.times.join(texts)}"
        head = (
            self.number(first.value)
            if isinstance(first, Number)
            else self.write(first, _POWER)
        )
        text = head
        for part in texts:
            text += f" \\cdot {part}" if part[0].isdigit() else f"{self.times}{part}"
        return text

    def power(self, base: Formula, exponent: Formula) -> tuple[str, int]:
        """`a^{b}`"""
        return f"{self.write(base, _ATOM)}^{{{self.write(exponent)}}}", _POWER

    def ratio(self, above: str, below: str) -> str:
        """A fraction."""
        return f"\\frac{{{above}}}{{{below}}}"

    def quotient(self, above: Formula, below: Formula, exact: bool) -> tuple[str, int]:
        """A fraction, between floor brackets where something may be left over."""
        fraction = f"\\frac{{{self.write(above)}}}{{{self.write(below)}}}"
        if exact:
            return fraction, _POWER
        return f"\\left\\lfloor {fraction} \\right\\rfloor", _ATOM

    def ceiling(self, above: Formula, below: Formula) -> tuple[str, int]:
        """A fraction between ceiling brackets."""
        fraction = f"\\frac{{{self.write(above)}}}{{{self.write(below)}}}"
        return f"\\left\\lceil {fraction} \\right\\rceil", _ATOM

    def remainder(self, above: Formula, below: Formula) -> tuple[str, int]:
        """`a mod b`"""
        text = f"{self.write(above, _POWER)} \\bmod {self.write(below, _ATOM)}"
        return text, _SUM

    def extreme(self, kind: str, parts: Sequence[str]) -> str:
        """The least or greatest."""
        return f"\\{kind}\\left({', '.join(parts)}\\right)"

    def over_turns(self, formula: OverTurns) -> tuple[str, int]:
        """The turns below the sign, of a sum the last one above it; what is summed ends where its parentheses do."""
        first, last = self.write(formula.first), self.write(formula.last)
        turn, value = self.name(formula.turn), self.write(formula.value)
        if formula.kind == "sum":
            sign = f"\\sum_{{{turn} = {first}}}^{{{last}}}"
            return f"{sign} {self.enclosed(value)}", _PRODUCT
        turns = f"{first} \\le {turn} \\le {last}"
        return f"\\max_{{{turns}}} {self.enclosed(value)}", _ATOM


NOTATIONS: dict[str, Notation] = {
    "text": Notation(),
    "latex": Latex(),
    "python": Python(),
    "javascript": JavaScript(),
}
