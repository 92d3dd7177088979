"""Figures of memory against what PyTorch does with the emitted program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.figures import Analysis
from nnspec.analysis.setting import Setting
from nnspec.compiler import Spec
from tests.ir.models import program

ROOT = Path(__file__).parents[2]

# Sizes for each symbol; what a spec does not have is left out, and a multiple is kept.
SIZES = {"B": 3, "T": 24, "S": 17, "H": 64, "W": 96}
# Models of equal layers of which a few are enough.
SHALLOW = {"llama3": "Llama3"}
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


def compare(spec: Spec, dropout: str, *, real: bool = False) -> None:
    """Saved bytes are equal; peaks are within 2 % in training and 5 % in inference."""
    import contextlib

    from torch._subclasses import FakeTensorMode

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    sizes = chosen(spec)
    analysis = Analysis(spec.program, Setting.named(dropout=dropout))
    with contextlib.nullcontext() if real else FakeTensorMode():
        model, inputs = measured.built(spec), inputs_of(spec, sizes)
        if dropout == "off":
            without_dropout(model)
        inference = measured.inference_peak(model, inputs)
        weights = sum(measured.storages(measured.state_of(model)).values())
        training = measured.training(model, inputs)
    ours = {
        name: int(analysis.figure(name).at(sizes))
        for name in (
            "weight_bytes",
            "saved_bytes",
            "inference_peak",
            "backward_peak",
            "train_peak",
        )
    }
    assert ours["weight_bytes"] == weights
    if real:
        assert ours["saved_bytes"] == pytest.approx(training.saved, rel=0.05)
    else:
        assert ours["saved_bytes"] == training.saved
    assert ours["inference_peak"] == pytest.approx(inference, rel=0.05)
    assert ours["backward_peak"] == pytest.approx(training.backward_peak, rel=0.02)
    assert ours["train_peak"] == pytest.approx(training.train_peak, rel=0.02)


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


def analysis(**sizes: int | str) -> Analysis:
    """Of a model that has these sizes, open or not, from the beginning."""
    return Analysis(program(TEXT.format(**sizes)))


def test_formulas_give_what_numbers_give() -> None:
    names = ("saved_bytes", "inference_peak", "backward_peak", "train_peak")
    whole = analysis(B="B", T="T")
    for sizes in ({"B": 2, "T": 7}, {"B": 31, "T": 1024}, {"B": 1000, "T": 3}):
        fixed = analysis(**sizes)
        for name in names:
            assert not whole.figure(name).is_constant
            assert int(whole.figure(name).at(sizes)) == int(fixed.figure(name))
