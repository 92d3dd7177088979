"""What `@checkpoint` computes again equals what PyTorch's counter says of the emitted program, as integers.

PyTorch stops computing again as soon as all is there that was kept. So what a block ends in matters: a linear
layer keeps its input before it runs, and a softmax its result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.exactness import remarks
from nnspec.analysis.setting import Setting
from nnspec.analysis.summary import summary
from nnspec.spec import Spec
from tests.ir.models import spec as of_text

ROOT = Path(__file__).parents[2]
SIZES = {"B": 2, "T": 12, "S": 7, "H": 64, "W": 96}

HEAD = """
block Plain(x: [*S, D]) { return x -> Linear(2 * D) -> gelu -> Linear(D) }
block Norm(x: [*S, D]) { return x -> Linear(2 * D) -> relu -> Linear(D) -> LayerNorm }
block Attend(x: [B, T, D], heads: int) {
  q, k, v = x -> LayerNorm -> qkv: Linear(3 * D)
    -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack
  return attention(q, k, v, causal=true) -> rearrange("b h t d -> b t (h d)")
}
block Image(x: [B, C, H, W], width: int) {
  return x -> Conv(width, 3, padding=1) -> GroupNorm(4) -> relu
}
block Two(x: [*S, D], y: [*S, D]) {
  a = x -> one: Linear(D) -> tanh
  b = y -> two: Linear(D)
  return b + a, a
}
"""

MODELS = {
    "ends in a product": "x = x -> a: Plain",
    "ends in a statistic": "x = x -> a: Norm",
    "ends in attention": "x = x -> a: Attend(4)",
    "of calls": "x = x -> a: Outer",
    "first in the model": "x = x -> a: Norm -> b: Norm",
    "used twice": "shared = Norm()\n x = x -> shared -> shared",
    "ends in dropout": "x = x -> a: Dropped",
    "two results": "p, q = Two()(x, x + 1)\n x = p * q",
    "one result": "p, q = Two()(x, x + 1)\n x = q",
    "adds alone": "x = x -> Linear(16) -> a: Adds",
    "of three operands": "x = x -> a: Triple",
    "recurrent": "x = x -> a: Steps",
    "no gradient inside": "@frozen\n@checkpoint\nx = x -> a: Norm\nx = x -> Linear(16)",
    "frozen behind what is trained": "x = x -> Linear(16)\n@frozen\n@checkpoint\nx = x -> a: Plain",
    "a frozen part": "x = x -> a: Half",
}
FURTHER = """
block Dropped(x: [*S, D]) { return x -> Linear(2 * D) -> gelu -> Linear(D) -> Dropout(0.1) }
block Adds(x: [*S, D]) { return x + 1 - x / 2 }
block Triple(x: [B, T, D]) {
  w = x -> Linear(D)
  return einsum("b t d, b s d, b s e -> b t e", x, w, w)
}
block Steps(x: [B, T, D]) { return x -> LSTM(D) -> GRU(D) }
block Half(x: [*S, D]) {
  @frozen
  x = x -> fixed: Linear(D) -> relu
  x = x -> free: Linear(D)
  @frozen
  x = x -> last: Linear(D)
  return x
}
block Outer(x: [B, T, D]) { x = x -> inner: Norm -> Plain
  return x -> last: Attend(4) }
"""


def compared(spec: Spec, **assumed: str) -> tuple[int, int]:
    """The recomputed FLOPs and those of the training step, once both equal what PyTorch counts."""
    from tests.analysis.counted import counted_flops

    sizes = {name: SIZES[name] for name in spec.program.symbols}
    setting = Setting.named(attention="materialised", **assumed)
    analysis = Analysis(spec.program, setting)
    ours: dict[str, Any] = {
        name: int(analysis.figure(name).at(sizes))
        for name in ("flops", "training_flops")
    }
    assert ours == counted_flops(spec, sizes, training=True)
    again = int(analysis.figure("recomputed_flops").at(sizes))
    tree = summary(spec.program, sizes, figures=["recomputed_flops"], analysis=analysis)
    rows = sum(int(child.figures["recomputed_flops"]) for child in tree.children)
    assert rows == again
    return again, ours["training_flops"]


def value(spec: Spec, name: str, sizes: dict[str, int]) -> int:
    """A figure at some sizes."""
    return int(Analysis(spec.program).figure(name).at(sizes))


def model(body: str, marked: str) -> Spec:
    text = HEAD + FURTHER
    for name in marked.split():
        assert f"block {name}(" in text
        text = text.replace(f"block {name}(", f"@checkpoint\nblock {name}(")
    return of_text(f"{text}model M {{ input x: [B, T, 16]\n {body}\n output y = x }}")


@pytest.mark.framework
@pytest.mark.parametrize("name", MODELS)
def test_blocks(name: str) -> None:
    marked = "Plain Norm Attend Dropped Two Adds Triple Steps Half Outer"
    again, _ = compared(model(MODELS[name], marked))
    assert (again == 0) == (name in {"no gradient inside", "adds alone"})


@pytest.mark.framework
@pytest.mark.parametrize(
    "marked", ["Outer", "Norm", "Outer Norm", "Outer Plain Attend"]
)
def test_nested_blocks(marked: str) -> None:
    body = "x = x -> Linear(16) -> a: Outer -> b: Outer"
    again, _ = compared(model(body, marked))
    assert again > 0


@pytest.mark.framework
@pytest.mark.parametrize(
    ("path", "name", "blocks"),
    [
        ("language/gpt2.nns", "GPT2", "Block"),
        ("language/t5.nns", "T5", "EncoderLayer,DecoderLayer,Attention"),
        ("vision/vit.nns", "ViT", "EncoderLayer"),
    ],
)
def test_specs(path: str, name: str, blocks: str) -> None:
    spec = nnspec.load(str(ROOT / "specs" / path), name, depth=2)
    again, training = compared(spec.checkpointed(*blocks.split(",")))
    assert 0 < again < training / 3


def test_a_program_without_checkpoint_repeats_nothing() -> None:
    spec = nnspec.load(str(ROOT / "specs/language/gpt2.nns"), "GPT2Small")
    for name in ("recomputed_flops", "recomputed_elementwise", "recomputed_bytes"):
        assert spec.figure(name) == 0
    assert spec.figure("spared_bytes") == spec.figure("spared_peak") == 0
    assert spec.program.computed_once() is spec.program


def test_what_is_spared() -> None:
    plain = nnspec.load(
        str(ROOT / "specs/language/gpt2.nns"), "GPT2", depth=4, vocab=99
    )
    sizes = {"B": 8, "T": 512}
    spec = plain.checkpointed("Block")
    once = Analysis(spec.program.computed_once())
    assert int(once.figure("saved_bytes").at(sizes)) == value(
        plain, "saved_bytes", sizes
    )
    for spared, figure in (
        ("spared_bytes", "saved_bytes"),
        ("spared_peak", "train_peak"),
    ):
        difference = value(plain, figure, sizes) - value(spec, figure, sizes)
        assert value(spec, spared, sizes) == difference > 0
    for name in ("recomputed_elementwise", "recomputed_bytes"):
        assert value(spec, name, sizes) > 0


def test_formulas_in_constants_know_of_it() -> None:
    spec = nnspec.load(str(ROOT / "specs/language/gpt2.nns"), "GPT2")
    spec = spec.checkpointed("Block")
    closed = spec.closed_forms(
        "recomputed_flops", "training_flops", constants=["depth", "width"]
    )
    for depth, width in ((3, 48), (7, 96)):
        other = nnspec.load(
            str(ROOT / "specs/language/gpt2.nns"), "GPT2", depth=depth, width=width
        ).checkpointed("Block")
        constants = {"depth": depth, "width": width, "B": 2, "T": 12}
        for name in ("recomputed_flops", "training_flops"):
            assert int(closed.at(name, constants).value) == other.figure(
                name, B=2, T=12
            )


def test_a_step_takes_longer_and_its_utilisation_counts_the_model_alone() -> None:
    plain = nnspec.load(str(ROOT / "specs/language/gpt2.nns"), "GPT2", depth=4)
    sizes = {"B": 8, "T": 512}
    once = plain.forecast("a100", "training", None, **sizes)
    again = plain.checkpointed("Block").forecast("a100", "training", None, **sizes)
    assert again.bound.seconds > once.bound.seconds
    assert again.flops == once.flops


POINTWISE = """
block Ends(x: [*S, D]) { return x -> Linear(2 * D, bias=false) -> relu -> Linear(D, bias=false) }
block Made(x: [*S, D]) { return (x * 2) -> Linear(2 * D, bias=false) -> relu -> Linear(D, bias=false) -> tanh }
block Added(x: [*S, D]) {
  return x + (x -> tanh -> Linear(2 * D, bias=false) -> relu -> Linear(D, bias=false))
}
block Nested(x: [*S, D]) { x = x -> Made -> Added
  return x -> relu }
block Scores(x: [B, T, D]) { return einsum("b t d, b s d, b s e -> b t e", x, x, x) }
"""
ONE_AN_ELEMENT = ("relu", "tanh", "add", "mul")


def pointwise_elements(spec: Spec, sizes: dict[str, int]) -> int:
    """The elements that kernels of one operation an element make in a training step."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils._python_dispatch import TorchDispatchMode

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    class Elements(TorchDispatchMode):
        found = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            if func.overloadpacket.__name__ in ONE_AN_ELEMENT:
                self.found += result.numel()
            return result

    with FakeTensorMode():
        net, inputs = measured.built(spec).train(), inputs_of(spec, sizes)
        with Elements() as counter:
            measured.total(net(*inputs)).backward()
    return counter.found


@pytest.mark.framework
@pytest.mark.parametrize(
    "marked", ["Ends", "Made", "Added", "Nested", "Nested Made", "Nested Made Added"]
)
def test_elementwise_operations(marked: str) -> None:
    """What is computed again is what kernels run more than without `@checkpoint`."""
    name, *_ = marked.split()
    body = f"model M {{ input x: [B, T, 16]\n output y = x -> Linear(16) -> {name} -> {name} }}"
    plain = of_text(POINTWISE + body)
    spec = plain.checkpointed(*marked.split())
    again = value(spec, "recomputed_elementwise", SIZES)
    more = pointwise_elements(spec, SIZES) - pointwise_elements(plain, SIZES)
    assert again == more > 0
    assert not stops(spec)


def stops(spec: Spec) -> set[str]:
    """The operators at which it is not known how much of them is computed again."""
    found = remarks(Analysis(spec.program), ("recomputed_elementwise",))
    assert all(each.direction == "at most" for each in found)
    return {operator for each in found for operator in each.operators}


@pytest.mark.parametrize(
    ("name", "operators"), [("Scores", {"einsum"}), ("Ends", set())]
)
def test_operators_that_computing_again_stops_within_are_named(
    name: str, operators: set[str]
) -> None:
    body = f"model M {{ input x: [B, T, 16]\n output y = x -> Linear(16) -> {name} }}"
    assert stops(of_text(POINTWISE + body)) == set()
    assert stops(of_text(POINTWISE + body).checkpointed(name)) == operators
