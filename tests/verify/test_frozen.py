"""What is frozen is not trained and keeps its statistics, in both backends; dropout stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets.weights import weight_map

pytestmark = pytest.mark.framework

TEXT = """
@frozen
block Stage(x: [B, C, H, W], width: int) {
  return x -> conv: Conv(width, 3, padding=1) -> norm: BatchNorm -> relu -> drop: Dropout(0.5)
}
block Head(x: [B, C, H, W], classes: int) {
  x = x -> norm: BatchNorm -> global_avg_pool
  @frozen
  x = x -> hidden: Linear(16) -> hidden_norm: BatchNorm
  return x -> drop: Dropout(0.3) -> logits: Linear(classes)
}
@frozen
model Backbone {
  input x: [B, 6, H, W]
  output y = x -> conv: Conv(6, 1) -> norm: BatchNorm
}
model Frozen {
  input x: [B, 3, H, W]
  x = x -> first: Conv(3, 1)
  @frozen
  x = x -> stem: Conv(5, 3) -> stem_norm: BatchNorm -> relu
  @frozen
  tied = Conv(5, 1)
  x = x -> tied -> live_norm: BatchNorm -> tied
  x = x -> stage: Stage(6)
  @frozen
  for i in range(2) { x = x -> steps: Conv(6, 1) -> norms: BatchNorm }
  x = x -> backbone: Backbone
  x = x -> free: Conv(6, 1)
  output logits = x -> head: Head(4)
}
"""
# A statement, an instance, a block, statements in a loop and in a block, and a model.
FROZEN = {
    "stem",
    "stem_norm",
    "tied",
    "stage",
    "steps",
    "norms",
    "backbone",
    "head.hidden",
    "head.hidden_norm",
}
LIVE = {"first", "live_norm", "free", "head.norm", "head.logits"}
IN_LOOPS = """
block Given(x: [B, D], kernel: [D, D]) {
  @frozen
  shift = Param([D], init=init.ones)
  @frozen
  x = x -> given: Linear(D, weight=kernel) -> tanh
  return x * shift
}
model Stacked(depth: int = 3) {
  input x: [B, 6]
  kernel = Param([6, 6], init=init.orthogonal())
  for i in range(depth) {
    x = x -> live: Linear(6) -> tanh
    @frozen
    x = x -> fixed: Linear(6) -> norm: BatchNorm -> tanh
    if i == 1 {
      @frozen
      x = x -> once: Linear(6) -> tanh
    }
    x = (x, kernel) -> blocks: Given
    @frozen
    scale = Param([6], init=init.ones)
    x = x * scale
  }
  output y = x -> last: Linear(2)
}
"""
DROPPING = """
@frozen
model Dropping {
  input x: [B, 50]
  output y = x -> layer: Linear(50) -> drop: Dropout(0.5)
}
"""


def read(text: str, name: str) -> Spec:
    (spec,) = load_source(Source("frozen.nns", text), [name], {})
    return spec


def is_frozen(path: str) -> bool:
    owners = {owner for owner in FROZEN | LIVE if f"{path}.".startswith(f"{owner}.")}
    assert len(owners) == 1, path
    return owners <= FROZEN


def images(channels_last: bool) -> Any:
    shape = (6, 9, 8, 3) if channels_last else (6, 3, 9, 8)
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def check(before: dict[str, Any], after: dict[str, Any], paths: dict[str, str]) -> None:
    """What is frozen stayed the same, and everything else did not."""
    assert before.keys() == after.keys() == paths.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name, path in paths.items() if not is_frozen(path)}


def test_every_part_is_one_or_the_other() -> None:
    entries = weight_map(read(TEXT, "Frozen").program)
    for entry in entries:
        if entry.kind != "state":
            assert (entry.kind == "frozen") == is_frozen(entry.path), entry.path
    assert {
        path
        for path in FROZEN | LIVE
        if not any(f"{entry.path}.".startswith(f"{path}.") for entry in entries)
    } == set()


def test_pytorch_trains_only_the_rest() -> None:
    import torch

    torch.manual_seed(1)
    model = read(TEXT, "Frozen").torch()
    model.train()
    names = [n for n in model.state_dict() if not n.endswith("num_batches_tracked")]
    paths = {name: name for name in names}

    def state() -> dict[str, Any]:
        found = model.state_dict()
        return {name: found[name].numpy().copy() for name in names}

    before = state()
    trained = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.5, weight_decay=0.1)
    model(torch.from_numpy(images(False))).square().mean().backward()
    for name, value in model.named_parameters():
        assert (value.grad is None) == is_frozen(name), name
    optimiser.step()
    check(before, state(), paths)
    model.eval()
    assert not any(module.training for module in model.modules())


def test_keras_trains_only_the_rest() -> None:
    import keras

    keras.utils.set_random_seed(1)
    spec = read(TEXT, "Frozen")
    model = spec.keras()
    x = images(True)
    model(x)
    paths = {entry.variable: entry.path for entry in weight_map(spec.program)}

    def state() -> dict[str, Any]:
        variables = {v.path.removeprefix(f"{model.name}/"): v for v in model.variables}
        return {
            name: np.array(keras.ops.convert_to_numpy(variables[name]))
            for name in paths
        }

    before = state()
    optimiser = keras.optimizers.SGD(0.5, weight_decay=0.1)
    model.compile(optimizer=optimiser, loss="mean_squared_error")
    model.train_on_batch(x, np.zeros((6, 4), np.float32))
    check(before, state(), paths)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_both_agree(backend: str) -> None:
    report = read(TEXT, "Frozen").verify(backends=(backend,))
    assert report.ok, report.failures
    assert {"gradients", "statistics"} <= {check.name for check in report.checks}


@pytest.mark.parametrize("target", ["torch", "keras"])
def test_what_a_loop_makes_is_frozen_too(target: str) -> None:
    """Layers in lists and tables, and weights that are attributes of their own."""
    spec = read(IN_LOOPS, "Stacked")
    if target == "torch":
        weights = spec.torch().named_parameters()
        trained = {
            name.removesuffix(".weight").removesuffix(".bias")
            for name, value in weights
            if value.requires_grad
        }
    else:
        built: Any = spec.keras()
        built(np.ones((2, 6), np.float32))
        paths = {entry.variable: entry.path for entry in weight_map(spec.program)}
        trained = {
            paths[each.path.removeprefix(f"{built.name}/")]
            for each in built.trainable_variables
        }
    assert trained == {"kernel", "live.0", "live.1", "live.2", "last"}
    assert spec.cost().trainable == 36 + 3 * 42 + 14


def test_dropout_of_what_is_frozen_still_drops() -> None:
    import keras
    import torch

    spec = read(DROPPING, "Dropping")
    x = np.ones((4, 50), np.float32)
    ours, theirs = spec.torch(), spec.keras()
    ours.train()
    results: list[Any] = [
        ours(torch.from_numpy(x)).numpy(),
        keras.ops.convert_to_numpy(theirs(x, training=True)),
    ]
    for y in results:
        assert 20 < y.size - np.count_nonzero(y) < 180
    ours.eval()
    assert np.all(ours(torch.from_numpy(x)).numpy())
    assert np.all(keras.ops.convert_to_numpy(theirs(x, training=False)))
