"""What is drawn of a program: turns folded, followers merged, values with their types."""

from __future__ import annotations

import pytest

from nnspec.compiler import load
from nnspec.ir.graph import Program
from nnspec.picture.cards import Family
from nnspec.picture.opening import Unknown, opened
from nnspec.picture.outline import Card, Outline
from nnspec.picture.outlining import outline
from tests.picture.pictures import every_model, model
from tests.work import calls

MODELS = every_model()


def drawn(text: str) -> tuple[Outline, tuple[Card, ...]]:
    found = outline(model(text).program)
    return found, found.levels[found.top].cards


def body(lines: str, rest: str = "") -> str:
    return (
        f"{rest}\nmodel M {{\n  input x: [B, 8]\n  x = x\n{lines}\n  output y = x\n}}\n"
    )


def names(cards: tuple[Card, ...]) -> list[str]:
    return [f"{card.count} {card.name}" for card in cards]


def test_a_model_reads_as_it_is_written() -> None:
    found = outline(load("specs/language/gpt2.nns", "GPT2Small").program)
    cards = found.levels[found.top].cards
    assert names(cards) == [
        "1 tokens",
        "1 Embedding",
        "1 arange",
        "1 Embedding",
        "1 +",
        "12 Block",
        "1 LayerNorm",
        "1 wte.weight",
        "1 Linear",
        "1 logits",
    ]
    assert cards[5].label == "blocks.0-11"
    inside = found.levels[str(cards[5].inside)].cards
    qkv = next(card for card in inside if card.label == "qkv")
    assert [row.text for row in qkv.rows] == ["Linear", "rearrange", "unstack"]
    assert [outlet.label for outlet in qkv.outlets] == ["3 x [B, 12, T, 64]"]


SHARED = """
block Layer(x: [B, D], hidden: int) { return x + (x -> fc: Linear(hidden) -> out: Linear(D)) }
block Twice(x: [B, D]) { return x * 2 }
model M {
  input a: [B, 16]
  input b: [B, 16]
  layer = Layer(64)
  embed = Linear(16)
  double = Twice()
  x = (a -> embed -> double) + (b -> embed -> double)
  for _ in range(4) { x = x -> layer -> own: Linear(16) }
  output y = x -> head: Linear(2)
}
"""


def test_weights_that_uses_share_are_said_to_be_shared() -> None:
    found, cards = drawn(SHARED)
    inside = next(card.inside for card in cards if card.family is Family.LOOP)
    every = [*cards, *found.levels[str(inside)].cards]
    shared = {(card.name, card.label): card.shared for card in every}
    assert shared["Linear", "embed"] == 2
    assert shared["Layer", "layer"] == 4
    assert shared["Linear", "own.0-3"] == 0  # each turn has its own
    assert shared["Linear", "head"] == 0
    assert shared["Twice", "double"] == 0  # there are no weights to share
    assert all(card.shared == 0 for card in cards if card.family is Family.LOOP)


@pytest.mark.parametrize("form", ["svg", "dot", "mmd", "html"])
def test_every_form_says_what_is_shared(form: str) -> None:
    drawn_whole = model(SHARED).picture(form)
    assert drawn_whole.count("shared by 2 uses") >= 2
    assert "shared by 4 uses" in drawn_whole
    assert "shared by 4 uses" in model(SHARED).picture(form, depth=2)


def test_sizes_that_are_given_are_put_into_cards() -> None:
    text = body("  x = x -> reshape([B * 2, 4])\n  x = x[: B]")
    found = outline(model(text).program, {"B": 3})
    rows = [row for card in found.levels[found.top].cards for row in card.rows]
    assert "[6, 4]" in {row.detail for row in rows}
    assert any("shape=[6, 4]" in row.full for row in rows)
    assert not any("B" in f"{row.detail} {row.full}" for row in rows)


def test_many_arguments_stand_on_further_lines() -> None:
    text = "model M {\n  input x: [B, T, 8]\n  output y = x -> LSTM(16, layers=2, bidirectional=true)\n}\n"
    _, cards = drawn(text)
    (row,) = cards[1].rows
    assert (row.detail, row.more) == ("16, layers=2,", ("bidirectional=true",))


def test_alike_turns_of_several_cards_are_one_frame() -> None:
    found, cards = drawn(
        body("  for _ in range(5) { x = x + (x -> fc: Linear(8) -> relu) }")
    )
    assert names(cards) == ["1 x", "5 5 turns", "1 y"]
    assert cards[1].family is Family.LOOP
    inside = found.levels[str(cards[1].inside)].cards
    assert names(inside) == ["1 x", "1 Linear", "1 +", "1 "]


def test_a_chain_that_is_repeated_is_one_card() -> None:
    _, cards = drawn(body("  for _ in range(5) { x = x -> fc: Linear(8) -> relu }"))
    assert names(cards) == ["1 x", "5 Linear", "1 y"]
    assert cards[1].label == "fc.0-4"
    assert len(cards[1].nodes) == 10


def test_loops_in_loops() -> None:
    _, cards = drawn(
        body(
            "  for _ in range(3) { for _ in range(4) { x = x -> fc: Linear(8) } }",
        )
    )
    assert names(cards) == ["1 x", "12 Linear", "1 y"]
    assert len(cards[1].nodes) == 12


def test_turns_that_differ_stay_apart() -> None:
    _, cards = drawn(body("  for n in [8, 8, 4, 8, 8, 8] { x = x -> fc: Linear(n) }"))
    assert names(cards) == [
        "1 x",
        "2 Linear",
        "1 Linear",
        "3 Linear",
        "1 y",
    ]


def test_turns_that_read_other_values_stay_apart() -> None:
    first = "  a = x -> one: Linear(8)\n  b = x -> two: Linear(8)\n"
    _, cards = drawn(
        body(f"{first}  for z in [a, b] {{ x = x + (z -> fc: Linear(8)) }}")
    )
    assert [card.name for card in cards].count("+") == 2


def test_a_value_of_every_turn_leaves_the_loop() -> None:
    _, cards = drawn(
        body(
            "  all = []\n"
            "  for _ in range(6) { x = x -> fc: Linear(8)  all = all + [x] }\n"
            "  x = concat(all, dim=1)"
        )
    )
    assert "6 Linear" in names(cards)
    assert "1 concat" in names(cards)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_every_node_is_on_one_card_and_every_wire_has_the_type_of_its_value(
    spec: object,
) -> None:
    program: Program = spec.program  # type: ignore[attr-defined]
    found = outline(program)
    for function in program.functions.values():
        if function.key not in found.levels:
            continue
        on_cards = [
            node
            for level in found.levels.values()
            if level.function == function.key
            for card in level.cards
            if card.family is not Family.LOOP
            for node in card.nodes
        ]
        assert sorted(on_cards) == list(range(len(function.nodes)))
    for level in found.levels.values():
        types = program.functions[level.function].types
        for card in level.cards:
            for outlet in card.outlets:
                assert all(types[value] == outlet.type for value in outlet.values)
        for wire in level.wires:
            assert wire.source < wire.target
            assert wire.outlet < len(level.cards[wire.source].outlets)


def test_sizes_that_are_known_are_put_in() -> None:
    spec = load("specs/language/gpt2.nns", "GPT2Small", B=2, T=16)
    found = outline(spec.program, spec.symbols)
    assert found.levels[found.top].cards[0].outlets[0].label == "i64[2, 16]"


# ---- which blocks are open ----------------------------------------------------------------------------


def test_blocks_open_by_depth_path_loop_or_name() -> None:
    found = outline(load("specs/language/t5.nns", "T5Small").program)
    assert opened(found, 0) == frozenset()
    decoder = ("decoder", 0)
    cross = (*decoder, "cross")
    assert opened(found, 1) >= {("encoder", 0), decoder, ("decoder_bias",)}
    assert cross in opened(found, 2)
    for text in ("decoder.0.cross", "decoder.5.cross", "decoder.cross"):
        assert opened(found, 0, [text]) == {decoder, cross}
    assert opened(found, 0, ["DecoderLayer"]) == {decoder}
    assert len(opened(found, 0, ["Attention"])) == 5


def test_a_block_that_is_not_there() -> None:
    found = outline(load("specs/language/t5.nns", "T5Small").program)
    with pytest.raises(Unknown, match="there is no block `decodr`") as caught:
        opened(found, 0, ["decodr"])
    assert caught.value.hint == "did you mean `decoder`?"


# ---- work ---------------------------------------------------------------------------------------------


def test_work_grows_with_the_turns() -> None:
    assert work(900) < 3.5 * work(300)


def work(turns: int) -> int:
    """How many functions are called to fold a loop."""
    deep = model(
        body(f"  for _ in range({turns}) {{ x = x -> fc: Linear(8) -> relu }}")
    )
    found = outline(deep.program)
    assert names(found.levels[found.top].cards) == ["1 x", f"{turns} Linear", "1 y"]
    return calls(lambda: outline(deep.program))
