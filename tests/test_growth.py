"""The work of each stage grows no faster than the model: function calls are counted, of models of n, 2n and 4n parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec
from tests.work import calls

pytestmark = pytest.mark.slow

PARTS = 30
OTHERS = {
    "nested": 16,
    "way after way": 8,
    "loops": 10,
    "widening loops": 10,
    "inputs and outputs": 64,
}
"""Fewer where a part is more, and more where it is less."""


def _model(*lines: str, parameters: str = "", block: str = "") -> str:
    body = "\n".join(f"  {line}" for line in ("input x: [B, 16]", *lines))
    return f"{block}\nmodel M{parameters} {{\n{body}\n}}\n"


def _block(*lines: str, parameters: str = "") -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"block R(x: [B, D]{parameters}) {{\n{body}\n}}\n"


def _loop(n: int) -> str:
    return _turns(n, "x = x -> fc: Linear(16) -> relu")


def _turns(n: int, *body: str, before: str = "", block: str = "") -> str:
    """A model with a loop of so many turns."""
    lines = (before, f"for i in range({n}) {{", *body, "}", "output y = x")
    return _model(*lines, block=block)


def _blocks_in_loop(n: int) -> str:
    block = _block("return x + (x -> LayerNorm -> fc: Linear(D))")
    return _turns(n, "x = x -> layers: R", block=block)


def _statements(n: int) -> str:
    names = ["x", *(f"x{i}" for i in range(n))]
    lines = (f"x{i} = {names[i]} -> fc{i}: Linear(16) -> relu" for i in range(n))
    return _model(*lines, f"output y = {names[-1]}")


def _calls(n: int) -> str:
    """Each block is called once."""
    block = _block("return x + (x -> Linear(D))")
    lines = (f"x = x -> r{i}: R" for i in range(n))
    return _model(*lines, "output y = x", block=block)


def _shared_blocks(n: int) -> str:
    """Each block is called twice, and has its weights once."""
    block = _block("return x + (x -> Linear(D))")
    made = (f"r{i} = R()" for i in range(n))
    used = (f"x = x -> r{i} -> r{i}" for i in range(n))
    return _model(*made, *used, "output y = x", block=block)


def _ways(n: int) -> str:
    """Turns go one way or the other."""
    return _model(
        "for i in range(depth) {",
        "  if i % 2 == 0 { x = x -> fc: Linear(16) } else { x = x -> LayerNorm }",
        "}",
        "output y = x",
        parameters=f"(depth: int = {n})",
    )


def _way_after_way(n: int) -> str:
    """A block with branch after branch, which is called both ways."""
    lines = (
        f"if c {{ x = x -> f{i}: Linear(D) }} else {{ x = x -> g{i}: Linear(D) }}"
        for i in range(n)
    )
    block = _block(*lines, "return x", parameters=", c: bool")
    return _model("output y = x -> R(true) -> R(false)", block=block)


def _returns(n: int) -> str:
    block = _block(
        "if i % 2 == 0 { return x -> Linear(D) }",
        "return x -> relu",
        parameters=", i: int",
    )
    return _turns(n, "x = x -> r: R(i)", block=block)


def _nested(n: int) -> str:
    return _turns(n, "for j in range(4) { x = x -> fc: Linear(16) -> relu }")


def _loops(n: int) -> str:
    lines = (f"for _ in range(3) {{ x = x -> f{i}: Linear(16) }}" for i in range(n))
    return _model(*lines, "output y = x")


def _widening_loops(n: int) -> str:
    """Loop after loop makes the same size larger."""
    lines = (
        f"for _ in range(2) {{ x = x -> f{i}: Linear(c)\n c = c + 1 }}"
        for i in range(n)
    )
    return _model("c = 16", *lines, "output y = x")


def _grown(n: int) -> str:
    """A list that a loop grows, gone through backwards."""
    lines = (
        "skips = []",
        f"for _ in range({n}) {{",
        "  x = x -> fc: Linear(16) -> relu",
        "  skips = skips + [x]",
        "}",
        "for s in reversed(skips) { x = x + s }",
        "output y = x",
    )
    return _model(*lines)


def _spread(n: int) -> str:
    """A list that is written anew with one more in each turn."""
    lines = (
        "xs = [x]",
        f"for _ in range({n}) {{",
        "  x = x -> fc: Linear(16)",
        "  xs = [*xs, x]",
        "}",
        "output y = concat(xs, dim=-1)",
    )
    return _model(*lines)


def _comprehension(n: int) -> str:
    lines = (
        f"ys = [x -> fc: Linear(16) for _ in range({n})]",
        "for y in ys { x = x + y }",
        "output z = x",
    )
    return _model(*lines)


def _inputs_and_outputs(n: int) -> str:
    inputs = (f"input x{i}: [B, 16]" for i in range(n))
    steps = (f"y{i} = x{i} -> fc{i}: Linear(16)" for i in range(n))
    outputs = (f"output z{i} = y{i}" for i in range(n))
    return _model(*inputs, *steps, *outputs, "output z = x")


def _constants(n: int) -> str:
    """Constants that are made of each other, and required to be something."""
    lines = (f"a{i + 1} = a{i} + 1\n  require a{i + 1} > d" for i in range(n))
    return _model(
        "a0 = d", *lines, f"output y = x -> Linear(a{n})", parameters="(d: int = 16)"
    )


def _parameters(n: int) -> str:
    """A model that takes a constant for each layer."""
    given = ", ".join(f"p{i}: int = {i + 3}" for i in range(n))
    lines = (f"require p{i} > 2\n  x = x -> Linear(p{i})" for i in range(n))
    return _model(*lines, "output y = x", parameters=f"({given})")


def _widths_of_block(n: int) -> str:
    """A block that takes a constant for each layer."""
    given = "".join(f", p{i}: int = {i + 3}" for i in range(n))
    lines = (f"x = x -> Linear(p{i})" for i in range(n))
    block = _block(*lines, "return x", parameters=given)
    return _model("output y = x -> R", block=block)


def _expression(n: int) -> str:
    sums = " + ".join(f"(x -> l{i}: Linear(16))" for i in range(n))
    return _model(f"output y = {sums}")


def _models(n: int) -> str:
    return "".join(
        f"model M{i} {{\n  input x: [B, 16]\n  output y = x -> Linear({i + 1})\n}}\n"
        for i in range(n)
    )


KINDS: Mapping[str, Callable[[int], str]] = {
    "loop": _loop,
    "blocks in a loop": _blocks_in_loop,
    "statements": _statements,
    "calls": _calls,
    "shared blocks": _shared_blocks,
    "ways": _ways,
    "way after way": _way_after_way,
    "returns": _returns,
    "nested": _nested,
    "loops": _loops,
    "widening loops": _widening_loops,
    "grown": _grown,
    "spread": _spread,
    "comprehension": _comprehension,
    "inputs and outputs": _inputs_and_outputs,
    "constants": _constants,
    "parameters": _parameters,
    "widths of a block": _widths_of_block,
    "expression": _expression,
    "models": _models,
}

STAGES: Mapping[str, Callable[[Spec], object]] = {
    "summary": lambda spec: spec.summary(B=2),
    "peak": lambda spec: spec.figure("train_peak", B=2),
    "torch": lambda spec: spec.source("torch"),
    "keras": lambda spec: spec.source("keras"),
    "picture": lambda spec: spec.picture("svg"),
}

# What goes past many steps is drawn past each of them.
LONG_LINES = ("grown", "spread", "comprehension", "expression", "way after way")
CASES = [
    (kind, stage)
    for kind in KINDS
    for stage in STAGES
    if stage != "picture" or kind not in LONG_LINES
]


def _loaded(kind: str, parts: int) -> list[Spec]:
    return load_source(Source("grown.nns", KINDS[kind](parts)), None, {})


def _check_growth(kind: str, work: Callable[[int], int]) -> None:
    """Twice as many parts more are twice the work more, and four times if it grows as their square.

    Between these lies what grows with the digits of sizes, and what other tests left in caches.
    """
    parts = OTHERS.get(kind, PARTS)
    work(parts)  # what is made once, and imported, is none of it
    one, two, four = (work(count * parts) for count in (1, 2, 4))
    assert four - two <= 2.7 * (two - one)


@pytest.mark.parametrize("kind", KINDS)
def test_work_of_checking_grows_with_the_model(kind: str) -> None:
    _check_growth(kind, lambda parts: calls(lambda: _loaded(kind, parts)))


@pytest.mark.parametrize(("kind", "stage"), CASES)
def test_work_grows_with_the_model(kind: str, stage: str) -> None:
    run = STAGES[stage]

    def work(parts: int) -> int:
        spec = _loaded(kind, parts)[0]
        return calls(lambda: run(spec))

    _check_growth(kind, work)


def test_loops_may_hand_on_a_tensor_one_after_another() -> None:
    """However many they are: what its sizes settle to is found without going as deep."""
    (spec,) = _loaded("loops", 400)
    assert len(spec.program.main.nodes) == 1200
