from __future__ import annotations

from pathlib import Path

import click
import pytest

from nnspec.cli.arguments import SpecArgument, parse_settings


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("a.nns", "a.nns", None),
        ("a.nns:Net", "a.nns", "Net"),
        ("dir/a.nns:Net_2", "dir/a.nns", "Net_2"),
        ("C:\\a.nns", "C:\\a.nns", None),
        ("C:\\a.nns:Net", "C:\\a.nns", "Net"),
        ("a.nns:2Net", "a.nns:2Net", None),
        ("a:b.nns", "a:b.nns", None),
        (":Net", ":Net", None),
    ],
)
def test_a_spec_is_a_path_and_maybe_a_name(
    text: str, path: str, name: str | None
) -> None:
    assert SpecArgument.parse(text) == SpecArgument(path, name)


def test_a_file_whose_name_looks_like_a_model_wins(tmp_path: Path) -> None:
    odd = tmp_path / "a:Net"
    odd.write_text("")
    assert SpecArgument.parse(str(odd)) == SpecArgument(str(odd))


def test_a_folder_stands_for_its_specs_in_order(tmp_path: Path) -> None:
    for name in ["b.nns", "a.nns", "sub/c.nns", ".hidden/d.nns", "e.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = SpecArgument(str(tmp_path)).files()
    assert found == [str(tmp_path / name) for name in ["a.nns", "b.nns", "sub/c.nns"]]


def test_a_folder_without_specs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SpecArgument(str(tmp_path)).files()


def test_settings_stay_text() -> None:
    given = parse_settings(["depths=[2,2]", "B=8", "mode=a=b", "empty="])
    assert given == {"depths": "[2,2]", "B": "8", "mode": "a=b", "empty": ""}


@pytest.mark.parametrize(
    "given", [["B"], ["=8"], ["2B=8"], ["B=1", "B=2"], ["a b=1"], ["ü=1"], ["--x"]]
)
def test_what_is_no_setting_is_a_usage_error(given: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse_settings(given)
