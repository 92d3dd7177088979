"""Summaries: what is shown, how it folds, and that the columns add up."""

from __future__ import annotations

from pathlib import Path

import pytest

import nnspec
from nnspec.analysis.summary import SummaryTree, summary
from nnspec.cli.main import main
from nnspec.ir.dims import Dim
from tests.ir.models import program

ROOT = Path(__file__).parents[2]

TEXT = """
block Block(x: [B, D], width: int) { return x -> fc: Linear(width) -> relu -> Linear(D) }
model Net(depth: int = 3) {
  input x: [B, 4]
  for _ in range(depth) { x = x -> blocks: Block(8) }
  for i in range(4) { x = x -> wide: Linear(4 + i // 2) -> norms: LayerNorm }
  shared = Linear(5)
  x = shared(shared(x)) -> exp
  output y = x -> last: Block(16)
}
"""

ROWS = [
    ("blocks.0-2", "Block", 3),
    ("wide.0-1", "Linear", 2),
    ("norms.0-1", "LayerNorm", 2),
    ("wide.2", "Linear", 1),  # from 4 to 5, the next from 5 to 5
    ("norms.2", "LayerNorm", 1),
    ("wide.3", "Linear", 1),
    ("norms.3", "LayerNorm", 1),
    ("shared", "Linear", 1),
    ("shared", "Linear (shared)", 1),
    ("last", "Block", 1),
]


def test_turns_that_are_alike_fold():
    tree = summary(program(TEXT), {"B": 2})
    assert [(row.path, row.kind, row.count) for row in tree.children] == ROWS
    blocks = tree.children[0]
    assert [(row.path, row.count) for row in blocks.children] == [
        ("blocks.0-2.fc", 3),
        ("blocks.0-2.linear", 3),
    ]
    assert blocks.parameters == 3 * (4 * 8 + 8 + 8 * 4 + 4)
    assert blocks.output == "[2, 4]"
    again, first = tree.children[8], tree.children[7]
    assert again.parameters == 0
    assert again.flops == first.flops == 2 * 2 * 5 * 5


def test_sizes_that_are_not_given_stay():
    tree = summary(program(TEXT))
    assert tree.output == "[B, 5]"
    assert isinstance(tree.flops, Dim)
    assert tree.flops.symbols() == {"B"}


@pytest.mark.parametrize(
    "path", sorted(ROOT.joinpath("specs").glob("*/*.nns")), ids=lambda path: path.stem
)
def test_columns_add_up_in_every_spec(path):
    for spec in nnspec.load_all(str(path)):
        tree = spec.summary()
        cost = spec.cost()
        assert (tree.parameters, tree.flops) == (cost.parameters, cost.flops)
        check(tree)


def check(tree: SummaryTree) -> None:
    if not tree.children:
        return
    assert sum(row.parameters for row in tree.children) == tree.parameters, tree.path
    assert sum(row.flops for row in tree.children) == tree.flops, tree.path
    for row in tree.children:
        check(row)


RESNET = """\
ResNet50

path                kind         output              parameters   FLOPs
───────────────────────────────────────────────────────────────────────
stem                Conv         [1, 64, 112, 112]        9,408    236M
batch_norm          BatchNorm    [1, 64, 112, 112]          128       0
max_pool            max_pool     [1, 64, 56, 56]              0       0
layers.0.0          Bottleneck   [1, 256, 56, 56]        75,008    462M
layers.0.1-2 (x2)   Bottleneck   [1, 256, 56, 56]       140,800    873M
layers.1.0          Bottleneck   [1, 512, 28, 28]       379,392    745M
layers.1.1-3 (x3)   Bottleneck   [1, 512, 28, 28]       840,192   1.31G
layers.2.0          Bottleneck   [1, 1024, 14, 14]    1,512,448    745M
layers.2.1-5 (x5)   Bottleneck   [1, 1024, 14, 14]    5,585,920   2.18G
layers.3.0          Bottleneck   [1, 2048, 7, 7]      6,039,552    745M
layers.3.1-2 (x2)   Bottleneck   [1, 2048, 7, 7]      8,925,184    873M
head                Linear       [1, 1000]            2,049,000   4.10M
total               ResNet50     [1, 1000]           25,557,032   8.18G
"""


def test_a_summary_reads_well(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert (
        main(["summary", "specs/vision/resnet.nns:ResNet50", "B=1", "--depth", "1"])
        == 0
    )
    assert capsys.readouterr().out == RESNET
