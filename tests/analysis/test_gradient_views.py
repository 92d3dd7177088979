"""What gradients lie in: PyTorch has a weight take the gradient that comes to it, unless it lies otherwise or waits elsewhere.

A gradient that is a view (of what comes to a `concat`, say) keeps all of what it shows.
"""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.exactness import remarks
from nnspec.analysis.memory.measures import gradient_storages
from nnspec.compiler import load
from nnspec.spec import Spec
from tests.analysis.counted import inputs_of
from tests.analysis.measured import built, storages, total, training
from tests.ir.models import spec

pytestmark = pytest.mark.framework

BLOCKS = """
block Added(x: [M, N, D]) {
  p = Param([1, N, D])
  return x + p
}
block Taken(x: [M, N, D]) {
  p = Param([1, N, D])
  return p - x
}
block Token(x: [M, N, D]) {
  p = Param([1, 1, D])
  return broadcast(p, [M, 1, D])
}
block Sum(x: [M, N, D], y: [K, N, D]) { return x + y }
"""
P = "p = Param([1, 4, 8])"
Q = "q = Param([1, 4, 8])"
TOKEN = "t = broadcast(Param([1, 1, 8]), [B, 1, 8])"
BODIES = {
    "a token": f"{TOKEN} y = concat([t, x], dim=1)",
    "a token behind": f"{TOKEN} y = concat([x, t], dim=1)",
    "a token of a block": "y = concat([x -> Token, x], dim=1)",
    "two tokens of blocks": "y = concat([x -> a: Token, x -> b: Token, x], dim=1)",
    "two rows": "t = broadcast(Param([1, 2, 8]), [B, 2, 8]) y = concat([t, x], dim=1)",
    "a stack": f"{TOKEN} y = stack([t, x[:, :1]], dim=1)",
    "a stack of weights": "y = x * sum(stack([Param([8]), Param([8])], dim=0), dim=0)",
    "positions": f"{P} y = (x -> Linear(8)) + p",
    "positions of the input": f"{P} y = x + p",
    "positions that are joined": f"{P} y = concat([x + p, x], dim=1)",
    "positions that are joined, and more": f"{P} y = concat([(x -> Linear(8)) + p, x], dim=1)",
    "two weights": f"{P} {Q} y = (x -> Linear(8)) + p + q",
    "a weight twice": f"{P} y = (x -> Linear(8)) + (p + p)",
    "a difference": f"{P} y = p - (x -> Linear(8))",
    "views of one gradient": "y = (x -> Linear(8)) + unsqueeze(Param([4, 8]), 0) + unsqueeze(Param([4, 8]), 0)",
    "in a block": "h = x -> Linear(8) h = h -> a: Added y = h -> b: Added",
    "in a block that is passed": "h = x -> Linear(8) y = h + (h -> Added)",
    "in a block, beside what waits": "h = x -> Linear(8) y = h + (h -> Taken)",
    "given to a block": f"{P} h = x -> Linear(8) y = (h, p) -> Sum",
    "in turns": f"h = x -> Linear(8) for i in range(3) {{ {P} h = (h + p) -> Linear(8) }} y = h",
    "views in turns": f"h = x for i in range(5) {{ {TOKEN} h = (concat([t, h], dim=1) -> Linear(8))[:, 1:] }} y = h",
    "views in turns that grow": f"h = x for i in range(4) {{ {TOKEN} h = concat([t, h], dim=1) -> Linear(8) }} y = h",
    "views of blocks in turns": "h = x for i in range(5) { h = (concat([h -> Token, h], dim=1) -> Linear(8))[:, 1:] } y = h",
    "a block twice": "shared = Token() y = concat([x -> shared, tanh(x) -> shared, x], dim=1)",
}
BATCHES = (1, 2)


def text_of(body: str) -> str:
    end = "output z = y -> Linear(4) -> tanh"
    lines = body.replace(" y = ", "\n y = ").replace(" h = ", "\n h = ")
    lines = (
        lines.replace(" q = ", "\n q = ")
        .replace("() y", "()\n y")
        .replace(" for ", "\n for ")
    )
    return f"{BLOCKS}\nmodel M {{\n input x: [B, 4, 8]\n {lines}\n {end}\n}}"


def kept_gradients(found: Spec, batch: int) -> int:
    """The bytes of the storages that PyTorch's gradients lie in."""
    with FakeTensorMode():
        model = built(found)
        total(model(*inputs_of(found, {"B": batch}))).backward()
        return sum(storages(each.grad for each in model.parameters()).values())


def agrees(found: Spec, batch: int) -> None:
    """Asserts that gradients lie in what is counted, and at a batch of 1 that a remark says what that is, if need be."""
    sizes = {"B": batch}
    analysis = Analysis(found.program).where(sizes)
    kept = int(gradient_storages(analysis).at(sizes))
    assert kept == kept_gradients(found, batch)
    if batch > 1:
        return
    more = kept - int(analysis.figure("gradient_bytes").at(sizes))
    said = remarks(analysis, ("gradient_bytes",))
    assert [each.direction for each in said] == (
        ["at least" if more > 0 else "at most"] if more else []
    )
    assert all(each.reason.endswith(f"has {kept:,} bytes") for each in said)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_gradients_lie_in_what_is_counted(body: str, batch: int) -> None:
    found = spec(text_of(body))
    agrees(found, batch)
    sizes = {"B": batch}
    analysis = Analysis(found.program).where(sizes)
    with FakeTensorMode():
        measured = training(built(found), inputs_of(found, sizes))
    peaks = ("backward_peak", "train_peak")
    assert [int(analysis.figure(name).at(sizes)) for name in peaks] == [
        measured.backward_peak,
        measured.train_peak,
    ]


@pytest.mark.parametrize("batch", BATCHES)
def test_the_class_token_of_a_vision_transformer(batch: int) -> None:
    small = load(
        "specs/vision/vit.nns", "ViT", size=32, patch=16, width=32, depth=2, heads=4
    )
    agrees(small, batch)


def test_a_remark_says_where_gradients_are_views() -> None:
    analysis = Analysis(spec(text_of(BODIES["a token"])).program)
    (remark,) = remarks(analysis, ("gradient_bytes",))
    assert remark.direction == "at least"
    assert remark.reason.startswith("where B is 1, gradients are views")
    plain = Analysis(spec(text_of(BODIES["positions"])).program)
    assert remarks(plain, ("gradient_bytes",)) == []


def test_what_adam_steps_with_counts_what_views_keep() -> None:
    """The parts of a peak that the optimizer makes come to all of it."""
    from nnspec.analysis.memory.holders import train_parts

    analysis = Analysis(spec(text_of(BODIES["a token"])).program).where({"B": 1})
    parts = train_parts(analysis, {"B": 1})
    assert parts.total() == analysis.figure("train_peak").at({"B": 1})


def test_fake_gradients_lie_as_real_ones() -> None:
    """What the tests above measure without numbers is so with them."""
    found = spec(text_of(BODIES["a token"]))
    model = built(found)
    model(torch.zeros(1, 4, 8)).sum().backward()
    kept = storages(each.grad for each in model.parameters())
    assert sum(kept.values()) == kept_gradients(found, 1)
