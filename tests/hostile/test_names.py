"""Layers that would share a name in one target are refused there, and only there."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.source import Source
from nnspec.spec import Target
from tests.hostile.cases import model

CASES: list[tuple[str, str, set[Target]]] = [
    ("type", "type_", {"torch", "keras"}),
    ("train", "train_", {"torch"}),
    ("call", "call_", {"keras"}),
    ("_x", "x_", {"torch", "keras"}),
    ("fc", "fc_", set()),
]


@pytest.mark.parametrize(("first", "second", "refused"), CASES)
@pytest.mark.parametrize("target", ["torch", "keras"])
def test_labels_that_fall_together(
    first: str, second: str, refused: set[Target], target: Target
) -> None:
    text = model(f"h = x -> {first}: Linear(8)", f"output y = h -> {second}: Linear(8)")
    (spec,) = load_source(Source("spec.nns", text), None, {})
    if target not in refused:
        assert "8" in spec.source(target)
        return
    with pytest.raises(SpecError) as caught:
        spec.source(target)
    assert caught.value.diagnostic.code == "E0604"
    assert caught.value.diagnostic.location is not None


def test_an_index_and_a_label_fall_together_in_keras() -> None:
    text = model(
        "for _ in range(2) { x = x -> layers: Linear(64) }",
        "output y = x -> layers_0: Linear(8)",
    )
    (spec,) = load_source(Source("spec.nns", text), None, {})
    assert "layers_0" in spec.source("torch")
    with pytest.raises(SpecError, match=r"layers\.0.*layers_0"):
        spec.source("keras")
