"""Sweeps: every point equals what the model itself says, and points that are no models say why."""

from __future__ import annotations

import csv
import io
import json
import random
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.cli.main import main
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.explore.axes import combinations, read_axes
from nnspec.explore.counts import loop_counts
from nnspec.explore.sweep import Point, Task, sweep
from tests.ir.models import program

ROOT = Path(__file__).parents[2]
GPT2 = str(ROOT / "specs/language/gpt2.nns")
RESNET = str(ROOT / "specs/vision/resnet.nns")
FIGURES = ("flops", "parameters", "training_flops", "intensity")


def own(path: str, name: str, values: dict[str, str]) -> dict[str, Any]:
    spec = nnspec.load(path, name, settings=values)
    return {figure: spec.figure(figure) for figure in FIGURES}


CASES = [
    (
        GPT2,
        "GPT2",
        {
            "depth": "1..9",
            "width": "48,96",
            "heads": "4",
            "vocab": "50",
            "T": "5,64",
            "B": "2",
        },
    ),
    (
        RESNET,
        "ResNet",
        {"depths": "[1,1,1,1],[2,1,3,1]", "classes": "10,20", "B": "1,3"},
    ),
    (
        str(ROOT / "specs/language/t5.nns"),
        "T5",
        {"depth": "1..3", "hidden": "64", "B": "1", "S": "7", "T": "9"},
    ),
    (
        str(ROOT / "specs/vision/unet.nns"),
        "UNet",
        {"depth": "1..3", "width": "8", "B": "1", "H": "64", "W": "96"},
    ),
]


@pytest.mark.parametrize(
    ("path", "name", "settings"), CASES, ids=lambda x: str(x)[-20:]
)
def test_every_point_is_what_the_model_says(
    path: str, name: str, settings: dict[str, str]
) -> None:
    axes = read_axes(settings)
    points = sweep(Task(path, name, FIGURES), axes)
    assert [dict(p.values) for p in points] == combinations(axes)
    for point in random.Random(1).sample(points, min(12, len(points))):
        expected = own(path, name, dict(point.values))
        found = dict(zip(FIGURES, point.figures, strict=True))
        assert {n: float(v) for n, v in found.items()} == pytest.approx(expected)
        assert found["flops"] == expected["flops"]


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    axes = read_axes(
        {"width": "4..400..4", "heads": "4", "depth": "2", "T": "8", "B": "1"}
    )
    task = Task(GPT2, "GPT2", ("flops",))
    assert sweep(task, axes, processes=2) == sweep(task, axes)


def faults(points: list[Point]) -> list[bool]:
    return [point.fault is not None for point in points]


def test_points_that_are_no_models_say_why() -> None:
    axes = read_axes({"width": "48,50,60", "heads": "12", "T": "8", "B": "1"})
    points = sweep(Task(GPT2, "GPT2", ("flops",)), axes)
    assert faults(points) == [False, True, False]
    assert "must divide" in (points[1].fault or "") or "does not hold" in (
        points[1].fault or ""
    )


def test_a_bound_of_a_size_may_depend_on_a_constant() -> None:
    axes = read_axes(
        {"context": "16,32", "T": "16,24", "B": "1", "width": "48", "depth": "1"}
    )
    points = sweep(Task(GPT2, "GPT2", ("flops",)), axes)
    assert faults(points) == [False, True, False, False]
    assert points[1].fault == "`T` is at most 16 by a requirement of the model"


def test_open_sizes_and_wrong_names_are_errors() -> None:
    with pytest.raises(SpecError) as found:
        sweep(Task(GPT2, "GPT2", ("flops",)), read_axes({"depth": "1,2", "T": "8"}))
    assert found.value.diagnostic.code == "E0921"
    with pytest.raises(SpecErrors):
        sweep(Task(GPT2, "GPT2", ("flops",)), read_axes({"dept": "1,2", "T": "8"}))


HEAD = "block Layer(x: [B, D], n: int) { return x + (x -> Linear(D)) }\nmodel M(depth: int = 3) {\n  input x: [B, 4]\n"


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("for _ in range(depth) { x = x -> layers: Layer(1) }", {"depth"}),
        ("for i in range(depth) { x = x -> layers: Layer(i) }", set()),
        (
            "for i in range(depth) { if i % 2 == 0 { x = x -> layers: Layer(1) } }",
            set(),
        ),
        (
            "for _ in range(depth) { x = x -> layers: Linear(8) }",
            set(),
        ),  # the first reads 4
        ("for _ in range(depth) { x = concat([x, x], dim=1) }", set()),
        ("for _ in range(depth) { x = x -> layers: Layer(depth) }", set()),
        (
            "for _ in range(depth) { x = x -> layers: Layer(1) }\n  x = x -> Linear(depth)",
            set(),
        ),
        ("for _ in range(depth) { x = x * depth }", set()),
        (
            "require depth > 2\n  for _ in range(depth) { x = x -> layers: Layer(1) }",
            set(),
        ),
        ("for _ in range(depth + 1) { x = x -> layers: Layer(1) }", set()),
        (
            "for _ in range(depth) { for _ in range(depth) { x = x -> layers: Layer(1) } }",
            {"depth"},
        ),
        (
            "n = 0\n  for _ in range(depth) {\n x = x -> layers: Layer(1)\n n = n + 1 }\n  x = x -> Linear(n)",
            set(),
        ),
        (
            "found = []\n  for _ in range(depth) {\n x = x -> layers: Layer(1)\n found = found + [x] }\n"
            "  for y in found { x = x -> more: Layer(1) }",
            set(),
        ),
    ],
)
def test_a_count_is_nothing_else(body: str, counts: set[str]) -> None:
    assert loop_counts(program(f"{HEAD}  {body}\n  output y = x\n}}\n")) == counts


# ---- the command ------------------------------------------------------------------------------------

ARGUMENTS = [
    "sweep",
    f"{GPT2}:GPT2",
    "depth=2..6",
    "width=48,96",
    "heads=12",
    "B=1",
    "T=64",
    "--on",
    "cost.flops,max:cost.parameters",
]


def test_json_and_csv_hold_every_point(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["figures"] == ["flops", "parameters"]
    assert len(found["points"]) == 10
    assert all(point["best"] for point in found["points"])
    assert main([*ARGUMENTS, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["flops"]) for row in rows] == [p["flops"] for p in found["points"]]


def test_columns_hold_what_their_heads_say_whatever_is_given_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {"B": "2", "T": "8", "width": "48,96", "heads": "4", "depth": "1"}
    given = [f"{name}={text}" for name, text in settings.items()]
    assert main(["sweep", f"{GPT2}:GPT2", *given, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0])[:5] == list(settings)
    for row, width in zip(rows, ("48", "96"), strict=True):
        assert {name: row[name] for name in settings} == settings | {"width": width}


def test_one_model_is_no_several(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["depth=1", "width=48,50", "heads=12", "B=1", "T=8"]
    assert main(["sweep", f"{GPT2}:GPT2", *given]) == 0
    said = capsys.readouterr().out
    assert "1 model, 1 that none beats" in said
    assert "1 is no model: " in said


def test_the_table_and_the_plot(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS[:3], "width=48,50", *ARGUMENTS[4:]]) == 0
    said = capsys.readouterr().out
    assert "5 models, 5 that none beats" in said
    assert "5 are no models" in said
    assert said.count("●") >= 4
    assert "heads" not in said.splitlines()[0]  # it does not vary


def test_a_picture_has_every_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "front.svg"
    assert main([*ARGUMENTS, "--svg", str(path)]) == 0
    capsys.readouterr()
    root = ElementTree.fromstring(path.read_text())
    circles = [each for each in root.iter() if each.tag.endswith("circle")]
    assert len(circles) == 10
    titles = [each.text for each in root.iter() if each.tag.endswith("title")]
    assert "depth=2 width=48" in titles
    assert main([*ARGUMENTS, "--svg", str(path)]) == 0  # it is nnspec's own file
    path.write_text("mine")
    assert main([*ARGUMENTS, "--svg", str(path)]) == 3


def test_sizes_and_counts_of_turns_may_be_written_as_expressions(
    tmp_path: Path,
) -> None:
    path = tmp_path / "net.nns"
    path.write_text(
        "model Net(depth: int = 2) {\n  input x: [B, 4]\n"
        "  for _ in range(depth) { x = x -> layers: Linear(4) }\n  output y = x\n}\n"
    )
    axes = read_axes({"depth": "1,2^1,3,2^3", "B": "10^30,2^3,0,1e3"})
    points = sweep(Task(str(path), "Net", ("flops",)), axes)
    found = {tuple(p.values.values()): p.figures or p.fault for p in points}
    assert found["2^3", "10^30"] == (8 * 32 * 10**30,)
    assert found["2^1", "2^3"] == (2 * 32 * 8,)
    assert all("B" in str(found[depth, "1e3"]) for depth in ("1", "2^1", "3", "2^3"))
    assert all("B" in str(found[depth, "0"]) for depth in ("1", "2^1", "3", "2^3"))
