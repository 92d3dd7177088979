"""Random specs, full of loops, conditions and shared layers, are drawn whole, apart and with the right figures."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.compiler import load_source
from nnspec.diagnostics import SpecErrors
from nnspec.ir.dims import ZERO
from nnspec.picture.cards import Family
from nnspec.picture.opening import opened
from nnspec.picture.outlining import outline
from nnspec.picture.panels import Panels
from nnspec.picture.scene import arrange
from nnspec.source import Source
from nnspec.spec import Spec
from tests.picture import dot_grammar
from tests.picture.pictures import scenes
from tests.picture.test_layout import assert_nothing_overlaps
from tests.picture.test_writers import assert_mermaid
from tests.targets.random_specs import random_spec

FIGURES = ("parameters", "flops", "backward_flops", "elementwise", "bytes_read")


def specs(seed: int) -> list[Spec]:
    try:
        source = Source("random.nns", random_spec(seed))
        return load_source(source, ["First", "Second"], {})
    except SpecErrors:
        return []


MODELS = [spec for seed in range(20) for spec in specs(seed)]


def test_there_are_loops_among_them() -> None:
    cards = [
        card
        for spec in MODELS
        for level in outline(spec.program).levels.values()
        for card in level.cards
    ]
    assert len(MODELS) > 14
    assert sum(card.family is Family.LOOP for card in cards) > 10
    assert sum(card.count > 1 for card in cards) > 10


@pytest.mark.parametrize("spec", MODELS)
def test_nothing_is_lost_and_nothing_overlaps(spec: Spec) -> None:
    found = outline(spec.program)
    for function in spec.program.functions.values():
        levels = [x for x in found.levels.values() if x.function == function.key]
        cards = [card for level in levels for card in level.cards]
        drawn = [n for c in cards if c.family is not Family.LOOP for n in c.nodes]
        assert sorted(drawn) == list(range(len(function.nodes) if levels else 0))
    for depth in (0, 2):
        for scene in scenes(arrange(found, opened(found, depth))):
            assert_nothing_overlaps(scene)
    ElementTree.fromstring(spec.picture("svg", depth=2))
    dot_grammar.read(spec.picture("dot", depth=2))
    assert_mermaid(spec.picture("mmd", depth=2))


@pytest.mark.parametrize("spec", MODELS)
def test_parts_add_up(spec: Spec) -> None:
    analysis = Analysis(spec.program)
    panels = Panels(outline(spec.program), analysis, FIGURES).panels()
    for name in FIGURES:
        sums = [sum((f[name] for f in panel.figures), start=ZERO) for panel in panels]
        assert sums[0] == analysis.figure(name)
        for panel in panels:
            for card, inside in enumerate(panel.inside):
                assert inside < 0 or sums[inside] == panel.figures[card][name]
