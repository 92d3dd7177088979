"""`nnspec cost`: figures, parts, formats, and what is asked for wrongly."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from nnspec.cli.main import main

ROOT = Path(__file__).parents[2]

TEXT = """
block Block(x: [B, T, D]) { return x + (x -> fc: Linear(4 * D) -> gelu -> out: Linear(D)) }
model Net(depth: int = 3) {
  input x: [B, T, 8]
  require T <= 32
  for _ in range(depth) { x = x -> blocks: Block }
  output y = x -> head: Linear(5)
}
model Small {
  input x: [B, 4]
  output y = x -> Linear(2)
}
"""


@pytest.fixture
def said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("net.nns").write_text(TEXT)

    def run(*arguments: str, code: int = 0) -> str:
        assert main(["cost", *arguments]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return run


BLOCK = 2 * (2 * 8 * 32)
PARAMETERS = 3 * (8 * 32 + 32 + 32 * 8 + 8) + 8 * 5 + 5


def test_json_holds_numbers_and_formulas(said) -> None:
    net, small = json.loads(said("net.nns", "--json"))
    assert net["name"] == "Net"
    assert net["parameters"] == net["trainable"] == PARAMETERS
    assert net["flops"] == f"{3 * BLOCK + 80} * B * T"
    assert net["macs"] == f"{(3 * BLOCK + 80) // 2} * B * T"
    assert net["assumes"]["policy"] == "fp32"
    assert small["parameters"] == 10
    (known,) = json.loads(said("net.nns:Net", "B=2", "T=5", "--json"))
    assert known["flops"] == (3 * BLOCK + 80) * 10
    assert known["sizes"] == {"B": 2, "T": 5}


def test_parts_add_up_and_fold(said) -> None:
    (net,) = json.loads(said("net.nns:Net", "B=2", "T=5", "--json", "--depth", "1"))
    assert [(p["path"], p["count"]) for p in net["parts"]] == [
        ("blocks.0-2", 3),
        ("head", 1),
    ]
    for name in ("parameters", "flops"):
        assert sum(part[name] for part in net["parts"]) == net[name]


def test_the_table_is_for_people(said) -> None:
    text = said("net.nns:Net")
    assert "3 x blocks.0-2" in text
    assert "part, at B=1, T=32" in text
    assert "share of FLOPs" in text
    assert "█" in text
    assert "each shared weight once" in text
    assert "Keras's parameters" not in text  # they are the same here
    assert "blocks.0-2.fc" in said("net.nns:Net", "--depth", "2")
    assert "share of" not in said("net.nns:Net", "--depth", "0")


def test_memory_is_given_by_part(said) -> None:
    names = "saved_bytes,inference_peak,train_peak"
    arguments = ("net.nns:Net", "B=2", "T=8", "--figures", names)
    (net,) = json.loads(said(*arguments, "--depth", "1", "--json"))
    assert list(net["held"]) == ["inference_peak", "train_peak"]
    for name in names.split(","):
        held = net["held"].get(name, {})
        assert sum(held.values()) in (0, net[name])
        rest = sum(held.get(kind, 0) for kind in ("inputs", "loss", "optimizer's step"))
        assert sum(part[name] for part in net["parts"]) + rest == net[name]
    assert "peak of training" in said(*arguments).split("all of it")[1]
    rows = list(csv.DictReader(io.StringIO(said(*arguments, "--csv"))))
    assert int(rows[0]["train_peak"]) == net["train_peak"]


def test_peaks_are_given_by_part_once_sizes_are_known(said) -> None:
    arguments = ("net.nns:Net", "B=2", "--figures", "saved_bytes,train_peak")
    (net,) = json.loads(said(*arguments, "--json"))
    assert "held" not in net
    assert set(net["parts"][0]) >= {"path", "saved_bytes"}
    assert "train_peak" not in net["parts"][0]
    assert "peak of training, at B=2, T=32" in said(*arguments)


def test_csv_has_the_whole_and_the_parts(said) -> None:
    text = said("net.nns:Net", "B=2", "T=5", "--figures", "flops,parameters", "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["path"] for row in rows] == ["", "blocks.0-2", "head"]
    assert int(rows[0]["flops"]) == sum(int(row["flops"]) for row in rows[1:])


def test_csv_has_every_figure_of_the_whole(said) -> None:
    names = "macs,intensity,flops,train_peak"
    text = said("net.nns", "B=2", "--figures", names, "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        # A peak has parts where every size is known, a quotient and a half nowhere.
        is_whole, is_known = row["path"] == "", row["model"] == "Small"
        assert all(row[name] for name in names.split(",")) == is_whole
        assert bool(row["train_peak"]) == (is_whole or is_known)
        assert row["flops"]
    assert {row["model"] for row in rows} == {"Net", "Small"}


def test_a_model_gets_the_constants_that_it_needs(said, tmp_path: Path) -> None:
    path = tmp_path / "wide.nns"
    path.write_text(
        "model Wide(width: int) {\n  input x: [B, 4]\n  output y = x -> Linear(width)\n}\n"
    )
    (net,) = json.loads(said(str(path), "width=3", "--json"))
    assert net["parameters"] == 4 * 3 + 3


def test_intensity_is_a_quotient(said) -> None:
    names = "flops,bytes_read,bytes_written,intensity"
    (net,) = json.loads(said("net.nns:Small", "B=2", "--figures", names, "--json"))
    moved = net["bytes_read"] + net["bytes_written"]
    # x: 2 x 4, the weights: 2 x 4 + 2, the result: 2 x 2, of 4 bytes each
    assert moved == 4 * (8 + 10 + 4)
    assert net["intensity"] == pytest.approx(2 * 2 * 4 * 2 / moved)
    (half,) = json.loads(
        said("net.nns:Small", "B=2", "--figures", names, "--policy", "bf16", "--json")
    )
    assert half["bytes_read"] * 2 == net["bytes_read"]


WRONG: list[tuple[list[str], str]] = [
    (["--figures", "flop"], "E0904"),
    (["--policy", "fp31"], "E0902"),
    (["--optimizer", "adamx"], "E0902"),
    (["B=0"], "E0705"),
    (["B=-3"], "E0705"),
    (["Q=3"], "E0302"),
    (["T=33"], "E0503"),
]


@pytest.mark.parametrize(("arguments", "code"), WRONG)
def test_what_is_wrong_has_a_code(said, arguments: list[str], code: str) -> None:
    assert f"error[{code}]" in said("net.nns:Net", *arguments, code=1)


def test_enormous_models_stay_exact(said) -> None:
    Path("huge.nns").write_text(
        f"model Huge {{\n  input x: [B, {10**15}]\n  output y = x -> Linear({10**15})\n}}\n"
    )
    (huge,) = json.loads(said("huge.nns", "B=1", "--json", "--figures", "all"))
    assert huge["parameters"] == 10**30 + 10**15
    assert huge["flops"] == 2 * 10**30
    assert "1000000000000E" in said("huge.nns", "B=1")


@pytest.mark.slow
def test_every_figure_of_every_spec_can_be_given(said: Any) -> None:
    for path in sorted(ROOT.joinpath("specs").glob("*/*.nns")):
        for model in json.loads(
            said(str(path), "--figures", "all", "--json", "--depth", "2")
        ):
            assert model["parameters"] >= model["trainable"]
