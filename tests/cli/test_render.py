from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.cli import render

ROOT = Path(__file__).parent.parent.parent
HOSTILE = [
    ["[/foo]", "[bold]x[/bold]", ":smile:"],
    ["\x1b]0;t\x07", "[link=http://a.b]c[/link]", "漢字\u202e"],
]


class Recorder(io.TextIOWrapper):
    """A standard output of a given encoding that may pose as a terminal."""

    def __init__(self, encoding: str, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def shown(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def test_a_table_shows_markup_as_text_and_escapes_control_characters() -> None:
    drawn = render.table(("a", "b", "c"), HOSTILE)
    for text in ("[/foo]", "[bold]x[/bold]", ":smile:", "[link=http://a.b]c[/link]"):
        assert text in drawn
    assert "\\x1b]0;t\\x07" in drawn
    assert "漢字\\u202e" in drawn
    assert drawn.replace("\n", "").isprintable()


def test_a_table_that_no_terminal_bounds_is_as_wide_as_it_needs() -> None:
    drawn = render.table(("a", "b"), [["x" * 300, "1"]], numeric=(1,))
    assert "x" * 300 in drawn


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_encoding_of_the_output_fails(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Recorder(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    render.prepare_streams()
    render.write(render.table(("a", "b", "c"), HOSTILE))
    assert b"[/foo]" in stream.shown()
    assert (b"\xe2" in stream.shown()) == (encoding == "utf-8")


@pytest.mark.parametrize("width", ["1", "7", "80"])
def test_a_narrow_terminal_gets_everything_on_more_lines(
    width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Recorder("utf-8", terminal=True))
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("TERM", "dumb")
    drawn = render.table(("a", "b", "c"), HOSTILE)
    # No line is longer than the longest word of a row and what names the row.
    assert max(map(len, drawn.split("\n"))) <= max(int(width), 13 + 2 + 25)
    for text in ("[/foo]", "[bold]x[/bold]", ":smile:", "[link=http://a.b]c[/link]"):
        assert text in drawn


def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert render.has_colours(Recorder("utf-8", terminal=True))
    assert not render.has_colours(Recorder("utf-8"))
    assert not render.has_colours(None)
    monkeypatch.setenv("TERM", "dumb")
    assert not render.has_colours(Recorder("utf-8", terminal=True))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not render.has_colours(Recorder("utf-8", terminal=True))


def run(arguments: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nnspec", *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, **options)  # type: ignore[call-overload]


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "nnspec", "ops", "Linear"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert done.returncode == 0
    assert done.stderr == b""


def test_a_full_disk_is_an_output_error() -> None:
    command = [sys.executable, "-m", "nnspec", "ops", "Linear"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 3
    assert done.stderr == b"nnspec: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(closed: str) -> None:
    for arguments, code in (("ops Linear", 0), ("ops Nothing", 2), ("--help", 0)):
        line = f'"{sys.executable}" -m nnspec {arguments} {closed}'
        done = subprocess.run(line, shell=True, capture_output=True, timeout=60)
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_hostile_argument_is_shown_escaped(encoding: str) -> None:
    argument = b"\x1b]0;x\x07[/b]\xff\xe6\xbc\xa2"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = run(["ops", os.fsdecode(argument)], env=environment)
    assert done.returncode == 2
    assert b"\\x1b]0;x\\x07[/b]" in done.stderr
    assert b"\x1b" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_real_terminal_gets_a_table() -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "nnspec", "ops", "Linear"]
    done = subprocess.run(command, stdout=follower, stderr=follower, timeout=60)
    os.close(follower)
    shown = os.read(leader, 100_000)
    os.close(leader)
    assert done.returncode == 0
    assert shown.startswith(b"Linear(")


def test_nothing_in_the_current_folder_is_imported(tmp_path: Path) -> None:
    modules = (
        "click",
        "inspect",
        "json",
        "lark",
        "pydantic",
        "rich",
        "torch",
        "typing",
    )
    for name in modules:
        (tmp_path / f"{name}.py").write_text("open('imported', 'w').close()\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for arguments in (["--help"], ["ops", "Linear", "--json"], ["check", "no.nns"]):
        run(arguments, cwd=tmp_path, env=environment)
        assert not (tmp_path / "imported").exists()
    done = run(["ops", "Linear"], cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
