"""Programs as text and as flat graphs."""

from __future__ import annotations

import pytest

from nnspec.diagnostics import SpecError
from nnspec.ir import view
from nnspec.ir.show import show_program, show_value
from nnspec.ir.view import flat_view
from tests.ir.models import program

TEXT = """
block Block(x: [B, T, D], width: int, rate: float = 0.1, skip: [B, T, D] = none) {
  y = x -> LayerNorm -> fc: Linear(width) -> gelu -> Dropout(rate) -> Linear(D)
  return x + y
}
model Net(depth: int = 2) {
  input ids: i64[B, T]
  require T <= 16
  table = Embedding(5, 8)
  x = ids -> table
  @device("gpu1")
  for _ in range(depth) { x = x -> blocks: Block(32) }
  output last = x[:, -1]
  @frozen
  h = concat([x, x], dim=-1) -> head: Linear(8)
  output logits = h -> out: Linear(5, bias=false, weight=table.weight)
}
"""

SHOWN = """\
program Net from net.nns, entry Net
  size B: at least 1
  size T: at least 1, at most 16

block Block(width=32, rate=0.1)
  takes x=%0: [B, T, 8], skip=none
  %1: [B, T, 8] = LayerNorm(%0)  # layer_norm
  %2: [B, T, 32] = Linear(features=32)(%1)  # fc
  %3: [B, T, 32] = gelu(%2)
  %4: [B, T, 32] = Dropout(rate=0.1)(%3)  # dropout
  %5: [B, T, 8] = Linear(features=8)(%4)  # linear
  %6: [B, T, 8] = add(%0, %5)
  gives result_0=%6: [B, T, 8]

model Net(depth=2)
  takes ids=%0: i64[B, T]
  %1: [B, T, 8] = Embedding(entries=5, width=8)(%0)  # table
  %2: [B, T, 8] = call Block(%1)  # blocks.0  @device("gpu1")
  %3: [B, T, 8] = call Block(%2)  # blocks.1  @device("gpu1")
  %4: [B, 8] = slicing(items=[:, -1, :])(%3)
  %5: [B, T, 16] = concat(dim=-1)([%3, %3])  @frozen
  %6: [B, T, 8] = Linear(features=8)(%5)  # head  @frozen
  %7: [5, 8] = weight table.weight
  %8: [B, T, 5] = Linear(features=5, bias=false)(%6, %7)  # out
  gives last=%4: [B, 8], logits=%8: [B, T, 5]"""


def test_a_program_reads_well():
    assert show_program(program(TEXT)) == SHOWN


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (0.5, "0.5"),
        ('a"b\\c\nd', '"a\\"b\\\\c\\nd"'),
        ((1, (2, 3)), "[1, [2, 3]]"),
        (tuple(range(20)), f"[{', '.join(map(str, range(16)))}, ...]"),
        ({"h": 8}, "h: 8"),
    ],
)
def test_constants_read_as_in_the_language(value, text):
    assert show_value(value) == text


def test_the_flat_view_spreads_every_call():
    graph = flat_view(program(TEXT))
    kinds = [data["kind"] for _, data in graph.nodes(data=True)]
    assert kinds.count("input") == 1
    assert kinds.count("output") == 2
    assert kinds.count("weight") == 1
    assert kinds.count("operator") == 1 + 2 * 6 + 4
    paths = {
        data["path"]: name for name, data in graph.nodes(data=True) if data["path"]
    }
    assert {"blocks.0.fc", "blocks.1.fc", "head", "out"} <= set(paths)
    data = graph.nodes[paths["blocks.1.fc"]]
    assert data["marks"].device == "gpu1"
    assert str(data["types"][0]) == "[B, T, 32]"
    assert graph.nodes[paths["head"]]["marks"].frozen
    twice = next(
        n
        for n, d in graph.nodes(data=True)
        if d["op"] and d["op"].op_name() == "concat"
    )
    assert graph.in_degree(twice) == 2


def test_the_flat_view_has_no_circles():
    from networkx import is_directed_acyclic_graph

    assert is_directed_acyclic_graph(flat_view(program(TEXT)))


def test_the_flat_view_has_a_limit(monkeypatch):
    monkeypatch.setattr(view, "MOST_NODES", 5)
    with pytest.raises(SpecError, match="spreads out"):
        flat_view(program(TEXT))
