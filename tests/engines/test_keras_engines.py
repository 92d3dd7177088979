"""Keras on several devices, run for real: two of TensorFlow, four of JAX; all compute what one device does."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest

from nnspec.compiler import Spec
from nnspec.diagnostics import SpecError
from nnspec.targets.engines.keras_engines import (
    emit_data_parallel,
    emit_mirrored,
    emit_model_parallel,
    emit_on_devices,
    layouts_of,
    shard_bytes,
)
from nnspec.targets.engines.torch_stages import emit_on_devices as emit_on_torch_devices
from nnspec.targets.weights import weight_map
from tests.engines.keras_runs import SPECS, job, launched
from tests.engines.specs import NORMS, even, gpt2, spec_of

CLOSE = 1e-12
"""TensorFlow in float64, which computes the same on every device."""
CLOSE_ON_JAX = 1e-6
"""What is asked: compiled for several devices, some float32 parts of models differ in the last digits."""

TWICE = """
model Twice {
  input x: [B, 8]
  layer = Linear(8)
  x = x -> layer -> tanh
  output y = x -> layer
}
"""


def on_two(spec: Spec) -> str:
    return emit_on_devices(spec.program, even(spec, 2))


def mirrored(spec: Spec) -> str:
    return emit_mirrored(spec.program)


def data_parallel(spec: Spec) -> str:
    return emit_data_parallel(spec.program)


def model_parallel(spec: Spec) -> str:
    return emit_model_parallel(spec.program)


def all_paths(name: str) -> list[str]:
    return sorted(entry.variable for entry in weight_map(SPECS[name][0]().program))


def check_training(said: dict[str, Any], close: float) -> None:
    """The weights have moved in training, and as far as they move on one device."""
    assert said["moved"] > 1e-3
    assert said["trained"] < close * max(1, said["moved"])


@pytest.mark.framework
@pytest.mark.parametrize("name", SPECS)
def test_stages_run_where_the_plan_says(name: str, tmp_path: Path) -> None:
    (said,) = launched(
        tmp_path, "on_devices", "tensorflow", [job(tmp_path, name, on_two)]
    )
    assert said["paths"] == all_paths(name)
    assert said["variables"] == [["CPU:0"], ["CPU:1"]]
    assert said["stages"] == [{"output": "CPU:0"}, {"output": "CPU:1"}]
    for number, operators in enumerate(said["operators"]):
        assert operators["devices"] == [f"/device:CPU:{number}"]
        assert operators["forward"] >= 4
        assert operators["backward"] >= 4
    assert said["output"] < CLOSE
    assert said["gradient"] < CLOSE
    assert said["before"] == 0
    check_training(said, CLOSE)
    few, unknown, compiled = said["refused"]
    assert few == "2 devices are needed, one for each stage"
    assert "no device GPU:7" in unknown
    assert compiled == "several devices need jit_compile=False"


@pytest.mark.framework
@pytest.mark.parametrize("name", ["mlp", "gpt2"])
def test_mirrored_copies_train_as_one_model(name: str, tmp_path: Path) -> None:
    (said,) = launched(
        tmp_path, "mirrored", "tensorflow", [job(tmp_path, name, mirrored)]
    )
    assert said["paths"] == all_paths(name)
    assert set(said["copies"]) == {2}
    check_training(said, CLOSE)
    assert said["refused"] == "a batch of 7 does not divide over 2 devices"


@pytest.mark.framework
@pytest.mark.parametrize("name", ["mlp", "unet"])
def test_jax_copies_train_as_one_model(name: str, tmp_path: Path) -> None:
    more = {"kind": "data_parallel", "arguments": []}
    (said,) = launched(
        tmp_path, "sharded", "jax", [job(tmp_path, name, data_parallel, **more)]
    )
    assert said["paths"] == all_paths(name)
    assert said["output"] < CLOSE_ON_JAX
    check_training(said, CLOSE_ON_JAX)
    whole = 8 * sum(prod(e.shape) for e in weight_map(SPECS[name][0]().program))
    assert list(said["bytes"].values()) == [whole] * 4
    assert said["refused"] == ["a batch of 3 does not divide over 4 devices"]


@pytest.mark.framework
@pytest.mark.parametrize(
    ("name", "shards"), [("mlp", 4), ("gpt2", 2)], ids=["mlp", "gpt2"]
)
def test_jax_shards_are_those_predicted(name: str, shards: int, tmp_path: Path) -> None:
    more = {"kind": "model_parallel", "arguments": [shards]}
    (said,) = launched(
        tmp_path, "sharded", "jax", [job(tmp_path, name, model_parallel, **more)]
    )
    program = SPECS[name][0]().program
    assert said["paths"] == all_paths(name)
    assert said["output"] < CLOSE_ON_JAX
    check_training(said, CLOSE_ON_JAX)
    predicted = shard_bytes(program, shards, item=8)
    assert predicted < shard_bytes(program, 1, item=8)
    assert list(said["bytes"].values()) == [predicted] * 4
    assert said["after"] == said["bytes"]
    split = {
        path
        for path, shapes in said["shapes"].items()
        if is_split(path, shapes, program)
    }
    assert {below(path) for path in split} == set(layouts_of(program))
    *_, uneven, unmatched = said["refused"]
    assert uneven == "4 devices do not divide into 3 shards"
    assert unmatched == "the layout of no/such/kernel fits no variable of the model"


def is_split(path: str, shapes: list[list[int]], program: Any) -> bool:
    whole = {entry.variable: list(entry.shape) for entry in weight_map(program)}
    return any(shape != whole[below(path)] for shape in shapes)


def below(path: str) -> str:
    """The path of a variable below the model's name."""
    return path.removeprefix("gpt2/")


@pytest.mark.framework
@pytest.mark.parametrize(
    ("kind", "program", "backend", "wanted"),
    [
        ("model_parallel", model_parallel, "tensorflow", "jax"),
        ("OnDevices", on_two, "jax", "tensorflow"),
    ],
)
def test_programs_ask_for_their_backend(
    kind: str,
    program: Callable[[Spec], str],
    backend: str,
    wanted: str,
    tmp_path: Path,
) -> None:
    jobs = [job(tmp_path, "mlp", program, kind=kind)]
    (said,) = launched(tmp_path, "elsewhere", backend, jobs)
    assert f"by {wanted}, and Keras runs on {backend}" in said["refused"]


# ---- what is refused when a program is compiled --------------------------------------------------------


@pytest.mark.parametrize(
    ("emit", "backend"),
    [
        (lambda p, b: emit_model_parallel(p, b), "tensorflow"),
        (lambda p, b: emit_model_parallel(p, b), "torch"),
        (lambda p, b: emit_data_parallel(p, b), "tensorflow"),
        (lambda p, b: emit_mirrored(p, b), "jax"),
        (lambda p, b: emit_on_devices(p, [0] * 9, b), "torch"),
    ],
)
def test_engines_that_a_backend_ignores(
    emit: Callable[[Any, str], str], backend: str
) -> None:
    with pytest.raises(SpecError) as found:
        emit(SPECS["mlp"][0]().program, backend)
    assert found.value.diagnostic.code == "E1033"
    assert backend in found.value.diagnostic.message


def test_a_layer_in_two_stages_of_one_process() -> None:
    spec = spec_of(TWICE)
    for emit in (emit_on_devices, emit_on_torch_devices):
        with pytest.raises(SpecError) as found:
            emit(spec.program, [0, 0, 1])
        assert found.value.diagnostic.code == "E1032"
        assert found.value.diagnostic.location is not None
        assert "OnDevices" in emit(spec.program, [0, 0, 0])


def test_batch_statistics_in_mirrored_copies() -> None:
    spec = spec_of(NORMS)
    with pytest.raises(SpecError) as found:
        emit_mirrored(spec.program)
    assert found.value.diagnostic.code == "E1034"
    assert found.value.diagnostic.location is not None
    assert "data_parallel" in emit_data_parallel(spec.program)


def test_a_model_with_nothing_to_split() -> None:
    with pytest.raises(SpecError) as found:
        emit_model_parallel(SPECS["unet"][0]().program)
    assert found.value.diagnostic.code == "E1035"


def test_the_emitted_programs_are_the_same_every_time() -> None:
    for emit in (on_two, mirrored, data_parallel, model_parallel):
        assert emit(gpt2()) == emit(gpt2())
