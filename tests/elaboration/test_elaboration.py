"""From text to typed program: specialisation, sharing, sizes, claims, requirements, labels."""

from __future__ import annotations

import pytest

from nnspec.analysis.cost import cost
from nnspec.diagnostics import SpecErrors
from nnspec.elaboration.labels import assign_labels
from nnspec.ir.dims import dim, symbol
from nnspec.ir.graph import Branch, Loop, Requirement, walk
from nnspec.ir.rename import Renaming
from nnspec.ir.terms import Term, literal, name
from nnspec.ir.verify import verify_program
from nnspec.source import Source
from nnspec.syntax import ast
from nnspec.syntax.parser import parse
from tests.ir.models import program, spec


def codes(text: str) -> list[str]:
    with pytest.raises(SpecErrors) as found:
        program(text)
    return [each.code for each in found.value.diagnostics if each.code.startswith("E")]


# ---- specialisation and sharing -----------------------------------------------------------------


def test_equal_calls_share_a_function():
    found = program("""
block Body(x: [B, D], width: int) { return x -> Linear(width) -> Linear(D) }
model Net {
  input x: [B, 4]
  for i in range(6) { x = x -> layers: Body(8 if i < 4 else 9) }
  output y = x
}
""")
    assert list(found.functions) == ["Body", "Body#1", "Net"]
    callees = [node.callee for node in found.main.nodes]
    assert callees == ["Body"] * 4 + ["Body#1"] * 2
    assert len({node.path for node in found.main.nodes}) == 6


def test_a_deep_model_has_no_more_functions_than_a_shallow_one():
    text = """
block Body(x: [B, D]) { return x -> Linear(D) }
model Net(depth: int) { input x: [B, 4]  for _ in range(depth) { x = x -> Body }  output y = x }
variant Shallow = Net(2)
"""
    shallow, deep = program(text), program(text, depth="500")
    assert len(shallow.functions) == len(deep.functions) == 2
    assert cost(deep).parameters == 500 * 20


def test_calls_of_one_instance_share_its_weights():
    found = program("""
block Body(x: [B, T, D]) { return x -> Linear(D) }
model Net {
  input x: [B, T, 4]
  input z: [B, S, 4]
  once = Body()
  line = Linear(4)
  output y = once(line(x))
  output w = line(once(z))
}
""")
    paths = [node.path for node in found.main.nodes]
    assert paths == [("line",), ("once",), ("once",), ("line",)]
    assert cost(found).parameters == 2 * 20
    verify_program(found)


def test_a_tied_weight_counts_once():
    found = program("""
model Net {
  input ids: i64[B, T]
  table = Embedding(10, 4)
  output y = ids -> table -> Linear(10, bias=false, weight=table.weight)
}
""")
    assert cost(found).parameters == 40


def test_a_shared_layer_keeps_its_width():
    assert codes("""
model Net {
  input x: [B, 4]
  line = Linear(6)
  output y = line(line(x))
}
""") == ["E0414"]


# ---- twins, terms, structure --------------------------------------------------------------------


def test_fields_know_where_they_came_from():
    found = program("""
model Net(width: int = 8, rate: float = 0.5) {
  input x: [B, 4]
  output y = x -> Linear(2 * width) -> Dropout(rate / 2)
}
""")
    linear, dropout = found.main.nodes
    assert str(linear.op.features) == "16"  # type: ignore[union-attr]
    assert str(linear.op.features.generic) == "2 * width"  # type: ignore[union-attr]
    assert dropout.terms["rate"].key.startswith("arithmetic('/'")


def test_results_of_a_block_are_known_in_the_names_of_its_caller():
    found = program("""
block Wide(x: [B, D], factor: int) { return x -> Linear(factor * D) }
model Net(width: int = 8) {
  input x: [B, 4]
  y = x -> Linear(width) -> Wide(3)
  output z = y -> Linear(2)
}
""")
    last = found.main.nodes[-1]
    (kind,) = found.main.node_types(last)[:1]
    assert str(kind.shape[-1]) == "24"
    assert str(kind.shape[-1].generic) == "3 * width"


def test_renaming_gives_up_where_a_name_is_unknown():
    size = dim(8).named(2 * symbol("inner"))
    function = program("model Net { input x: [B, 4]\n output y = x }").main
    known = Renaming({"inner": dim(4).named(symbol("outer"))}, {}, function)
    assert known.size(size).generic == (2 * symbol("outer"))
    unknown = Renaming({}, {}, function).size(size)
    assert unknown.generic is unknown
    assert Renaming({}, {}, function).size(dim(8)) == 8


def test_what_a_size_hangs_on_is_known_where_the_size_cannot_be_said():
    found = program("""
block Grown(x: [B, C], depth: int, growth: int, rate: float) {
  for _ in range(depth) { x = concat([x, x -> Linear(growth) -> Dropout(rate)], dim=1) }
  return x
}
model Net(width: int = 8, share: float = 0.5, other: int = 3) {
  input x: [B, 4]
  y = x -> Linear(width) -> Grown(2, 2 * other, share)
  output z = y -> Grown(1, 5, share)
}
""")
    calls = [node for node in found.main.nodes if node.callee is not None]
    sizes = [found.main.types[call.outputs[0]].shape[-1] for call in calls]
    assert [int(size) for size in sizes] == [20, 25]
    for size in sizes:
        assert Term("dim", (size.generic,)).mentioned() == {"width", "other"}
    assert sizes[0].generic != sizes[1].generic


def test_terms_substitute_and_list_their_names():
    term = Term("arithmetic", ("*", name("rate"), Term("dim", (symbol("i") + 1,))))
    assert list(term.names()) == ["rate"]
    assert [atom.symbol for atom in term.atoms()] == ["i"]
    replaced = term.replaced(lambda atom: dim(2), {"rate": literal(0.5)})
    assert (
        replaced.key
        == Term("arithmetic", ("*", literal(0.5), Term("dim", (dim(3),)))).key
    )
    assert literal(1).key != literal(True).key != literal(1.0).key


def test_structure_keeps_branches_and_loops():
    found = program("""
model Net(depth: int = 2, wide: bool = true) {
  input x: [B, 4]
  if wide { x = x -> Linear(8) } else { x = x -> Linear(4) }
  for i in range(depth) { x = x -> turns: Linear(8) }
  output y = x
}
""")
    items = list(walk(found.main.structure))
    branch = next(item for item in items if isinstance(item, Branch))
    assert (branch.taken, branch.condition.key) == (True, "name('wide')")
    loop = next(item for item in items if isinstance(item, Loop))
    assert len(loop.iterations) == 2
    assert len(loop.carried["x"]) == 3


def test_sizes_that_a_loop_carries():
    found = program("""
model Net {
  input x: [B, 4]
  y = x
  for i in range(3) { x = x -> grow: Linear(8 * 2^i)  y = y -> keep: Linear(4) }
  output a = x
  output b = y
}
""")
    running = {(each.name, each.axis): each for each in found.main.running.values()}
    assert not running["x", 1].constant
    assert str(running["x", 1].update) == "8 * 2^i"
    assert running["y", 1].constant


# ---- claims and requirements --------------------------------------------------------------------


def test_claims_are_proven_for_all_sizes():
    program("""
model Net {
  input x: [B, T, 4]
  y: [B, 2 * T, 4] = concat([x, x], dim=1)
  z: [2 * B * T, 4] = y -> reshape([B * T * 2, 4])
  output w = z
}
""")


@pytest.mark.parametrize("claim", ["[B, T, 4]", "[B, 2 * T, 5]", "[B, 2 * T + 1, 4]"])
def test_claims_that_do_not_hold_are_errors(claim):
    assert codes(f"""
model Net {{
  input x: [B, T, 4]
  y: {claim} = concat([x, x], dim=1)
  output w = y
}}
""") == ["E0505"]


def test_claims_name_sizes():
    found = program("""
model Net {
  input x: [B, T, 4]
  y: [B, N, _] = concat([x, x], dim=1)
  output z = y -> reshape([B, N * 4])
}
""")
    assert str(found.main.types[2].shape[1]) == "8 * T"


def test_requirements_become_assumptions():
    found = program("""
model Net {
  input x: [B, T, H, 4]
  require T >= 2 and T <= 64, "not so long"
  require H % 4 == 0 and H % 6 == 0
  y: [B, T, H // 12, 48] = x -> reshape([B, T, H // 12, 48])
  output z = y
}
""")
    assert found.assumptions.bounds["T"] == (2, 64)
    assert found.assumptions.multiples["H"] == 12
    messages = [
        item.message for item in found.main.structure if isinstance(item, Requirement)
    ]
    assert "not so long" in messages


def test_what_does_not_divide_is_an_error():
    assert codes("""
model Net {
  input x: [B, T, 4]
  output y = x -> reshape([B, T // 2, 8])
}
""")


def test_a_requirement_on_constants_is_checked_at_once():
    text = """
block Heads(x: [B, D], heads: int) { require D % heads == 0, "must divide"  return x }
model Net(heads: int = 3) { input x: [B, 8]  output y = x -> Heads(heads) }
"""
    assert codes(text) == ["E0503"]
    program(text, heads="4")


def test_symbols_that_are_set_are_checked():
    text = """
model Net { input x: [B, T, 4]  require T <= 8 and T % 2 == 0  output y = relu(x) }
"""
    assert spec(text, T="6").symbols == {"T": 6}
    for wrong in ("9", "7", "0", "1.5"):
        with pytest.raises(SpecErrors):
            spec(text, T=wrong)


def test_small_sizes_become_requirements_of_the_program():
    found = program("""
model Net { input x: [B, 3, H, H]  output y = x -> Conv(4, 5) }
""")
    assert found.requirements == (("H - 4", symbol("H") - 4),)


# ---- labels -------------------------------------------------------------------------------------


def labels(body: str) -> list[str]:
    from nnspec.diagnostics import Diagnostics

    file = parse(Source("net.nns", f"model Net {{\n{body}\n}}"), Diagnostics())
    (model,) = file.declarations
    assert isinstance(model, ast.Model)
    return list(assign_labels(model.body).values())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x = a -> Linear(2) -> Linear(2)", ["linear", "linear_2"]),
        ("x = a -> linear: Linear(2) -> Linear(2)", ["linear", "linear_2"]),
        ("x = a -> RMSNorm -> MBConv(3)", ["rms_norm", "mb_conv"]),
        ("head = Linear(2)", ["head"]),
        ("x = a + (a -> fc: Linear(2) -> relu)", ["fc"]),
        (
            "if c { x = a -> Linear(2) } else { x = a -> Linear(3) }",
            ["linear", "linear_2"],
        ),
        ("for i in r { x = x -> Linear(2) }", ["linear"]),
    ],
)
def test_labels_come_from_what_is_written(body, expected):
    assert labels(body) == expected


def test_a_label_is_given_once():
    assert codes("""
model Net { input x: [B, 4]  output y = x -> a: Linear(2) -> a: Linear(2) }
""") == ["E0207"]


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_constants_may_be_a_long_chain(order: str) -> None:
    lines = [f"c{number + 1} = c{number} + 1" for number in range(2000)]
    lines = ["c0 = 1", *lines]
    text = "\n".join(lines if order == "forwards" else reversed(lines))
    made = program(
        f"{text}\nmodel M {{ input x: [B, 4]\n output y = x -> Linear(c2000) }}"
    )
    assert str(made.main.types[made.main.nodes[-1].outputs[0]]) == "[B, 2001]"


def test_a_long_circle_of_constants_is_told() -> None:
    lines = [f"c{number} = c{(number + 1) % 500} + 1" for number in range(500)]
    text = (
        "\n".join(lines) + "\nmodel M { input x: [B, 4]\n output y = x -> Linear(c7) }"
    )
    with pytest.raises(SpecErrors, match="is defined by itself"):
        program(text)


def test_constants_that_name_each_other_on_ways_not_taken_are_fine() -> None:
    text = "flag = true\na = (3 if flag else b)\nb = a + 1\nmodel M { input x: [B, 4]\n output y = x -> Linear(b) }"
    made = program(text)
    assert str(made.main.types[made.main.nodes[-1].outputs[0]]) == "[B, 4]"
