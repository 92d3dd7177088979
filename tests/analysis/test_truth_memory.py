"""Figures of memory against what PyTorch does with the emitted program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.setting import Setting
from nnspec.passes.checkpoint import Checkpoint
from nnspec.spec import Spec
from tests.ir.models import program
from tests.ir.models import spec as of_text

ROOT = Path(__file__).parents[2]

# Sizes for each symbol; what a spec does not have is left out, and a multiple is kept.
SIZES = {"B": 3, "T": 24, "S": 17, "H": 64, "W": 96}
# Models of equal layers of which a few are enough.
SHALLOW = {"llama": "Llama"}
FUSED = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH")
SPECS = sorted(ROOT.joinpath("specs").glob("*/*.nns"))


def chosen(spec: Spec) -> dict[str, int]:
    """A size for every symbol."""
    found: dict[str, int] = {}
    for place, symbol in enumerate(spec.program.symbols):
        factor = spec.program.assumptions.multiples.get(symbol, 1)
        size = SIZES.get(symbol, 5 + place)
        found[symbol] = spec.symbols.get(symbol, -(-size // factor) * factor)
    return found


def without_dropout(model: Any) -> None:
    """Sets every rate to zero, as `--dropout off` assumes."""
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0


def compare(
    spec: Spec,
    dropout: str,
    *,
    real: bool = False,
    attention: str = "fused",
    policy: str = "fp32",
) -> None:
    """Saved bytes are equal; peaks are within 2 % in training and 5 % in inference.

    A `real` run has the kernels of oneDNN, and their workspaces.
    """
    import contextlib

    import torch
    from torch._subclasses import FakeTensorMode
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    sizes = chosen(spec)
    setting = Setting.named(dropout=dropout, attention=attention, policy=policy)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    analysis = Analysis(spec.program, setting)
    kernels = ["MATH"] if attention == "materialised" else list(FUSED)
    mode = contextlib.nullcontext() if real else FakeTensorMode()
    with mode, sdpa_kernel([getattr(SDPBackend, each) for each in kernels]):
        model = measured.built(spec, dtype=dtype[policy])
        inputs = [
            each.to(dtype[policy]) if each.is_floating_point() else each
            for each in inputs_of(spec, sizes)
        ]
        if dropout == "off":
            without_dropout(model)
        inference = measured.inference_peak(model, inputs)
        weights = sum(measured.storages(measured.state_of(model)).values())
        training = measured.training(model, inputs)
    ours = {
        name: int(analysis.at(name, sizes).value)
        for name in (
            "weight_bytes",
            "saved_bytes",
            "inference_peak",
            "backward_peak",
            "train_peak",
        )
    }
    assert ours["weight_bytes"] == weights
    assert ours["saved_bytes"] == training.saved
    assert ours["inference_peak"] == pytest.approx(inference, rel=0.05)
    assert ours["backward_peak"] == pytest.approx(training.backward_peak, rel=0.02)
    assert ours["train_peak"] == pytest.approx(training.train_peak, rel=0.02)


@cache
def smallest(path: Path) -> Spec:
    """The model of a file that takes least time."""
    if path.stem in SHALLOW:
        return nnspec.load(str(path), SHALLOW[path.stem], depth=2)
    specs = nnspec.load_all(str(path))
    return min(specs, key=lambda spec: int(spec.cost().parameters))


def cases() -> Iterator[tuple[Path, str]]:
    """Every spec as it is configured, and without dropout where it has some."""
    for path in SPECS:
        if path.parent.name != "sequence":
            yield path, "configured"
            if "drop" in path.read_text().lower():
                yield path, "off"


@pytest.mark.framework
@pytest.mark.parametrize(
    ("path", "dropout"),
    [pytest.param(*case, id=f"{case[0].stem}-{case[1]}") for case in cases()],
)
def test_every_spec(path: Path, dropout: str) -> None:
    compare(smallest(path), dropout)


@pytest.mark.framework
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("vision/resnet.nns", "ResNet50"),
        ("vision/unet.nns", None),
        ("language/gpt2.nns", "GPT2Small"),
    ],
)
def test_large_models(path: str, name: str | None) -> None:
    compare(nnspec.load(str(ROOT / "specs" / path), name), "configured")


@pytest.mark.framework
@pytest.mark.parametrize("name", ["LSTMEncoder", "BiLSTMEncoder", "GRUEncoder"])
def test_recurrent_models(name: str) -> None:
    path = ROOT / "specs/sequence/encoders.nns"
    compare(nnspec.load(str(path), name), "configured", real=True)


@pytest.mark.framework
def test_what_one_direction_leaves_to_the_other(tmp_path: Path) -> None:
    """Its steps stay until both are put together, its product with the inputs until the other one's stands."""
    path = tmp_path / "directions.nns"
    path.write_text(
        "model M { input x: [B, T, 6]\n"
        ' y, _ = x -> GRU(5, layers=2, bidirectional=true, returns="all")\n output z = y }'
    )
    compare(nnspec.load(str(path)), "configured", real=True)


@pytest.mark.framework
@pytest.mark.parametrize("real", [False, True])
def test_the_batch_norm_of_an_input_makes_no_gradient_of_it(real: bool) -> None:
    import contextlib

    from torch._subclasses import FakeTensorMode

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    spec = of_text("model M { input x: [B, 4]\n output y = x -> BatchNorm }")
    with contextlib.nullcontext() if real else FakeTensorMode():
        found = measured.training(measured.built(spec), inputs_of(spec, {"B": 9}))
    analysis = Analysis(spec.program)
    assert analysis.at("backward_peak", {"B": 9}).value == found.backward_peak
    assert analysis.at("train_peak", {"B": 9}).value == found.train_peak


@pytest.mark.framework
@pytest.mark.parametrize("steps", [1, 6])
def test_cells(tmp_path: Path, steps: int) -> None:
    """What a step has on its way: both products, and what is element by element."""
    path = tmp_path / "cells.nns"
    path.write_text(
        "model M(steps: int) { input x: [B, 4]\n"
        " cell = GRUCell(10)  h = zeros([B, 10])\n"
        " for _ in range(steps) { h = cell(x, h) }\n"
        " long = LSTMCell(24)  a = zeros([B, 24])  b = zeros([B, 24])\n"
        " for _ in range(steps) { a, b = long(h, a, b) }\n output y = a * b }"
    )
    compare(nnspec.load(str(path), "M", steps=steps), "configured")


@pytest.mark.framework
@pytest.mark.parametrize("length", [9, 1])
def test_axes_of_one_element(tmp_path: Path, length: int) -> None:
    """They lie in any order, so that less is copied: of heads put into products, of sequences by step."""
    path = tmp_path / "one.nns"
    path.write_text(
        "use std.attention (SelfAttention)\n"
        "block Step(x: [B, T, D]) { return x + (x -> SelfAttention(2, drop=0.1)) }\n"
        "model M { input x: [B, T, 6]\n"
        " for _ in range(3) { x = x -> steps: Step }\n"
        " output y = concat([x, x], dim=1) -> GRU(5, bidirectional=true)\n"
        " output z = broadcast(x[:, :1], [B, T, 6]) -> reshape([B * T, 6]) -> Linear(4) }"
    )
    sizes = {"B": 1, "T": length}
    spec = nnspec.load(str(path), B=1, T=length)
    compare(spec, "configured")
    analysis, open_sizes = Analysis(spec.program), nnspec.load(str(path))
    assert spec.figure("saved_bytes") != analysis.figure("saved_bytes").at(sizes)
    for name in ("saved_bytes", "train_peak"):
        held = analysis.parts(name, sizes).total().at(sizes)
        assert held == spec.figure(name) == open_sizes.figure(name, B=1, T=length)


@pytest.mark.framework
@pytest.mark.parametrize(
    "taken", [":9", "0:9", "-9:", ":99", "-99:", "1 - D:", "-D:", "2:-1", "::2"]
)
def test_slices(taken: str, tmp_path: Path) -> None:
    """One that takes all of an axis from its start makes no view; one that counts from its end does."""
    path = tmp_path / "sliced.nns"
    path.write_text(
        "block Cut(x: [B, T, D]) { return x[:, " + taken.replace("D", "T") + "] }\n"
        "model M { input x: [B, 9, 16]\n"
        " output y = x -> Linear(64) -> gelu -> Cut }"
    )
    compare(nnspec.load(str(path)), "configured")


FROZEN = {
    "a table that is a head, too": """ input t: i64[B, T]
    @frozen
    e = Embedding(40, 12)
    x = t -> e -> Linear(24) -> relu -> Linear(12)
    output y = x -> Linear(40, bias=false, weight=e.weight)""",
    "a kernel that is read": """ input x: [B, 3, 9, 9]
    @frozen
    n = Conv(3, 3, padding=1, bias=false)
    y = x -> Conv(3, 3, padding=1) -> n -> relu -> n
    output z = y * sum(n.weight * n.weight)""",
    "a trained table in a frozen layer": """ input t: i64[B, T]
    e = Embedding(40, 12)
    x = t -> e -> Linear(12)
    @frozen
    x = x -> Linear(40, weight=e.weight)
    output y = x -> Linear(5)""",
    "layers of a loop": """ input x: [B, 30]
    for i in range(4) {
      @frozen
      y = x -> fixed: Linear(30) -> tanh
      x = x + (y -> trained: Linear(30))
    }
    output y = x""",
}


@pytest.mark.framework
@pytest.mark.parametrize("name", FROZEN)
def test_frozen_weights(name: str) -> None:
    """They have no gradient and ask for nothing to be kept, whoever reads them."""
    from tests.analysis.counted import counted_flops
    from tests.ir.models import spec as of_text

    spec = of_text(f"model M {{{FROZEN[name]} }}")
    compare(spec, "configured")
    sizes = chosen(spec)
    products = int(Analysis(spec.program).figure("training_flops").at(sizes))
    assert products == counted_flops(spec, sizes)["training_flops"]


@pytest.mark.framework
@pytest.mark.parametrize("path", ["language/gpt2.nns", "language/t5.nns"])
def test_attention_by_matrix_products(path: str) -> None:
    compare(smallest(ROOT / "specs" / path), "configured", attention="materialised")


ATTENDING = {
    "dropout": "attention(q, k, v, dropout=0.2)",
    "a mask": "attention(q, k, v, mask=unsqueeze(m, 1), causal=true, dropout=0.1)",
    "a trained bias": """attention(q, k, v, dropout=0.1,
      bias=take(Param([2, 31]), clip(arange(T) - unsqueeze(arange(T), 1) + 15, 0, 30), dim=1))""",
    "a mask and nothing dropped": "attention(q, k, v, mask=unsqueeze(m, 1))",
}


@pytest.mark.framework
@pytest.mark.parametrize("attention", ["fused", "materialised"])
@pytest.mark.parametrize("name", ATTENDING)
def test_attention_in_half_precision(name: str, attention: str) -> None:
    """Its products are in float32, and so is what is kept of them; masks are taken as they are."""
    from tests.ir.models import spec as of_text

    spec = of_text(
        f"""model M {{
  input x: [B, T, 16]
  input m: bool[B, T, T]
  q, k, v = x -> Linear(48) -> rearrange("b t (n h d) -> n b h t d", n=3, h=2) -> unstack
  y = {ATTENDING[name]}
  output z = y -> rearrange("b h t d -> b t (h d)") -> Linear(4)
}}"""
    )
    for policy in ("bf16", "fp16"):
        compare(spec, "configured", policy=policy, attention=attention)


@pytest.mark.framework
@pytest.mark.parametrize("path", ["language/transformer_block.nns", "language/t5.nns"])
def test_saved_activations_in_bfloat16(path: str) -> None:
    import torch
    from torch._subclasses import FakeTensorMode

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    spec = smallest(ROOT / "specs" / path)
    sizes = chosen(spec)
    analysis = Analysis(spec.program, Setting.named(policy="bf16"))
    with FakeTensorMode():
        model = measured.built(spec, dtype=torch.bfloat16)
        inputs = [
            each.to(torch.bfloat16) if each.is_floating_point() else each
            for each in inputs_of(spec, sizes)
        ]
        outside = [*measured.state_of(model), *inputs]
        saved, _ = measured.saved_bytes(lambda: model(*inputs), outside)
    assert int(analysis.figure("saved_bytes").at(sizes)) == saved


CHECKPOINTED = """
@checkpoint
block Block(x: [B, T, D], heads: int) {
  q, k, v = x -> LayerNorm -> qkv: Linear(3 * D)
    -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack
  x = x + (attention(q, k, v, causal=true) -> rearrange("b h t d -> b t (h d)") -> Linear(D))
  return x + (x -> LayerNorm -> Linear(4 * D) -> gelu -> Dropout(0.1) -> Linear(D))
}
block Layer(x: [B, C, H, W], width: int) {
  return x -> Conv(width, 3, padding=1) -> GroupNorm(4) -> relu
}
model Sequence(depth: int = 4) {
  input x: [B, T, 32]
  for _ in range(depth) { x = x -> blocks: Block(4) }
  output y = x -> Linear(7)
}
model Image {
  input x: [B, 3, 32, 32]
  @checkpoint
  x = x -> a: Layer(16)
  x = x -> b: Layer(16)
  @checkpoint
  x = x -> c: Layer(32)
  output y = x -> mean(dim=[2, 3])
}
"""


@pytest.mark.framework
@pytest.mark.parametrize("name", ["Sequence", "Image"])
def test_checkpointed_blocks(name: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpointed.nns"
    path.write_text(CHECKPOINTED)
    spec = nnspec.load(str(path), name)
    assert "use_reentrant=False" in spec.source("torch")
    compare(spec, "configured")
    compare(spec, "off")


def test_statistics_are_not_updated_twice(tmp_path: Path) -> None:
    path = tmp_path / "statistics.nns"
    path.write_text(CHECKPOINTED.replace("GroupNorm(4)", "BatchNorm"))
    spec = nnspec.load(str(path), "Image")
    assert "use_reentrant" not in spec.source("torch")
    (warning,) = spec.compile_warnings("torch")
    assert warning.hint is not None
    assert "statistics" in warning.hint
    plain = Analysis(spec.program).figure("saved_bytes")
    path.write_text(
        CHECKPOINTED.replace("GroupNorm(4)", "BatchNorm").replace("@checkpoint\n", "")
    )
    assert (
        Analysis(nnspec.load(str(path), "Image").program).figure("saved_bytes") == plain
    )


def test_checkpointing_by_block_changes_the_program(tmp_path: Path) -> None:
    path = tmp_path / "plain.nns"
    path.write_text(CHECKPOINTED.replace("@checkpoint\n", ""))
    spec = nnspec.load(str(path), "Sequence")
    changed = Checkpoint(blocks=("Block",)).run(spec.program)
    assert Checkpoint().run(changed) is changed
    assert "recomputed(block, x" not in spec.source("torch")
    assert "recomputed(block, x" in replace(spec, program=changed).source("torch")
    sizes = {"B": 8, "T": 128}
    for name in ("saved_bytes", "train_peak"):
        before = int(Analysis(spec.program).figure(name).at(sizes))
        assert int(Analysis(changed).figure(name).at(sizes)) < before


TEXT = """
block Block(x: [{B}, {T}, D], heads: int) {{
  q, k, v = x -> LayerNorm -> qkv: Linear(3 * D)
    -> rearrange("b t (n h d) -> n b h t d", n=3, h=heads) -> unstack
  x = x + (attention(q, k, v, causal=true) -> rearrange("b h t d -> b t (h d)") -> Linear(D))
  return x + (x -> LayerNorm -> Linear(4 * D) -> gelu -> Dropout(0.1) -> Linear(D))
}}
model Net(depth: int = 3) {{
  input x: [{B}, {T}, 32]
  for _ in range(depth) {{ x = x -> blocks: Block(4) }}
  output y = x -> Linear(7)
}}
"""


def analysed(**sizes: int | str) -> Analysis:
    """Of a model that has these sizes, open or not, from the beginning."""
    return Analysis(program(TEXT.format(**sizes)))


def test_formulas_give_what_numbers_give() -> None:
    names = ("saved_bytes", "inference_peak", "backward_peak", "train_peak")
    whole = analysed(B="B", T="T")
    for sizes in ({"B": 2, "T": 7}, {"B": 31, "T": 1024}, {"B": 1000, "T": 3}):
        fixed = analysed(**sizes)
        for name in names:
            assert not whole.figure(name).is_constant
            assert int(whole.figure(name).at(sizes)) == int(fixed.figure(name))
