"""Every mistake in grammar/mistakes.txt gives exactly what is written there, and every code is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnspec.syntax
from nnspec.codes import explanations
from nnspec.codes.explanation import Explanation
from nnspec.diagnostics import Diagnostics
from nnspec.source import Source
from nnspec.syntax.parser import parse
from tests.syntax.mistakes import cases, said

CASES = cases()
EXPLAINED = [
    found for found in explanations().values() if found.code.startswith(("E00", "E01"))
]
_CODE = re.compile(r'"(E0[01]\d\d)"')


def codes(text: str) -> list[str]:
    diagnostics = Diagnostics()
    parse(Source("spec.nns", text), diagnostics)
    return [found.code for found in diagnostics]


@pytest.mark.parametrize(
    ("title", "snippet", "expected"), CASES, ids=[c[0] for c in CASES]
)
def test_a_mistake_gives_its_message(title: str, snippet: str, expected: str) -> None:
    assert said(snippet) == expected


def test_there_are_many_mistakes_with_distinct_titles() -> None:
    assert len({title for title, _, _ in CASES}) == len(CASES) >= 80


@pytest.mark.parametrize("explanation", EXPLAINED, ids=lambda found: found.code)
def test_an_explanation_shows_its_fault_and_its_mend(explanation: Explanation) -> None:
    if explanation.wrong:
        assert set(codes(explanation.wrong)) == {explanation.code}
    assert codes(explanation.right) == []
    assert explanation.explanation.endswith(".")


def test_every_code_of_the_syntax_is_explained() -> None:
    folder = Path(nnspec.syntax.__file__).parent
    used = {
        code
        for path in folder.glob("*.py")
        for code in _CODE.findall(path.read_text("utf-8"))
    }
    assert used == {explanation.code for explanation in EXPLAINED}
