"""Weights of one program as those of the other, safetensors to safetensors."""

from __future__ import annotations

import builtins
import json
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from nnspec.diagnostics import SpecErrors
from nnspec.spec import Spec
from nnspec.targets.weights import weight_map
from tests.verify import specs
from tests.verify.specs import spec_of


def torch_weights(spec: Spec) -> dict[str, np.ndarray]:
    """Random weights; the second of two summed biases is zero, the form that comes back."""
    generator = np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for entry in weight_map(spec.program):
        for source, shape in zip(entry.sources, entry.source_shapes, strict=True):
            found[source] = generator.standard_normal(shape).astype("float32")
        if len(entry.sources) == 2 and len(entry.shape) == 1:
            found[entry.sources[1]] *= 0
    return found


def codes(caught: pytest.ExceptionInfo[SpecErrors]) -> dict[str, str]:
    return {d.code: f"{d.message} {d.hint}" for d in caught.value.diagnostics}


@pytest.mark.parametrize(
    "text", [specs.RESIDUAL, specs.LANGUAGE, specs.RECURRENT, specs.TOKEN, specs.FROZEN]
)
def test_there_and_back_every_bit_is_the_same(text: str) -> None:
    spec = spec_of(text)
    weights = torch_weights(spec)
    there = spec.convert_weights(save(weights), "torch", "keras")
    variables = load(there.data)
    entries = weight_map(spec.program)
    assert there.tensors == len(variables) == len(entries)
    assert {name: v.shape for name, v in variables.items()} == {
        e.variable: e.shape for e in entries
    }
    back = load(spec.convert_weights(there.data, "keras", "torch").data)
    counts = {name for name in back if name.endswith("num_batches_tracked")}
    assert all(back[name].shape == () and back[name] == 0 for name in counts)
    assert back.keys() - counts == weights.keys()
    for name, array in weights.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_counts_of_batches_are_passed_over_and_made_anew() -> None:
    spec = spec_of(specs.FROZEN)
    weights = torch_weights(spec)
    weights["fixed.batch_norm.num_batches_tracked"] = np.array(7)
    there = spec.convert_weights(save(weights), "torch", "keras")
    back = load(spec.convert_weights(there.data, "keras", "torch").data)
    assert back["fixed.batch_norm.num_batches_tracked"].dtype == np.int64


def test_everything_that_is_wrong_is_named_at_once() -> None:
    spec = spec_of(specs.SHARED)
    weights = {"same.kernel": np.zeros((4, 4)), "same.bias": np.zeros(3)}
    with pytest.raises(SpecErrors) as caught:
        spec.convert_weights(save(weights), "torch", "keras")
    found = codes(caught)
    assert found.keys() == {"E0802", "E0803", "E0804"}
    assert "`same.weight`" in found["E0802"]
    assert "`same.kernel`" in found["E0803"]
    assert "`same.bias` is [3] and must be [4]" in found["E0804"]


def test_only_some_of_many_names_are_listed() -> None:
    with pytest.raises(SpecErrors) as caught:
        spec_of(specs.LANGUAGE).convert_weights(save({}), "torch", "keras")
    assert "28 tensors" in codes(caught)["E0802"]
    assert codes(caught)["E0802"].endswith("or all of its variables")
    assert " and 20 more" in codes(caught)["E0802"]


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\xff" * 64, save({"a": np.zeros(2)})[:-1]]
)
def test_what_is_no_safetensors_file_is_refused(data: bytes) -> None:
    with pytest.raises(SpecErrors) as caught:
        spec_of(specs.SHARED).convert_weights(data, "torch", "keras")
    assert codes(caught).keys() == {"E0801"}


def test_weights_are_not_converted_to_what_they_are() -> None:
    with pytest.raises(SpecErrors) as caught:
        spec_of(specs.SHARED).convert_weights(save({}), "keras", "keras")
    assert codes(caught).keys() == {"E0805"}


def test_without_the_package_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "safetensors":
            raise ModuleNotFoundError("no", name="safetensors")
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpecErrors) as caught:
        spec_of(specs.SHARED).convert_weights(b"", "torch", "keras")
    assert "nnspec[weights]" in codes(caught)["E0806"]


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
def test_weights_are_floats(dtype: str) -> None:
    spec = spec_of(specs.TOKEN)
    weights = torch_weights(spec)
    name = next(iter(weights))
    weights[name] = weights[name].astype(dtype)
    with pytest.raises(SpecErrors) as caught:
        spec.convert_weights(save(weights), "torch", "keras")
    assert list(codes(caught)) == ["E0810"]
    assert f"`{name}` is {dtype}" in codes(caught)["E0810"]


def test_a_type_that_numpy_lacks_is_named() -> None:
    entry = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    header = json.dumps({"w": entry}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\0" * 4
    with pytest.raises(SpecErrors) as caught:
        spec_of(specs.TOKEN).convert_weights(data, "torch", "keras")
    assert "BF16" in codes(caught)["E0810"]
