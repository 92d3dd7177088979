"""Nothing lies on anything else: cards, labels and wires of every spec, and of graphs drawn at random."""

from __future__ import annotations

import sys
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.compiler import load
from nnspec.ir.types import tensor
from nnspec.picture.cards import Family, Row
from nnspec.picture.geometry import STRAIGHT
from nnspec.picture.opening import opened
from nnspec.picture.outline import Card, Level, Outlet, Outline, Wire
from nnspec.picture.outlining import outline
from nnspec.picture.scene import Scene, Stroke, arrange
from nnspec.picture.skeleton import MOST_JOINTS, TooLarge, skeleton
from nnspec.spec import Spec
from tests.picture.pictures import (
    Rectangle,
    card_of,
    every_model,
    labels_of,
    model,
    scenes,
)

MODELS = every_model()
HAIR = 0.5


def assert_nothing_overlaps(scene: Scene) -> None:
    cards = [card_of(figure) for figure in scene.figures]
    labels = [label for figure in scene.figures for label in labels_of(figure)]
    for one, other in combinations([*cards, *labels], 2):
        assert not one.overlaps(other), (one, other)
    for box in (*cards, *labels):
        assert box.left >= -HAIR
        assert box.right <= scene.width + HAIR, box
        assert box.top >= 0
    for stroke in scene.strokes:
        ends = {stroke.wire.source, stroke.wire.target}
        others = [card for place, card in enumerate(cards) if place not in ends]
        for piece in pieces(stroke):
            for box in (*others, *labels):
                assert not piece.overlaps(box), (stroke.wire, piece, box)
    assert_wires_lie_apart(scene)


def pieces(stroke: Stroke) -> list[Rectangle]:
    """The straight pieces of a wire, as thin rectangles."""
    found: list[Rectangle] = []
    for (a, b), (c, d) in zip(stroke.points, stroke.points[1:], strict=False):
        assert abs(a - c) <= STRAIGHT or b == d, "wires run down and across"
        found.append(
            Rectangle(
                min(a, c) - 0.1, min(b, d) - 0.1, max(a, c) + 0.1, max(b, d) + 0.1, ""
            )
        )
    return found


def assert_wires_lie_apart(scene: Scene) -> None:
    """Two values never share a piece of a line, so that each can be followed."""
    across: list[tuple[Rectangle, tuple[int, int]]] = []
    for stroke in scene.strokes:
        value = (stroke.wire.source, stroke.wire.outlet)
        across += [(p, value) for p in pieces(stroke) if p.bottom - p.top < 0.3]
    for (one, value), (other, another) in combinations(across, 2):
        if value != another and abs(one.top - other.top) < 1:
            assert one.right < other.left or other.right < one.left, (one, other)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_nothing_overlaps_in_any_spec(spec: Spec, depth: int) -> None:
    found = outline(spec.program)
    scene = arrange(found, opened(found, depth))
    for each in scenes(scene):
        assert_nothing_overlaps(each)


def graphs() -> st.SearchStrategy[tuple[int, list[tuple[int, int]]]]:
    def wires(cards: int) -> st.SearchStrategy[tuple[int, list[tuple[int, int]]]]:
        pairs = list(combinations(range(cards), 2))
        some = st.lists(st.sampled_from(pairs), unique=True, max_size=2 * cards)
        return st.tuples(st.just(cards), some)

    return st.integers(2, 24).flatmap(wires)


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 3))
def test_nothing_overlaps_in_graphs_at_random(
    graph: tuple[int, list[tuple[int, int]]], variety: int
) -> None:
    cards, pairs = graph
    kinds = (tensor(1), tensor(10**9, 10**9, 10**9))
    drawn: list[Card] = []
    wires: list[Wire] = []
    for place in range(cards):
        targets = [b for a, b in pairs if a == place]
        halves = (targets[: len(targets) // 2], targets[len(targets) // 2 :])
        kept = [half for half in halves if half]
        outlets = tuple(
            Outlet((place * 10 + number,), kinds[(place + number) % 2])
            for number in range(len(kept))
        )
        for number, half in enumerate(kept):
            wires += [Wire(place, number, target) for target in half]
        rows = (Row("Layer" * (1 + place * variety % 5)),) * (1 + place * variety % 4)
        sign = "+" if place * variety % 7 == 3 else ""
        drawn.append(Card(Family.PLAIN, rows, sign=sign, outlets=outlets))
    level = Level("top", "top", tuple(drawn), tuple(wires))
    program = MODELS[0].program
    assert_nothing_overlaps(arrange(Outline(program, "top", {"top": level})))


def test_a_residual_network_has_a_straight_spine() -> None:
    found = outline(load("specs/vision/unet.nns").program)
    scene = arrange(found)
    assert len({figure.x for figure in scene.figures}) == 1
    assert scene.width < 400


def test_the_picture_of_a_large_model_is_of_a_sane_size() -> None:
    for spec in MODELS:
        found = outline(spec.program)
        scene = arrange(found)
        cards = len(found.levels[found.top].cards)
        assert scene.height < 100 * cards
        assert scene.width < 1200


def test_layers_of_joints_are_bounded() -> None:
    cards = 400
    wires = [(a, 0, b) for a, b in combinations(range(cards), 2)]
    assert cards**2 / 2 > MOST_JOINTS
    with pytest.raises(TooLarge, match="pass"):
        skeleton(cards, wires)


def test_work_grows_with_the_cards() -> None:
    assert work(333) < 3.5 * work(111)


def work(layers: int) -> int:
    """How many functions are called to arrange three cards for each layer."""
    lines = "\n".join(
        f"  x = x + (x -> fc{n}: Linear(8) -> two{n}: Linear(8))" for n in range(layers)
    )
    text = f"model M {{\n  input x: [B, 8]\n  x = x\n{lines}\n  output y = x\n}}\n"
    program = model(text).program
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(called)
    try:
        scene = arrange(outline(program))
    finally:
        sys.setprofile(None)
    assert len(scene.figures) == 3 * layers + 2
    return count


def test_branches_stand_on_both_sides_of_the_spine() -> None:
    lines = "\n".join(f"  b{n} = x -> b{n}: Linear(8)" for n in range(5))
    text = (
        f"model M {{\n  input x: [B, 8]\n{lines}\n"
        "  output y = concat([b0, b1, b2, b3, b4], dim=1)\n}\n"
    )
    scene = arrange(outline(model(text).program))
    at = {figure.card.name + figure.card.label: figure.x for figure in scene.figures}
    branches = [at[f"Linearb{n}"] for n in range(5)]
    assert branches == sorted(branches)
    assert at["x"] == at["concat"] == branches[2]
