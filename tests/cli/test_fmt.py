from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnspec.cli.main import main

UNTIDY = """\
model Net(width:int=8) { # a comment
input x:[B,3]
  output y=x->Linear( width )->relu }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.nns").write_text(UNTIDY)
    return tmp_path


def test_check_changes_nothing_and_fmt_settles_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "net.nns"
    assert main(["fmt", "--check", "net.nns"]) == 1
    assert capsys.readouterr().out.startswith("would change net.nns\n")
    assert path.read_text() == UNTIDY
    assert main(["fmt", "net.nns", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "changed": ["net.nns"]}
    tidy = path.read_text()
    assert tidy != UNTIDY
    assert "# a comment" in tidy
    assert main(["fmt", "--check", "."]) == 0
    assert path.read_text() == tidy


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b"\r\n"])
def test_marks_and_line_ends_are_made_canonical(folder: Path, prefix: bytes) -> None:
    path = folder / "net.nns"
    assert main(["fmt", "net.nns"]) == 0
    tidy = path.read_bytes()
    path.write_bytes(prefix + tidy)
    assert main(["fmt", "--check", "net.nns"]) == 1
    assert main(["fmt", "net.nns"]) == 0
    assert path.read_bytes() == tidy


@pytest.mark.parametrize("broken", [b"model {", b"\xff\xfe", b"model A {\x00}"])
def test_a_broken_file_is_kept_and_the_others_are_formatted(
    folder: Path, broken: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.nns").write_bytes(broken)
    assert main(["fmt", "."]) == 1
    assert "error[E" in capsys.readouterr().err
    assert (folder / "broken.nns").read_bytes() == broken
    assert (folder / "net.nns").read_text() != UNTIDY


def test_what_cannot_be_read_is_code_3(folder: Path) -> None:
    assert main(["fmt", "no.nns"]) == 3
    (folder / "link.nns").symlink_to("net.nns")
    assert main(["fmt", "link.nns"]) == 3
    assert (folder / "net.nns").read_text() == UNTIDY
