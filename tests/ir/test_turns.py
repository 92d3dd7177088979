"""Maxima and sums over the turns of a loop against plain loops: folded, substituted, compared, bounded, written and read."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import (
    Dim,
    DimError,
    dim,
    greatest,
    maximum,
    minimum,
    rebuilt,
    series,
    symbol,
    total,
)
from nnspec.ir.dims.numbers import number
from nnspec.ir.json import ProgramError, program_from_json, program_to_json
from nnspec.ops import OPS
from tests.ir.amounts import (
    AMOUNTS,
    MAXIMA,
    POINTS,
    SYMBOLS,
    Tree,
    build,
    evaluate,
)
from tests.ir.models import program

B, DEPTH, NAMED = SYMBOLS["B"], SYMBOLS["depth"], SYMBOLS["i"]
TURN = symbol("i@3")
HALVED = 8 * B * dim(2) ** (DEPTH - TURN) + 4 * B**2 * dim(4) ** TURN


def over(value: Dim, first: Dim | int, stop: Dim | int) -> Dim:
    return greatest(value, "i@3", first, stop)


def made(tree: Tree) -> Dim | None:
    """A random amount; None where it is too large."""
    try:
        return build(tree, SYMBOLS)
    except DimError:
        return None


# ---- what it is ---------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(AMOUNTS, POINTS)
def test_at_numbers_it_is_what_a_loop_finds(tree, values):
    found = made(tree)
    if found is not None:
        expected = evaluate(tree, values)
        assert int(found.at(values)) == expected
        assert number(found, values) == expected


@settings(max_examples=50, deadline=None)
@given(MAXIMA, POINTS, st.sampled_from(sorted(SYMBOLS)))
def test_substituting_in_two_steps_is_substituting_at_once(tree, values, first):
    found = made(tree)
    if found is not None:
        half = found.at({first: values[first]})
        assert first not in half.symbols()
        assert int(half.at(values)) == evaluate(tree, values)


def test_it_is_a_number_once_its_turns_are_known_whatever_comes_before_it():
    value = B // 8 * (61 * dim(4) ** TURN + 900 - 5 * dim(4) ** TURN * TURN)
    known = over(value, 1, DEPTH).at({"depth": 9, "B": 8 * B})
    assert known == B * max(61 * 4**i + 900 - 5 * 4**i * i for i in range(1, 9))


@settings(max_examples=50, deadline=None)
@given(MAXIMA, AMOUNTS, POINTS, st.sampled_from(sorted(SYMBOLS)))
def test_what_takes_the_place_of_a_symbol_is_not_captured(tree, other, values, name):
    """Both speak of turns by the same names, and of a size that is called as turns are shown."""
    found, inner = made(tree), made(other)
    if found is None or inner is None or evaluate(other, values) > 9:
        return
    try:
        whole = found.at({name: inner + 1})
    except DimError:
        return
    inside = {**values, name: evaluate(other, values) + 1}
    assert int(whole.at(values)) == evaluate(tree, inside)


@settings(max_examples=50, deadline=None)
@given(MAXIMA)
def test_names_of_turns_do_not_matter(tree):
    one = made(tree)
    if one is not None:
        other = build(tree, SYMBOLS, (f"other@{place}" for place in count(7)))
        assert one == other
        assert hash(one) == hash(other)
        assert one.key == other.key
        assert one.symbols() <= SYMBOLS.keys()
        again = one.substitute(lambda atom: None)
        assert again == one
        assert again.key == one.key


@settings(max_examples=50, deadline=None)
@given(MAXIMA)
def test_copies_are_equal(tree):
    found = made(tree)
    if found is not None:
        for copied in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
            assert copied == found
            assert [each.bound for each in copied.atoms()] == [
                each.bound for each in found.atoms()
            ]


# ---- what is folded -----------------------------------------------------------------------------


def test_no_turns_are_nothing():
    for first, stop in ((3, 3), (3, 1), (DEPTH, DEPTH), (DEPTH + 1, 1)):
        assert over(HALVED, first, stop) == 0
    assert over(dim(0), 1, DEPTH) == 0


def test_one_turn_is_the_value_there():
    assert over(HALVED, 2, 3) == HALVED.at({"i@3": 2})
    last = DEPTH - 3
    assert over(HALVED, last, DEPTH - 2) == HALVED.at({"i@3": last})


def test_a_few_turns_are_a_maximum():
    assert over(HALVED, 2, 5) == maximum(*(HALVED.at({"i@3": n}) for n in (2, 3, 4)))
    assert over(TURN * (9 - TURN), 0, 10) == 20
    assert number(over(TURN * B, 0, DEPTH), {"B": 2, "depth": 1000}) == 1998


def test_a_value_without_the_turn_needs_one():
    assert over(8 * B, 2, DEPTH + 3) == 8 * B
    found = over(8 * B, 2, DEPTH - 2)
    assert found.symbols() == {"B", "depth"}
    assert [int(found.at({"B": 3, "depth": depth})) for depth in (1, 4, 5, 9)] == [
        0, 0, 24, 24,
    ]  # fmt: skip


def test_symbols_that_are_factors_stand_before_it():
    assert over(6 * B**2 * NAMED * TURN + 4 * B * TURN**2, 1, DEPTH) == 2 * B * over(
        3 * B * NAMED * TURN + 2 * TURN**2, 1, DEPTH
    )


def test_powers_that_always_have_a_value_do_too():
    power = dim(2) ** (DEPTH + NAMED)
    assert over(power * TURN, 1, DEPTH) == power * over(TURN, 1, DEPTH)
    shrinking = dim(2) ** (DEPTH - 1)
    assert over(shrinking * TURN, 1, DEPTH) != shrinking * over(TURN, 1, DEPTH)


def test_the_largest_of_a_maximum_is_a_maximum():
    one, other = B * TURN + 1, NAMED + dim(2) ** TURN
    found = over(B * maximum(one, other), 1, DEPTH)
    assert found == B * maximum(over(one, 1, DEPTH), over(other, 1, DEPTH))


def test_powers_stay_where_no_turns_are():
    found = over(B * dim(2) ** (DEPTH - 3) * TURN, 2, DEPTH - 2)
    assert found.at({"depth": 1}) == 0
    assert number(found, {"depth": 2, "B": 7}) == 0
    assert number(found, {"depth": 5, "B": 7}) == 7 * 4 * 2


def test_turns_are_told_apart():
    assert over(HALVED, 1, DEPTH) != over(HALVED, 2, DEPTH)
    assert over(HALVED, 1, DEPTH) != over(HALVED, 1, DEPTH + 1)
    with pytest.raises(DimError, match="cannot depend"):
        over(HALVED, 1, TURN)


def test_bound_symbols_are_at_least_one_as_others_are():
    found = over(B * TURN + 1, 0, DEPTH)
    (atom,) = (each for each in found.atoms() if each.bound)
    assert atom.arguments[1:] == (1, DEPTH + 1)
    assert str(found) == "max(B * i - B + 1 for i in 1..depth)"


def test_too_many_turns_are_refused():
    with pytest.raises(DimError, match="turns"):
        number(over(HALVED, 1, DEPTH), {"B": 1, "depth": 2**40})
    value = B
    for turn in ("i@1", "i@2", "i@3", "i@4"):
        value = greatest(value + symbol(turn), turn, 1, DEPTH)
    with pytest.raises(DimError, match="in one another"):
        over(value + TURN, 1, DEPTH)


def test_a_power_without_an_integer_is_refused():
    with pytest.raises(DimError, match="not an integer"):
        number(dim(2) ** (B - 3), {"B": 1})


def test_arguments_are_changed_as_a_whole():
    found = over(HALVED, 2, DEPTH)
    (atom,) = (each for each in found.atoms() if each.bound)
    seen: list[Dim] = []

    def change(part: Dim) -> Dim:
        seen.append(part)
        return part.at({"depth": NAMED})

    assert B * 4 * rebuilt(atom, change) == found.at({"depth": NAMED})
    assert len(seen) == 3
    assert not any("~1" in name for part in seen for name in part.symbols())


# ---- sums ---------------------------------------------------------------------------------------


def summed(value: Dim, first: Dim | int, stop: Dim | int) -> Dim:
    return series(value, "i@3", first, stop)


def test_the_sum_of_no_turns_is_nothing():
    for first, stop in ((3, 3), (3, 1), (DEPTH, DEPTH), (DEPTH + 1, 1)):
        assert summed(HALVED - 5, first, stop) == 0


def test_few_turns_are_added_up():
    last = DEPTH - 3
    assert summed(HALVED, last, DEPTH - 1) == total(
        HALVED.at({"i@3": place}) for place in (last, last + 1)
    )
    assert summed(B // TURN, 1, 31) == total(B // place for place in range(1, 31))
    assert summed(minimum(TURN, 7), 1, DEPTH).at({"depth": 400}) == 21 + 393 * 7


def test_terms_are_summed_by_their_factors():
    value = B * (NAMED // 2) * minimum(TURN, B) + 6 * B * TURN // 4 - NAMED * 5
    found = summed(value, 1, DEPTH)
    assert str(found) == (
        "(i // 2) * B * sum(min(B, j) for j in 1..depth - 1)"
        " - 5 * i * max(0, depth - 1) + sum(3 * B * j // 2 for j in 1..depth - 1)"
    )
    for depth in range(1, 6):
        for size in (1, 4):
            sizes = {"B": size, "i": 3, "depth": depth}
            assert int(found.at(sizes)) == sum(
                size * min(turn, size) + 6 * size * turn // 4 - 15
                for turn in range(1, depth)
            )


def test_sums_and_maxima_in_one_another_keep_their_turns():
    inner = series(TURN // symbol("j@4") + B, "j@4", 1, TURN)
    found = greatest(summed(inner, 2, NAMED) + symbol("k@5") * B, "k@5", 1, DEPTH)
    sizes = {"B": 2, "i": 6, "depth": 4}
    assert int(found.at(sizes)) == 6 + sum(
        i // j + 2 for i in range(2, 6) for j in range(1, i)
    )


def test_a_sum_may_be_negative():
    found = summed(TURN // 2 - B, 1, DEPTH)
    assert Assumptions().holds(">=", found, 0) is None
    known = Assumptions().with_upper("B", 3).with_upper("depth", 5)
    assert known.interval(found)[0] <= -3 * 4 + 2
    assert known.holds("<=", found, 8) is True


# ---- as text ------------------------------------------------------------------------------------


def read(text: str) -> str:
    """A text as Python: `max(a for i in 1..n)` is a call with a generator."""
    while found := re.search(r"\.\.", text):
        depth, end = 0, found.end()
        while depth or text[end] != ")":
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        depth, start = 0, found.start()
        while depth or text[start - 1] != "(":
            start -= 1
            depth += {")": 1, "(": -1}.get(text[start], 0)
        value, turn, first = re.fullmatch(
            r"(.*) for (\w+) in (.*)", text[start : found.start()]
        ).groups()  # type: ignore[union-attr]
        turns = f"range({first}, {text[found.end() : end]} + 1)"
        every = f"({value} for {turn} in {turns})"
        is_sum = text[: start - 1].endswith("sum")
        call = every if is_sum else f"({every}, default=0)"
        text = f"{text[: start - 1]}{call}{text[end + 1 :]}"
    return text.replace("^", "**")


@settings(max_examples=50, deadline=None)
@given(AMOUNTS, POINTS)
def test_text_says_the_same(tree, values):
    found = made(tree)
    if found is not None:
        text = str(found)
        names = {"min": min, "max": max, "sum": sum, "range": range, **values}
        assert eval(read(text), names) == evaluate(tree, values), text


def test_text_is_what_a_person_would_write():
    assert str(over(HALVED, 2, DEPTH - 2)) == (
        "4 * B * max(B * 4^i + 2 * 2^(depth - i) for i in 2..depth - 3)"
    )
    inner = greatest(TURN * symbol("j@4") + B, "j@4", 1, TURN)
    assert str(NAMED + 3 * over(inner + TURN, 1, DEPTH)) == (
        "3 * max(max(k * j + B for k in 1..j - 1) + j for j in 1..depth - 1) + i"
    )


# ---- bounds -------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(MAXIMA, POINTS, st.integers(1, 7), st.integers(1, 7))
def test_bounds_hold(tree, values, low, high):
    found = made(tree)
    if found is None:
        return
    known = Assumptions()
    for name in SYMBOLS:
        known = known.with_lower(name, min(low, high)).with_upper(name, max(low, high))
    inside = {n: min(max(v, min(low, high)), max(low, high)) for n, v in values.items()}
    least, most = known.interval(found)
    assert least <= evaluate(tree, inside) <= most


def test_it_is_never_negative_and_bounded_by_its_value():
    found = over(B * TURN + 3, 1, DEPTH)
    known = Assumptions().with_upper("B", 5).with_upper("depth", 9)
    assert known.holds(">=", found, 0) is True
    assert known.holds("<=", found, 5 * 8 + 3) is True
    assert known.holds("<", found, 5 * 8 + 3) is None
    assert Assumptions().holds("<=", found, 43) is None


# ---- as JSON ------------------------------------------------------------------------------------

MODEL = program(
    "model Net { input x: [B, depth, i, 4]  output y = x -> Linear(2) -> relu }"
)


def document(value: Dim):
    return json.loads(
        json.dumps(program_to_json(replace(MODEL, requirements=(("most", value),))))
    )


@settings(max_examples=50, deadline=None)
@given(MAXIMA)
def test_documents_keep_it(tree):
    found = made(tree)
    if found is not None:
        data = document(found)
        read = program_from_json(data, OPS)
        ((_, value),) = read.requirements
        assert value == found
        assert json.loads(json.dumps(program_to_json(read))) == data


def test_documents_name_turns_as_they_like():
    data = document(over(HALVED, 2, DEPTH - 2))
    text = json.dumps(data).replace('"~1"', '"turn"')
    ((_, value),) = program_from_json(json.loads(text), OPS).requirements
    assert value == over(HALVED, 2, DEPTH - 2)


def test_deep_nesting_is_refused():
    data = document(over(HALVED, 2, DEPTH - 2))
    table = data["expressions"]
    (entry,) = (each for each in table if each["kind"] == "greatest")
    value = entry["value"]
    for place in range(5):
        table.append({**entry, "turn": f"turn{place}", "value": value})
        factor = {"atom": len(table) - 1, "power": 1}
        table.append(
            {"kind": "dim", "terms": [{"coefficient": 1, "factors": [factor]}]}
        )
        value = len(table) - 1
    with pytest.raises(ProgramError, match="in one another"):
        program_from_json(data, OPS)


def test_turns_that_depend_on_themselves_are_refused():
    data = document(over(HALVED, 2, DEPTH - 2))
    (entry,) = (each for each in data["expressions"] if each["kind"] == "greatest")
    entry["stop"] = entry["value"]
    with pytest.raises(ProgramError, match="depend on it"):
        program_from_json(data, OPS)


def test_sums_of_maxima_are_sums():
    parts = [over(HALVED, place, DEPTH) for place in (1, 2, 1)]
    assert total(parts) == 2 * parts[0] + parts[1]
