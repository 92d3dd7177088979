"""Weights start from the same distributions in both backends, and no two start alike."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from distributions import distance, fault, normal, sum_of_uniforms, truncated, uniform
from initializer_cases import CHOSEN, DEFAULTS, SUM, Case

from nnspec.compiler import load_source
from nnspec.ops.weight_steps import SumPair, undo
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emitted
from nnspec.targets.weights import WeightEntry, weight_map
from nnspec.verify.orders import all_to_physical
from nnspec.verify.samples import draw_inputs
from nnspec.verify.sizes import choices

pytestmark = pytest.mark.framework

SEED = 20_240_611
# Keras on PyTorch draws four times, and keeps the first draw where all four lie outside.
KERAS_STRAYS = math.erfc(math.sqrt(2)) ** 4


def read(text: str) -> Spec:
    (spec,) = load_source(Source("initializers.nns", text), None, {})
    return spec


def torch_weights(spec: Spec, seed: int = SEED) -> dict[str, Any]:
    """What the emitted PyTorch module starts with."""
    import torch

    torch.manual_seed(seed)
    state = spec.torch().state_dict()
    found = {name: tensor.numpy().copy() for name, tensor in state.items()}
    return {n: value for n, value in found.items() if "num_batches" not in n}


def keras_variables(spec: Spec, seed: int | None = SEED) -> dict[str, Any]:
    """What the variables of the emitted Keras model start with, by path."""
    import keras

    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = spec.keras()
    sizes = choices(spec.program, spec.symbols)[0]
    inputs = draw_inputs(spec.program, sizes, 0)
    tensors = all_to_physical(inputs, emitted(spec.program, "keras").inputs)
    model(tensors if len(tensors) > 1 else tensors[0])
    return {
        variable.path.removeprefix(f"{model.name}/"): keras.ops.convert_to_numpy(
            variable
        )
        for variable in model.variables
        if not variable.path.endswith("seed_generator_state")
    }


def keras_weights(spec: Spec, seed: int = SEED) -> dict[str, Any]:
    """The same by PyTorch's names and in its layouts; a sum of two weights under both names."""
    variables = keras_variables(spec, seed)
    entries = weight_map(spec.program)
    assert {entry.variable for entry in entries} == set(variables)
    found: dict[str, Any] = {}
    for entry in entries:
        found |= _named(entry, variables[entry.variable])
    return found


def _named(entry: WeightEntry, value: Any) -> dict[str, Any]:
    arrays = undo(entry.steps, [value])
    if any(isinstance(step, SumPair) for step in entry.steps):
        first, second = entry.sources
        return {f"{first}{SUM}{second.rpartition('.')[2]}": arrays[0]}
    return dict(zip(entry.sources, arrays, strict=True))


def with_sums(weights: dict[str, Any], case: Case) -> dict[str, Any]:
    """PyTorch's weights, with the sums of those that are one in Keras."""
    found = dict(weights)
    for name in case.expected:
        if SUM in name:
            first, second = (f"layer.{part}" for part in name.split(SUM))
            found[f"layer.{name}"] = weights[first] + weights[second]
    return found


def faults(weights: dict[str, Any], case: Case, strays: float = 0.0) -> dict[str, str]:
    """What is wrong with the weights of a model, by name."""
    laws = {f"layer.{name}".rstrip("."): law for name, law in case.expected.items()}
    laws |= case.others
    assert set(weights) <= set(laws), "a weight whose distribution is not stated"
    found = {name: fault(value, laws[name], strays) for name, value in weights.items()}
    return {name: text for name, text in found.items() if text}


@pytest.mark.parametrize("case", [*DEFAULTS, *CHOSEN], ids=str)
def test_weights_start_as_stated(case: Case) -> None:
    spec = read(case.text)
    ours, theirs = torch_weights(spec), keras_weights(spec)
    covered = {name for joined in theirs for name in _parts(joined)}
    assert covered == set(ours)
    assert faults(with_sums(ours, case), case) == {}
    assert faults(theirs, case, KERAS_STRAYS) == {}


def _parts(name: str) -> list[str]:
    owner, _, last = name.rpartition(".")
    return [f"{owner}.{part}" if owner else part for part in last.split(SUM)]


# ---- orthogonal matrices --------------------------------------------------------------------------

ORTHOGONAL = [
    ("x: [B, 40]", "x -> layer: Linear(90, init=init.orthogonal())", "", 1.0),
    ("x: [B, 90]", "x -> layer: Linear(40, init=init.orthogonal(gain=1.5))", "", 1.5),
    ("x: [B, 6, T]", "x -> layer: Conv(90, 5, init=init.orthogonal())", "", 1.0),
    (
        "x: [B, 6, H, W]",
        "x -> layer: Conv(20, 3, groups=2, init=init.orthogonal(2.0))",
        "",
        2.0,
    ),
    (
        "x: [B, 6, H, W]",
        "x -> layer: ConvTranspose(20, 3, init=init.orthogonal())",
        "",
        1.0,
    ),
    (
        "x: [B, 6, H, W]",
        "x -> layer: ConvTranspose(20, 3, groups=2, init=init.orthogonal())",
        "",
        1.0,
    ),
    ("ids: i64[B]", "ids -> layer: Embedding(30, 50, init=init.orthogonal())", "", 1.0),
    (
        "x: [B, 20, 30]",
        "x + layer",
        "layer = Param([20, 30], init=init.orthogonal())",
        1.0,
    ),
    (
        "x: [B, 4, 20, 30]",
        "x + layer",
        "layer = Param([4, 20, 30], init=init.orthogonal(0.5))",
        0.5,
    ),
]


@pytest.mark.parametrize(("inputs", "expression", "before", "gain"), ORTHOGONAL)
def test_orthogonal_matrices(
    inputs: str, expression: str, before: str, gain: float
) -> None:
    """The first axis against all others, as PyTorch lays the weight out."""
    spec = read(Case("", inputs, expression, {}, before=before).text)
    for weights in (torch_weights(spec), keras_weights(spec)):
        (value,) = [v for name, v in weights.items() if not name.endswith("bias")]
        matrix = value.reshape(value.shape[0], -1).astype(np.float64)
        matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        product = matrix @ matrix.T
        assert np.allclose(product, gain**2 * np.eye(len(matrix)), atol=1e-5)
        # No direction is preferred: the sum over all elements is about N(0, gain^2 rows).
        assert abs(matrix.sum()) < 5.3 * gain * math.sqrt(len(matrix))


# ---- no two weights alike -------------------------------------------------------------------------

TWINS = """
block Pair(x: [B, T, D]) {
  x = x -> first: Linear(D) -> second: Linear(D)
  return x
}
model Twins {
  input x: [B, 8, 96]
  input ids: i64[B, 8]
  one = Param([8, 96], init=init.normal(std=0.02))
  two = Param([8, 96], init=init.normal(std=0.02))
  x = x + one * two + (ids -> Embedding(96, 96))
  for i in range(2) { x = x -> blocks: Pair }
  for i in range(2) { x = x -> steps: Linear(96, init=init.normal(std=0.02), bias=false) }
  for i in range(2) { x = x -> convs: Conv(8, 1) }
  for i in range(2) { x = x -> pointwise: Conv(8, 1, bias=false) }
  x = x -> lstm: LSTM(96, layers=2)
  x = x -> both: GRU(48, bidirectional=true) -> SimpleRNN(96)
  output y = x
}
"""


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_no_two_weights_start_alike(backend: str) -> None:
    spec = read(TWINS)
    found = torch_weights(spec) if backend == "torch" else keras_variables(spec)
    drawn = {name: value.ravel() for name, value in found.items() if value.std() > 0}
    assert len(drawn) > 30
    for (one, left), (other, right) in itertools.combinations(drawn.items(), 2):
        count = min(len(left), len(right))
        if count >= 48:
            related = np.corrcoef(left[:count], right[:count])[0, 1]
            assert abs(related) < 5.3 / math.sqrt(count), (one, other)


@pytest.mark.parametrize("name", ["lstm/lstm_cell/kernel"])
def test_no_two_gates_start_alike(name: str) -> None:
    spec = read("model M { input x: [B, 5, 64]  output y = x -> lstm: LSTM(64) }")
    gates = np.split(keras_variables(spec)[name], 4, axis=1)
    for one, other in itertools.combinations(gates, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5.3 / 64


def test_a_model_built_again_starts_anew() -> None:
    spec = read("model M { input x: [B, 40]  output y = x -> layer: Linear(50) }")
    first, second = keras_variables(spec, None), keras_variables(spec, None)
    assert all(not np.array_equal(first[name], second[name]) for name in first)


# ---- the measure itself ---------------------------------------------------------------------------


def test_the_measure_tells_distributions_apart() -> None:
    """What a framework would choose by itself, and near misses, are found."""
    draw = np.random.default_rng(5)
    wide = draw.uniform(-0.0764, 0.0764, (800, 200))  # Glorot's bound, of 200 and 800
    assert "leaves" in fault(wide, uniform(200**-0.5))
    assert "fill" in fault(0.98 * draw.uniform(-1, 1, 5000), uniform(1.0))
    assert fault(np.zeros(800), uniform(0.1))
    same = draw.uniform(-1, 1, 5000)
    assert fault(same, uniform(1.0)) == ""
    assert fault(2 * same, sum_of_uniforms(1.0))
    assert fault(same + draw.uniform(-1, 1, 5000), sum_of_uniforms(1.0)) == ""
    bell = draw.normal(size=50_000)
    assert fault(bell, normal(1.0)) == ""
    assert "leaves" in fault(bell, truncated(1.0))
    assert fault(bell, normal(1.03))
    assert fault(bell + 0.03, normal(1.0))
    inside = bell[np.abs(bell) < 2]
    assert fault(inside, truncated(1.0)) == ""
    assert fault(inside, normal(inside.std()))
    assert distance(np.array([0.0]), uniform(1.0)) == 0.5
