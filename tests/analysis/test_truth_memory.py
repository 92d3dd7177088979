"""Figures of memory against what PyTorch does with the emitted program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.figures import Analysis
from nnspec.analysis.setting import Setting
from nnspec.compiler import Spec
from nnspec.ir.dims import DimError

ROOT = Path(__file__).parents[2]

# Sizes for each symbol; what a spec does not have is left out, and a multiple is kept.
SIZES = {"B": 3, "T": 24, "S": 17, "H": 64, "W": 96}
DEEP = {"depth": 2}
SPECS = sorted(ROOT.joinpath("specs").glob("*/*.nns"))


def chosen(spec: Spec) -> dict[str, int]:
    """A size for every symbol."""
    found: dict[str, int] = {}
    for place, symbol in enumerate(spec.program.symbols):
        factor = spec.program.assumptions.multiples.get(symbol, 1)
        size = SIZES.get(symbol, 5 + place)
        found[symbol] = spec.symbols.get(symbol, -(-size // factor) * factor)
    return found


def inputs_of(spec: Spec, sizes: dict[str, int]) -> list[Any]:
    import torch

    kinds = {"float": torch.float32, "bool": torch.bool}
    main = spec.program.main
    found: list[Any] = []
    for port in main.inputs:
        assert isinstance(port.values, int)
        kind = main.types[port.values]
        shape = [int(size.at(sizes)) for size in kind.shape]
        found.append(torch.zeros(shape, dtype=kinds.get(kind.dtype.value, torch.int64)))
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

    sizes = chosen(spec)
    analysis = Analysis(spec.program, Setting.named(dropout=dropout))
    with contextlib.nullcontext() if real else FakeTensorMode():
        model, inputs = spec.torch(), inputs_of(spec, sizes)
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


def is_recurrent(path: Path) -> bool:
    return path.parent.name == "sequence"


@pytest.mark.framework
@pytest.mark.parametrize("dropout", ["configured", "off"])
@pytest.mark.parametrize(
    "path", [path for path in SPECS if not is_recurrent(path)], ids=lambda path: path.stem
)
def test_every_spec(path: Path, dropout: str) -> None:
    for spec in nnspec.load_all(str(path)):
        if int(spec.cost().parameters) < 150_000_000:
            compare(spec, dropout)


def test_formulas_give_what_numbers_give() -> None:
    spec = nnspec.load(str(ROOT / "specs/language/gpt2.nns"), "GPT2Small")
    names = ("saved_bytes", "inference_peak", "backward_peak", "train_peak")
    whole = Analysis(spec.program)
    for sizes in ({"B": 2, "T": 7}, {"B": 31, "T": 1024}, {"B": 1000, "T": 3}):
        numbers = nnspec.load(
            str(ROOT / "specs/language/gpt2.nns"), "GPT2Small", **sizes
        )
        assert numbers.symbols == sizes
        for name in names:
            formula = whole.figure(name)
            with pytest.raises(DimError):
                int(formula)
            assert int(formula.at(sizes)) > 0
