"""Every spec counts exactly what its reference counts, at full size and without a framework."""

from __future__ import annotations

from pathlib import Path

import pytest

import nnspec
from nnspec.source import Source
from nnspec.syntax.format import format_file
from tests.specs.figures import ALL, Figures

FILES = sorted(Path("specs").rglob("*.nns"))


@pytest.mark.parametrize("figures", ALL, ids=str)
def test_counts_equal_the_reference(figures: Figures) -> None:
    settings = {name: str(value) for name, value in figures.constants.items()}
    spec = nnspec.load(figures.path, figures.model, settings=settings)
    cost = spec.cost(B=1, **figures.symbols)
    assert cost.parameters == figures.parameters
    assert cost.parameters - cost.trainable == figures.frozen
    assert cost.flops == figures.flops
    assert cost.macs == figures.flops // 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_right_and_formatted(path: Path) -> None:
    text = path.read_text()
    assert format_file(Source(str(path), text)) == text
    for spec in nnspec.load_all(str(path)):
        assert not spec.check().diagnostics


def test_every_file_has_a_model_with_figures() -> None:
    known = {figures.path for figures in ALL}
    assert sorted(known | {"specs/generative/vae_gan.nns"}) == [
        str(path) for path in FILES
    ]


def test_flops_of_a_batch_are_a_multiple() -> None:
    spec = nnspec.load("specs/vision/resnet.nns", "ResNet50")
    assert spec.cost(B=7).flops == 7 * spec.cost(B=1).flops


def test_symbols_that_are_not_given_stay_in_the_formula() -> None:
    spec = nnspec.load("specs/language/gpt2.nns", "GPT2Small")
    assert str(spec.cost(B=1).flops) == "36864 * T^2 + 247064064 * T"
