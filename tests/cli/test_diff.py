"""`nnspec diff`: what changed, what did not, and only that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnspec.cli.main import main

TEXT = """
block Layer(x: [B, D], hidden: int, first: bool) {
  y = x -> norm: LayerNorm
  y = (y if first else x) -> fc: Linear(hidden) -> relu -> out: Linear(D)
  return x + (y if first else y -> norm: LayerNorm)
}
"""
PLAIN = """
model Net(depth: int = 3, hidden: int = 16) {
  input x: [B, 8]
  for _ in range(depth) { x = x -> fc1: Linear(hidden) -> relu -> fc2: Linear(8) }
  output y = x -> head: Linear(5)
}
"""


@pytest.fixture
def said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("net.nns").write_text(PLAIN)

    def run(*arguments: str, code: int = 0) -> Any:
        assert main(["diff", *arguments]) == code
        return capsys.readouterr()

    return run


def changes(said: Any, after: str, before: str = PLAIN) -> list[tuple[str, str]]:
    Path("a.nns").write_text(before)
    Path("b.nns").write_text(after)
    found = json.loads(said("a.nns", "b.nns", "--json").out)
    return [(part["change"], part["path"]) for part in found["parts"]]


def test_a_model_does_not_differ_from_itself(said: Any) -> None:
    assert "no difference" in said("net.nns", "net.nns").out
    assert changes(said, PLAIN.replace("\n  ", "\n\n  ")) == []
    said("net.nns", "net.nns", "--check", code=0)


def test_figures_before_and_after(said: Any) -> None:
    found = json.loads(
        said("net.nns", "B=2", "net.nns", "depth=6", "B=2", "--json").out
    )
    layer = 8 * 16 + 16 + 16 * 8 + 8
    assert found["figures"]["parameters"] == {
        "before": 3 * layer + 45,
        "after": 6 * layer + 45,
    }
    assert found["figures"]["flops"]["after"] == 2 * 2 * (6 * 2 * 128 + 40)
    (first, *_) = found["parts"]
    assert (first["change"], first["path"]) == ("changed", "fc1.0-5")
    said("net.nns", "depth=6", "--check", code=1)


def test_what_is_new_what_is_gone_and_what_is_other(said: Any) -> None:
    assert changes(said, PLAIN.replace("-> relu", "-> gelu")) == [
        ("removed", "relu.0-2"),
        ("added", "gelu.0-2"),
        ("changed", "fc2.0-2"),  # reads from another place
    ]
    assert changes(
        said, PLAIN.replace(" -> fc2: Linear(8)", " -> fc2: Linear(8, bias=false)")
    ) == [("changed", "fc2.0-2")]
    assert changes(
        said, PLAIN.replace("output y = x", "output y = x -> last: LayerNorm")
    ) == [
        ("added", "last"),
        ("changed", "head"),  # reads from another place
    ]


def test_a_model_that_is_wired_otherwise_differs_though_its_costs_do_not(
    said: Any,
) -> None:
    before = "model M {\n  input x: [B, 4]\n  input z: [B, 4]\n  a = x -> one: Linear(4)\n  output y = a - (a -> two: Linear(4))\n}\n"
    after = before.replace("a - (a", "a - (z")
    assert changes(said, after.replace("input z", "input z"), before) == [
        ("changed", "two")
    ]
    printed = said("a.nns", "b.nns").out
    # `one` still trains, but the gradient of its result has one product less.
    assert "parameters  " not in printed.split("part")[0]
    assert "training FLOPs" in printed
    assert "from one -> from z" in printed


def test_counts_are_said_once(said: Any) -> None:
    blocks = TEXT + PLAIN.replace(
        "x -> fc1: Linear(hidden) -> relu -> fc2: Linear(8)",
        "x -> layers: Layer(hidden, true)",
    )
    Path("a.nns").write_text(blocks)
    printed = said("a.nns", "depth=5").out
    assert printed.count("x3 -> x5") == 1
    assert "layers.0-4" in printed
    found = json.loads(said("a.nns", "hidden=32", "--json").out)
    paths = {part["path"] for part in found["parts"]}
    assert paths >= {"layers.0-2", "layers.0-2.fc"}
    assert not {path for path in paths if path.endswith(("norm", "out"))}


@pytest.mark.parametrize(
    "arguments", [[], ["net.nns"], ["net.nns", "net.nns", "net.nns"]]
)
def test_wrong_usage(said: Any, arguments: list[str]) -> None:
    assert "nnspec: " in said(*arguments, code=2).err
