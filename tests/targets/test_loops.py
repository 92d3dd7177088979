"""What loops hand on and share, as emitted: lists that they grow, instances from outside, sizes without layers."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.ir.json import program_from_json, program_to_json
from nnspec.ops import OPS
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emit

TARGETS = ("torch", "keras")
GROWN = """
fn below(n: int) -> list[int] {
  places = []
  for i in range(n) { places = places + [i * n + j for j in range(i)] }
  return places
}
model M {
  input x: [B, 25]
  places = []
  for i in range(3) { places = places + [i * 4] }
  output y = take(x, tensor(below(3)), dim=1)
  output z = take(x, tensor(places), dim=1)
}
"""
SHARED = """
model M(n: int = 3, m: int = 2) {
  input x: [B, 5]
  g = Linear(5)
  for _ in range(n) {
    f = LayerNorm()
    for _ in range(m) { x = x + g(f(x)) }
  }
  output y = x -> head: Linear(3)
}
"""
DOUBLED = """
model M(n: int = 3) {
  input x: [B, 5]
  for _ in range(n) { x = concat([x, x], dim=-1) }
  output y = x -> Linear(3)
}
"""
COUNTED = """
model M(n: int = 3, width: int = 5) {
  input x: [B, width]
  passed = []
  turns = 0
  for _ in range(n) {
    x = x -> layers: Linear(width)
    passed = passed + [x]
    turns = turns + 1
  }
  for y in passed { x = x -> again: Linear(width) }
  output y = x -> head: Linear(turns)
}
"""
LONG = """
fn rate(i: int, n: int, base: float) -> float {
  return exp(log(base) * (i + 0.5) / n) * sqrt(1 + (i + 0.5) / n) + 0.25 * log(base + i) / n
}
model M(n: int = 64, base: float = 4.0) {
  input x: [B, n]
  rates = [rate(i, n, base) for i in range(n)]
  for r in rates { x = x * r }
  output y = x * tensor(rates)
}
"""


def spec(text: str, **settings: int) -> Spec:
    given = {name: str(value) for name, value in settings.items()}
    return load_source(Source("loops.nns", text), ["M"], given)[0]


@pytest.mark.parametrize("target", TARGETS)
def test_elements_of_a_list_keep_what_they_were_in_their_turn(target: str) -> None:
    program = emit(spec(GROWN).program, target)
    assert "[3, 6, 7]" in program
    assert "[0, 4, 8]" in program


def test_an_instance_is_made_once_ahead_of_the_loop_that_applies_it() -> None:
    program = emit(spec(SHARED).program, "torch")
    constructor = program.partition("def __init__")[2].partition("def forward")[0]
    assert [line.strip() for line in constructor.rstrip().splitlines()[-6:]] == [
        "self.g = nn.Linear(5, 5, **options)",
        "channels = 5",
        "self.f = nn.ModuleList()",
        "for _ in range(n):",
        "self.f.append(nn.LayerNorm(channels, **options))",
        "self.head = nn.Linear(channels, 3, **options)",
    ]


def test_an_instance_of_a_functional_model_is_made_once() -> None:
    lines = emit(spec(SHARED).program, "keras").splitlines()
    made = [line for line in lines if 'name="g"' in line or 'name=f"f_{i}"' in line]
    assert made == [
        '    g = dense(5, 5, name="g")',
        '        f = layers.LayerNormalization(epsilon=1e-5, name=f"f_{i}")',
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_sizes_are_counted_along_a_loop_without_layers(target: str) -> None:
    assert "channels = 2 * channels" in emit(spec(DOUBLED).program, target)


def test_what_a_loop_counts_along_is_built_in() -> None:
    program = emit(spec(COUNTED).program, "torch")
    assert "width: int = 5" in program
    assert "n: int" not in program


@pytest.mark.parametrize("target", TARGETS)
def test_values_of_too_long_a_description_are_written_as_they_are(target: str) -> None:
    program = emit(spec(LONG).program, target)
    assert program.count("1.0202456021808182") == 2


def test_values_of_too_long_a_description_are_kept_in_json() -> None:
    program = spec(LONG).program
    again = program_from_json(program_to_json(program), OPS)
    assert program_to_json(again) == program_to_json(program)
    assert emit(again, "torch") == emit(program, "torch")


def listed(second: str) -> str:
    """A model of which one loop applies layers of a list, and other statements do, too."""
    return (
        "model M(n: int = 2, m: int = 3) {\n  input x: [B, 8]\n"
        "  pool = [Linear(8) for _ in range(4)]\n"
        f"  for i in range(n) {{ x = pool[i](x) -> relu }}\n  {second}\n  output y = x\n}}\n"
    )


@pytest.mark.parametrize(
    "second",
    [
        "for i in range(m) { x = pool[i](x) -> tanh }",
        "for i in range(n) { x = pool[i](x) -> tanh }",
        "for i in range(m) { x = pool[i % 3](x) -> tanh }",
        "x = pool[1](x)",
        "for i in range(n) { x = matmul(x, pool[i].weight) }",
    ],
)
@pytest.mark.parametrize("target", TARGETS)
def test_layers_that_lie_in_a_list_for_several_loops_are_made_once(
    target: str, second: str
) -> None:
    """How many there are hangs on how often each loop turns: both have their numbers built in."""
    program = emit(spec(listed(second)).program, target)
    assert "range(" not in program
    if target == "torch":
        made = program.count("nn.Linear(8, 8, **options)")
    else:
        made = sum(program.count(f'name="linear_{i}"') for i in range(4))
    assert made == len(list(spec(listed(second)).program.main.instances))


@pytest.mark.parametrize("target", TARGETS)
def test_an_index_that_other_turns_would_share_is_built_in(target: str) -> None:
    text = listed("").replace("pool[i]", "pool[i % 4]")
    assert "range(" not in emit(spec(text).program, target)
    assert "range(n)" in emit(spec(listed("")).program, target)
