"""Every code that the source can raise is explained, and every explanation is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnspec
from nnspec.codes import explanations
from nnspec.codes.explanation import Explanation
from nnspec.diagnostics import Diagnostics
from tests.errors import book, commands
from tests.syntax import mistakes

FOLDER = Path(nnspec.__file__).parent
_CODE = re.compile(r'"([EW]\d{4})"')
SEMANTIC = [
    each for each in explanations().values() if not each.code.startswith(("E00", "E01"))
]
# Shown by other tests: what needs a large or binary file.
_LARGE = {"E0001", "E0002", "E0008", "E0009", "E0013", "E0015", "E0016"}
# What is said of weights, proofs, costs, clusters and plans.
ELSEWHERE = re.compile(r"[EW]0[689]\d\d|E10\d\d|E0401|E11(?:09|10|12)")


def said(spec: str) -> Diagnostics:
    return book.Case("", "", "", spec, None).found()


def test_every_code_of_the_source_is_explained_and_no_other() -> None:
    used = {
        code
        for path in FOLDER.rglob("*.py")
        if path.parent.name != "codes"
        for code in _CODE.findall(path.read_text())
    }
    assert used == set(explanations())


def test_every_code_has_a_case() -> None:
    shown = {found.code for case in book.all_cases() for found in case.found()}
    told = "".join(said for _, _, said in mistakes.cases())
    shown |= set(re.findall(r"^E\d{4}", told, re.MULTILINE))
    for case in commands.all_cases():
        shown |= set(
            re.findall(r"^(?:error|warning)\[(\w+)\]", case.said, re.MULTILINE)
        )
    rest = set(explanations()) - shown - _LARGE
    assert {code for code in rest if not ELSEWHERE.fullmatch(code)} == set()


@pytest.mark.parametrize("explanation", SEMANTIC, ids=lambda found: found.code)
def test_the_wrong_spec_is_wrong_and_the_right_one_right(
    explanation: Explanation,
) -> None:
    if explanation.wrong:
        assert {found.code for found in said(explanation.wrong)} == {explanation.code}
    kept = {"W0202", "W0203"}
    assert {found.code for found in said(explanation.right)} <= kept
    assert explanation.explanation.endswith(".")
    assert not explanation.title.endswith(".")
