"""One instance used on inputs of several ranks: one class that serves all, or an error."""

from __future__ import annotations

import pytest

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emit

TARGETS = ("torch", "keras")
ALIKE = """
block Trunk(x: [*S, D], hidden: int) {
  return x -> up: Linear(hidden) -> act: gelu -> down: Linear(D)
}
model M {
  input flat: [B, 6]
  input deep: [B, T, 6]
  shared = Trunk(8)
  output y = shared(flat)
  output z = shared(deep)
}
"""
BY_RANK = """
block Pick(x: [*S, D]) {
  y = x -> fc: Linear(D)
  if rank(x) == 3 { y = y -> tanh }
  return y
}
model M {
  input flat: [B, 6]
  input deep: [B, T, 6]
  shared = Pick()
  output y = shared(flat)
  output z = shared(deep)
}
"""
NORMS = """
model M {
  input line: [B, 4, H]
  input image: [B, 4, H, W]
  norm = BatchNorm()
  output y = norm(line)
  output z = norm(image)
}
"""


def spec(text: str) -> Spec:
    return load_source(Source("shared.nns", text), ["M"], {})[0]


@pytest.mark.parametrize("target", TARGETS)
def test_classes_that_say_the_same_are_one(target: str) -> None:
    assert emit(spec(ALIKE).program, target).count("\nclass Trunk") == 1


@pytest.mark.parametrize("target", TARGETS)
def test_uses_that_need_different_code_are_an_error(target: str) -> None:
    """The class of the first use would silently serve the second."""
    with pytest.raises(SpecError) as caught:
        emit(spec(BY_RANK).program, target)
    assert caught.value.diagnostic.code == "E0602"
    assert "the uses of `shared` need different code" in caught.value.diagnostic.message
    assert caught.value.diagnostic.location is not None


def test_a_layer_of_pytorch_that_serves_one_rank_is_an_error_for_another() -> None:
    with pytest.raises(SpecError, match="the uses of `norm` need different code"):
        emit(spec(NORMS).program, "torch")
    assert emit(spec(NORMS).program, "keras").count("BatchNormalization(") == 1
