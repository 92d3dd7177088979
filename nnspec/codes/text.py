"""Codes E00xx: what a spec's text may consist of."""

from __future__ import annotations

from nnspec.codes.explanation import Explanation

_FINE = "model M {\n  input x: [B, 3]\n  output y = x\n}\n"

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "E0001",
        "the file is not UTF-8",
        "Specs are read as UTF-8 and nothing else, so that every machine reads the same text. The message"
        " gives the first byte that does not fit. Most editors can save a file as UTF-8.",
        "",
        _FINE,
    ),
    Explanation(
        "E0002",
        "the file is too large",
        "A spec file holds at most 2 MiB. Architectures repeat themselves: write loops and blocks.",
        "",
        _FINE,
    ),
    Explanation(
        "E0003",
        "a control character",
        "Control characters (NUL, form feed, U+2028 and their like) show nothing or end a line in one"
        " program and not in another. None may stand in a spec, not even in a comment.",
        "x = 1\x0c\n",
        "x = 1\n",
    ),
    Explanation(
        "E0004",
        "an invisible or reordering character",
        "Zero-width characters and those that change the direction of writing can make a spec read other"
        " than it looks. None may stand anywhere, comments and strings included.",
        "x = 1  # one\u202e\n",
        "x = 1  # one\n",
    ),
    Explanation(
        "E0005",
        "a letter that is not ASCII in a name",
        "Names consist of ASCII letters, digits and `_`. Letters of other alphabets can look the same"
        " (the Cyrillic one for `a`) and yet make another name. Strings and comments may hold them.",
        "wid\u0442h = 1\n",
        "width = 1\n",
    ),
    Explanation(
        "E0006",
        "a digit of another script",
        "Numbers are written with the digits 0 to 9.",
        "x = \u0663\n",
        "x = 3\n",
    ),
    Explanation(
        "E0007",
        "a character without meaning",
        "Outside of strings and comments this character means nothing here. A choice between two values is"
        " written `(a if c else b)`.",
        "x = 1 $\n",
        "x = 1\n",
    ),
    Explanation(
        "E0008",
        "a name is too long",
        "A name has at most 100 characters.",
        "x" * 101 + " = 1\n",
        "x = 1\n",
    ),
    Explanation(
        "E0009",
        "a number is too long or too large",
        "A number is written with at most 40 characters, and its exponent lies between -400 and 400.",
        "x = 1e401\n",
        "x = 1e40\n",
    ),
    Explanation(
        "E0010",
        "this is neither a number nor a name",
        "A number has a digit on both sides of its point, and may end in a multiplier (K, M, G, T, P, or"
        " Ki, Mi, ... for powers of 1024) and a unit (B, FLOPs, MACs). A name does not begin with a digit.",
        "x = 3x\n",
        "x = 3K\n",
    ),
    Explanation(
        "E0011",
        "a string does not end on its line",
        'A string stands between double quotes on one line. A line end in it is written `\\n`, a quote `\\"`.',
        'x = "abc\n',
        'x = "abc"\n',
    ),
    Explanation(
        "E0012",
        "an unknown escape in a string",
        'The escapes are `\\"`, `\\\\`, `\\n` and `\\t`. Every other character stands for itself.',
        'x = "a\\d"\n',
        'x = "a\\\\d"\n',
    ),
    Explanation(
        "E0013",
        "a string is too long",
        "A string or doc string has at most 10,000 characters.",
        'x = "' + "a" * 10_001 + '"\n',
        'x = "a"\n',
    ),
    Explanation(
        "E0014",
        "a doc string is never closed",
        'A doc string begins and ends with `"""`. The place is that of the opening quotes.',
        '"""A model.\nx = 1\n',
        '"""A model."""\nx = 1\n',
    ),
    Explanation(
        "E0015",
        "something nests too deep",
        "Brackets, bodies, powers, signs and `else if` nest at most 64 levels deep. Give inner parts names,"
        " or move them to a block or fn.",
        "x = " + "(" * 65 + "1" + ")" * 65 + "\n",
        "x = ((1))\n",
    ),
    Explanation(
        "E0016",
        "the file has too many words and signs",
        "A file holds at most 250,000 tokens. Write loops and blocks where it repeats itself.",
        "",
        _FINE,
    ),
)
