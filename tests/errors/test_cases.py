"""Every wrong spec in tests/errors/cases is told exactly what is written there."""

from __future__ import annotations

import pytest

from tests.errors import book

FILES = sorted(book.FOLDER.glob("*.md"))
# Said of the command line, which is no place in the file.
PLACELESS = ("E0302", "E0503", "E0704", "E0705")
CASES = book.all_cases()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cases_say_what_is_written(path, accept_errors: bool) -> None:
    if accept_errors:
        book.accept(path)
    cases = book.read(path)
    assert len(cases) == path.read_text().count("\n## ")
    said = {case.title: case.rendered() for case in cases}
    assert said == {case.title: case.said for case in cases}


def test_there_are_many_cases_with_distinct_titles() -> None:
    assert len({case.title for case in CASES}) == len(CASES) >= 90


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_diagnostic_can_be_acted_upon(case: book.Case) -> None:
    for found in case.found():
        assert found.location is not None or found.code in PLACELESS
        assert found.message[0] in "`" or not found.message[0].isupper()
        assert not found.message.endswith(".")
        assert len(found.message) < 200
