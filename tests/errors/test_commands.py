"""Every command in tests/errors/commands says exactly what is written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.errors import commands

CASES = commands.all_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.page}: {case.title}")
def test_a_command_says_what_is_written(
    case: commands.Case,
    accept_errors: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNSPEC_DEVICES", str(tmp_path / "devices"))
    code, said = case.run(tmp_path, capsys)
    if accept_errors:
        commands.accept(case, code, said)
        return
    assert (code, said) == (case.code, case.said)


def test_every_case_is_read() -> None:
    pages = sorted(commands.FOLDER.glob("*.md"))
    headings = sum(page.read_text().count("\n## ") for page in pages)
    assert len(CASES) == headings
    assert len({(case.page, case.title) for case in CASES}) == len(CASES)
