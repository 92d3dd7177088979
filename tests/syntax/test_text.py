"""What a text may hold, and how much of it: encodings, odd characters, limits, floods."""

from __future__ import annotations

import pytest

from nnspec.diagnostics import MOST_DIAGNOSTICS, Diagnostics, SpecError
from nnspec.source import Source
from nnspec.syntax import ast
from nnspec.syntax.compare import dump
from nnspec.syntax.parser import parse
from nnspec.syntax.text import LARGEST_FILE, read_text
from tests.work import calls

SPEC = (
    'model M {\n  input x: [B, 3]  # the image\n  y = x -> f("a", 2)\n  output y\n}\n'
)


def check(text: str) -> list[tuple[str, str]]:
    """Code and place of all that is found."""
    diagnostics = Diagnostics()
    source = Source("spec.nns", text)
    parse(source, diagnostics)
    places = [source.position(f.location.span.start) for f in diagnostics if f.location]
    return [
        (f.code, f"{p[0]}:{p[1]}") for f, p in zip(diagnostics, places, strict=True)
    ]


def tree(text: str) -> str:
    diagnostics = Diagnostics()
    file = parse(Source("spec.nns", text), diagnostics)
    assert list(diagnostics) == []
    return dump(file)


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (SPEC.encode("utf-16-le") + b"\xff", None),
        (b"\xff\xfex\x00", 0),
        (b"x = 1 # \xe9t\xe9\n", 8),
        (b"x = 1\xc3", 5),
        (b"x \xc0\x80", 2),
        (b"x \xed\xa0\x80", 2),
    ],
)
def test_what_is_no_utf8_is_refused_with_the_byte(
    data: bytes, offset: int | None
) -> None:
    with pytest.raises(SpecError) as caught:
        read_text(data, "spec.nns")
    assert caught.value.diagnostic.code == "E0001"
    if offset is not None:
        assert f"byte {offset} " in caught.value.diagnostic.message


def test_a_byte_order_mark_may_begin_a_file_and_shifts_no_column() -> None:
    source = read_text(b"\xef\xbb\xbf" + b"x = $1", "spec.nns")
    assert check(source.text) == [("E0007", "1:5")]
    assert check("x = 1\n\ufeffy = 2\n") == [("E0004", "2:1")]


def test_a_large_file_is_refused() -> None:
    with pytest.raises(SpecError, match="bytes"):
        read_text(b"#" * (LARGEST_FILE + 1), "spec.nns")
    assert check("#" * (LARGEST_FILE + 1)) == [("E0002", "1:1")]


@pytest.mark.parametrize("text", ["", "\n", "# only\n", " \t\r\n", "# no end", "x = 1"])
def test_small_files_are_fine(text: str) -> None:
    assert check(text) == []


def test_line_ends_of_every_kind_mean_the_same() -> None:
    expected = tree(SPEC)
    for end in ("\r\n", "\r"):
        assert tree(SPEC.replace("\n", end)) == expected
    assert check("x = 1 # a\r\ny = 2 # b\rz = 3 $\n") == [("E0007", "3:7")]


CONTROLS = [
    "\x00",
    "\x01",
    "\x0b",
    "\x0c",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
]
HIDDEN = [
    "\u202a",
    "\u202e",
    "\u2066",
    "\u2069",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\ud800",
]


@pytest.mark.parametrize(
    "place", ["x{} = 1\n", "x = 1 # a{}b\n", 'x = "a{}b"\n', '"""a{}b"""\n']
)
@pytest.mark.parametrize("character", CONTROLS + HIDDEN)
def test_no_control_or_hidden_character_stands_anywhere(
    place: str, character: str
) -> None:
    diagnostics = Diagnostics()
    parse(Source("spec.nns", place.format(character)), diagnostics)
    first = next(iter(diagnostics))
    assert first.code == ("E0003" if character in CONTROLS else "E0004")
    assert f"U+{ord(character):04X}" in first.message
    assert all(
        character not in found.message + (found.hint or "") for found in diagnostics
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("x\u0430 = 1", "a"),
        ("\uff58 = 1", "x"),
        ("\U0001d41e = 1", "e"),
        ("caf\u00e9 = 1", "e"),
    ],
)
def test_names_are_ascii_and_lookalikes_are_named(text: str, meant: str) -> None:
    diagnostics = Diagnostics()
    parse(Source("spec.nns", text), diagnostics)
    (found,) = diagnostics
    assert found.code == "E0005"
    assert f"looks like `{meant}`" in found.message


def test_digits_of_other_scripts_are_refused() -> None:
    assert check("x = \u0663\n") == [("E0006", "1:5")]
    assert check("x = 1\u0663\n")[0][0] in ("E0006", "E0010")


def test_other_scripts_may_stand_in_strings_and_comments() -> None:
    assert check('x = "\u00e9\u4e2d\U0001f600" # \u0430\n') == []


def test_columns_count_characters() -> None:
    assert check('\tx = "\u4e2d\U0001f600" $\n') == [("E0007", "1:11")]


def test_strings_know_four_escapes() -> None:
    diagnostics = Diagnostics()
    file = parse(Source("spec.nns", r'x = "a\"\\\n\t{x}%s"'), diagnostics)
    constant = file.declarations[0]
    assert isinstance(constant, ast.Constant)
    value = constant.bind.values[0]
    assert isinstance(value, ast.String)
    assert value.value == 'a"\\\n\t{x}%s'
    for escape in (r"\x41", r"\u0041", r"\N{DASH}", r"\101", r"\'", r"\r"):
        assert check(f'x = "a{escape}"\n') == [("E0012", "1:7")]
    assert check('x = "a\\\n"\n')[0] == ("E0011", "1:5")


def test_doc_strings_lose_the_indentation_they_share() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = 'fn f() {\n  """One.\n\n    Two.\n      Three.\n  """\n  return 1\n}\n'
        file = parse(Source("spec.nns", text.replace("\n", end)), Diagnostics())
        declared = file.declarations[0]
        assert isinstance(declared, ast.Fn)
        assert declared.body.doc == "One.\n\nTwo.\n  Three."


FLOODS = {
    "open parentheses": "x = " + "(" * 1_000_000,
    "many open parentheses": "x = " + "(" * 100_000,
    "closing parentheses": ")" * 100_000,
    "declarations without names": "model " * 100_000,
    "signs": "x = " + "-" * 100_000 + "1",
    "negations": "x = " + "not " * 60_000 + "a",
    "powers": "x = " + "2^" * 100_000 + "2",
    "attributes": "x = a" + ".b" * 100_000,
    "calls": "x = f" + "()" * 50_000,
    "subscripts": "x = f" + "[1]" * 50_000,
    "else if": "model M { " + "if a { } else " * 20_000 + " { } }",
    "bodies": "model M {" + "if a {" * 5_000 + "}" * 5_000 + "}",
    "semicolons": ";" * 1_000_000,
    "zeros": "\0" * 1_000_000,
    "quotes": "'" * 1_000_000,
    "open strings": '"\n' * 500_000,
    "an open doc string": '"""' + "a" * 1_900_000,
    "backslashes": '"' + "\\\\" * 900_000,
    "blanks": " " * 1_900_000 + "$",
    "open comments": "/* " * 600_000,
    "a name": "a" * 1_900_000,
    "digits": "x = " + "9" * 1_900_000,
    "open calls": "model M {\n" + " f(\n" * 60_000 + "}",
    "colons": "model M {\n" + "for i in x:\n" * 40_000 + "}",
    "words": "x = " + "a b " * 60_000,
    "too many words": "a " * 1_000_000,
}


@pytest.mark.parametrize("text", FLOODS.values(), ids=FLOODS)
@pytest.mark.slow
def test_a_flood_ends_in_few_diagnostics_after_little_work(text: str) -> None:
    diagnostics = Diagnostics()
    work = calls(lambda: parse(Source("flood.nns", text), diagnostics))
    assert work < 20 * len(text)
    assert 1 <= len(diagnostics.found) <= MOST_DIAGNOSTICS
    assert sum(len(found.message) for found in diagnostics) < 100_000


LONG = {
    "a long sum": "x = " + "1+" * 50_000 + "1",
    "a long list": "x = [" + "1," * 50_000 + "]",
    "a long pipe": "x = a" + "->f" * 40_000,
    "many blocks": "block F(x: [B]) { return x }\n" * 5_000,
    "a long comment": "#" + "a" * 1_900_000,
    "blank lines": "\n" * 1_000_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
@pytest.mark.slow
def test_what_is_long_but_flat_is_read_with_work_in_proportion(text: str) -> None:
    diagnostics = Diagnostics()
    work = calls(lambda: parse(Source("long.nns", text), diagnostics))
    assert diagnostics.found == []
    assert work < 120 * len(text)


def test_names_numbers_and_strings_have_limits() -> None:
    assert check("a" * 100 + " = 1") == []
    assert check("a" * 101 + " = 1") == [("E0008", "1:1")]
    assert check("x = " + "9" * 40) == []
    assert check("x = " + "9" * 41) == [("E0009", "1:5")]
    assert check("x = 1e400") == []
    assert check("x = 1e999999999") == [("E0009", "1:5")]
    assert check('x = "' + "a" * 9_998 + '"') == []
    assert check('x = "' + "a" * 9_999 + '"') == [("E0013", "1:5")]
