from __future__ import annotations

import json
import re

import pytest

from nnspec.cli.shown.findings import render, render_all
from nnspec.cli.shown.findings_data import as_github, as_json, as_sarif
from nnspec.diagnostics import Diagnostic, Diagnostics, Label, Severity
from nnspec.source import Location, Source, Span

TEXT = "model A {\n\tx = 漢字 -> Conv(64)\n}\n"
SOURCE = Source("net.nns", TEXT)


def at(marked: str, source: Source = SOURCE) -> Location:
    start = source.text.index(marked)
    return Location(source, Span(start, start + len(marked)))


MISMATCH = Diagnostic(
    "E0401",
    "the kernel is larger than its input",
    at("Conv(64)"),
    labels=(
        Label(at("model"), "in this model"),
        Label(at("b", Source("other.nns", "abc")), "made here"),
    ),
    hint="use a smaller kernel",
)

EXPECTED = """\
error[E0401]: the kernel is larger than its input
 --> net.nns:2:12
  |
2 |     x = 漢字 -> Conv(64)
  |                 ^^^^^^^^
  |
1 | model A {
  | ----- in this model
 ::: other.nns:1:2
  |
1 | abc
  |  - made here
  hint: use a smaller kernel
"""


def test_a_finding_shows_place_line_mark_labels_and_hint() -> None:
    assert render(MISMATCH) == EXPECTED


def test_nothing_in_a_finding_steers_the_terminal() -> None:
    source = Source("a\x1b]0;x\x07[/b].nns", "x = \u202e\x1b[2J\n")
    place = Location(source, Span(4, 6))
    label = Label(place, "\x1b[31m")
    shown = render(Diagnostic("E1", "[/foo] \x9b", place, (label,), "\x07"))
    assert shown.replace("\n", "").isprintable()
    assert "[/foo] \\x9b" in shown
    assert "a\\x1b]0;x\\x07[/b].nns:1:5" in shown


def test_a_finding_without_a_place_is_one_line_and_its_hint() -> None:
    assert (
        render(Diagnostic("E1", "why", hint="how")) == "error[E1]: why\n  hint: how\n"
    )


def test_a_place_in_an_empty_file_and_past_the_last_line() -> None:
    empty = Location(Source("e.nns", ""), Span(0, 0))
    assert "1 | \n  | ^" in render(Diagnostic("E1", "empty", empty))
    source = Source("e.nns", "ab\n")
    past = Location(source, Span(3, 3))
    assert "e.nns:2:1" in render(Diagnostic("E1", "past", past))


def test_a_span_over_several_lines_marks_the_first() -> None:
    place = Location(SOURCE, Span(0, len(TEXT)))
    assert "1 | model A {\n  | ^^^^^^^^^\n" in render(Diagnostic("E1", "all", place))


def test_the_closing_line_counts_errors_warnings_and_what_is_left_out() -> None:
    warning = Diagnostic("W1", "hm", severity=Severity.WARNING)
    shown = render_all([MISMATCH, warning, warning], suppressed=7)
    assert shown.endswith("found 1 error and 2 warnings (and 7 more, not shown)\n")


def test_a_million_errors_stay_readable() -> None:
    source = Source("many.nns", "y" * 1_000_000)
    found = Diagnostics()
    for place in range(0, 1_000_000, 10):
        found.add(Diagnostic("E1", "bad", Location(source, Span(place, place + 1))))
    shown = render_all(found, found.suppressed)
    assert len(shown) < 100_000
    assert "and 99900 more, not shown" in shown


def test_json_has_every_field_and_plain_ascii() -> None:
    found = json.loads(json.dumps(as_json([MISMATCH])))
    assert found[0]["code"] == "E0401"
    assert found[0]["severity"] == "error"
    assert found[0]["hint"] == "use a smaller kernel"
    assert found[0]["location"] == {
        "file": "net.nns",
        "line": 2,
        "column": 12,
        "end_line": 2,
        "end_column": 20,
    }
    assert [label["text"] for label in found[0]["labels"]] == [
        "in this model",
        "made here",
    ]


def test_json_of_an_undecodable_file_name_is_valid_utf8() -> None:
    place = Location(Source("a\udcff.nns", "x"), Span(0, 1))
    found = as_json([Diagnostic("E1", "m", place)])
    assert found[0]["location"]["file"] == "a\\udcff.nns"


def test_github_commands_stay_one_line_whatever_the_text_holds() -> None:
    place = Location(Source("a,b:c.nns", "x"), Span(0, 1))
    shown = as_github([Diagnostic("E1", "50%\r\n::error::forged", place)])
    assert shown.count("\n") == 1
    assert shown == (
        "::error file=a%2Cb%3Ac.nns,line=1,col=1,endLine=1,endColumn=2,title=E1"
        "::50%25%0D%0A::error::forged\n"
    )


def test_sarif_has_rules_results_and_related_places() -> None:
    log = as_sarif([MISMATCH], "1.2.3")
    run = log["runs"][0]
    assert log["version"] == "2.1.0"
    assert run["tool"]["driver"]["rules"] == [{"id": "E0401"}]
    result = run["results"][0]
    assert result["level"] == "error"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["startColumn"]) == (2, 12)
    assert len(result["relatedLocations"]) == 2


def test_a_sarif_address_is_percent_encoded() -> None:
    place = Location(Source("a b#ü.nns", "x"), Span(0, 1))
    log = as_sarif([Diagnostic("E1", "m", place)], "1")
    physical = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "a%20b%23%C3%BC.nns"


@pytest.mark.parametrize("role", ["error", "warning"])
def test_colours_surround_the_text_and_change_nothing_else(role: str) -> None:
    from nnspec.cli.render import coloured

    found = Diagnostic("E1", "m", at("Conv"), severity=Severity(role))
    shown = render(found, coloured)
    assert "\x1b[" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == render(found)
