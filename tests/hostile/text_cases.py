"""Section A: text and encoding."""

from __future__ import annotations

from tests.hostile.cases import FINE, Case, Group, model

TEXT = Group("text")
LARGE = Group("large")

_add = TEXT.add
_add("empty", "", code=0)
_add("only a comment", "# nothing\n\n   \n", code=0)
_add("no final newline", FINE.rstrip("\n"), code=0)
_add("byte order mark at the start", "\ufeff" + FINE)
_add("byte order mark in the middle", FINE.replace("x ->", "x\ufeff ->"), code=1)
for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
    _add(f"encoding {encoding}", FINE.encode(encoding), code=1)
_add("latin-1", b"# caf\xe9\n" + FINE.encode(), code=1, shows="E0001")
_add("cut off", FINE.encode() + b"# \xe2\x82", code=1, shows="E0001")
_add("overlong", b"# \xc0\x80\n" + FINE.encode(), code=1, shows="E0001")
_add("surrogates in utf-8", b"# \xed\xa0\x80\n" + FINE.encode(), code=1, shows="E0001")
for place, text in {
    "name": "wid%sth = 1\n",
    "string": 'a = "b%sc"\n',
    "comment": "a = 1  # b%sc\n",
    "doc": '"""b%sc"""\na = 1\n',
}.items():
    for code in (0x00, 0x0B, 0x0C, 0x1B, 0x7F, 0x85, 0x2028, 0x2029):
        _add(f"U+{code:04X} in a {place}", text % chr(code), code=1)
    for code in (0x202A, 0x202E, 0x2066, 0x2069, 0x200B, 0x200D, 0xFEFF, 0xAD):
        _add(f"U+{code:04X} in a {place}", text % chr(code), code=1)
for end in ("\r\n", "\r"):
    _add(f"line ends {end!r}", FINE.replace("\n", end), code=0)
    _add(
        f"a fault behind {end!r}",
        FINE.replace("Linear", "Linaer").replace("\n", end),
        code=1,
    )
_add("mixed line ends", FINE.replace("\n", "\r\n", 1).replace("8)\n", "8)\r"), code=0)
_add("tabs before a fault", model("\t\toutput y = x -> Linaer(8)"), code=1)
_add(
    "wide letters before a fault",
    '"""\u65e5\u672c"""  a = "\u65e5\u672c\U0001f600e\u0301"  b = c\n',
    code=1,
)
_add("a homoglyph", "wid\u0442h = 1\n", code=1, shows="E0005")
_add("a ligature", "\ufb01 = 1\nfi = 2\n", code=1)
_add("mathematical letters", "\U0001d41e\U0001d42f\U0001d41a\U0001d425 = 1\n", code=1)
_add("digits of another script", "a = \u0663\n", code=1)
_add("escapes of surrogates", 'a = "\\ud800"\n', code=1)

_add("a name of 255 letters", f"{'a' * 255} = 1\n")
_add("a name of 256 letters", f"{'a' * 256} = 1\n")
_add("a leading digit", "3x = 1\n", code=1)

_large = LARGE.add
_large("100 MB", lambda: b"#" * 100_000_000, code=1, shows="E0002")
_large("a comment of 50 MB", lambda: b"# " + b"x" * 50_000_000 + b"\n", code=1)
_large("a comment of 1 MB", lambda: b"# " + b"x" * 1_000_000 + b"\n", code=0)
_large("an open string of 1 MB", lambda: 'a = "' + "x" * 1_000_000, code=1)
_large("a line of 1 MB", lambda: "a = [" + "1, " * 300_000 + "1]\n")
_large("a million lines", lambda: "\n" * 1_000_000, code=0)
_large("a name of a million letters", lambda: "a" * 1_000_000 + " = 1\n", code=1)
_large("10^5 errors", lambda: "$ " * 100_000, code=1)
_large("10^5 faults in lines", lambda: "a = = 1\n" * 100_000, code=1)
_large(
    "10^4 unknown names",
    lambda: model(*(f"a{i} = b{i}" for i in range(10_000)), "output y = x"),
    code=1,
)
_large("a long line with a fault", lambda: "a = 1 " + " " * 1_000_000 + "$\n", code=1)
_large("near misses of strings", lambda: 'a = "' + "\\\\" * 200_000 + "\n", code=1)
_large("spaces", lambda: "a" + " " * 1_000_000 + "= $\n", code=1)
_large("closing brackets", lambda: ")" * 100_000, code=1)
_large("opening words", lambda: "model " * 100_000, code=1)

GROUPS = [TEXT, LARGE]
CASES: list[Case] = [case for group in GROUPS for case in group.cases]
