"""The public benchmark's script, on small graphs in its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import placement


def node(number: int, **other: Any) -> dict[str, Any]:
    return {
        "id": number,
        "cpuLatency": 10.0,
        "fpgaLatency": 1.0,
        "size": 100.0,
        "supportedOnFpga": 1,
        "isBackwardNode": 0,
        "colorClass": number,
    } | other


def chain(count: int, **limits: float) -> dict[str, Any]:
    edges = [
        {"sourceId": number, "destId": number + 1, "cost": 1.0}
        for number in range(count - 1)
    ]
    nodes = [node(number) for number in range(count)]
    machine = {"maxSizePerFPGA": 1000.0, "maxFPGAs": 2, "maxCPUs": 1}
    return {"nodes": nodes, "edges": edges, **machine, **limits}


def rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert placement.main([str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_graph_is_placed_in_a_line_and_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = chain(6)
    graph["edges"] += graph["edges"][:2]
    for each in graph["nodes"]:
        del each["isBackwardNode"]
    (tmp_path / "chain.json").write_text(json.dumps(graph))
    found = rows(tmp_path, capsys)
    assert [(row["objective"], row["contiguous"]) for row in found] == [
        ("throughput", True),
        ("throughput", False),
    ]
    assert [(row["value"], row["bound"]) for row in found] == [(4.0, 4.0)] * 2


def test_forward_and_backward_pass_are_found_by_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = chain(6)
    for number, each in enumerate(graph["nodes"]):
        each |= {"isBackwardNode": number >= 3, "colorClass": min(number, 5 - number)}
    (tmp_path / "train.json").write_text(json.dumps(graph))
    found = rows(tmp_path, capsys)
    assert [(row["objective"], row["contiguous"]) for row in found] == [
        ("train", True),
        ("throughput", True),
        ("train", False),
        ("throughput", False),
    ]
    assert found[0] == found[1] | {"objective": "train"}
    assert all(row["value"] == row["bound"] for row in found)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (chain(3, maxCPUs=0, maxSizePerFPGA=50.0), "E1011: the graph does not fit"),
        (chain(3, maxCPUs=0, maxFPGAs=0), "E1002: `nodes.0.devices`"),
        (chain(3) | {"nodes": [node(0), node(1)]}, "E1007: graph.json is no graph"),
        (chain(2) | {"nodes": [node(0, size=-1), node(1)]}, "E1007: operator `0`"),
    ],
)
@pytest.mark.parametrize("folder", ["throughput", "latency"])
def test_what_cannot_be_placed_gets_a_row_that_says_so(
    graph: dict[str, Any],
    said: str,
    folder: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "graph.json").write_text(json.dumps(graph))
    (tmp_path / "notes.json").write_text('{"source": "a paper"}')
    found = rows(tmp_path, capsys)
    assert len(found) == (1 if folder == "latency" else 2)
    for row in found:
        assert row["value"] is None
        assert row["error"].startswith(said)


def test_memory_may_be_without_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = json.dumps(chain(3, maxSizePerFPGA=float("inf")))
    (tmp_path / "graph.json").write_text(graph)
    assert [row["value"] for row in rows(tmp_path, capsys)] == [3.0, 3.0]


def test_a_broken_file_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text(json.dumps(chain(2)))
    assert placement.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["E1007" in line for line in lines] == [True, True, False, False]
