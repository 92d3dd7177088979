"""Keras on several devices, run for real: two of TensorFlow, four of JAX; all compute what one device does."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest

from nnspec.diagnostics import SpecError
from nnspec.spec import Spec
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
CLOSE_ON_JAX = 1e-9
"""Of the largest element; what is asked is 1e-6."""

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
    return emit_model_parallel(spec.program, 2)


def all_paths(name: str) -> list[str]:
    return sorted(entry.variable for entry in weight_map(SPECS[name][0]().program))


# ---- TensorFlow, in one process -----------------------------------------------------------------------


@pytest.mark.framework
def test_tensorflow_on_two_devices(tmp_path: Path) -> None:
    names = list(SPECS)
    jobs = [
        job(tmp_path, "on_devices", name, on_two, fits=name == "gpt2") for name in names
    ]
    jobs.append(job(tmp_path, "mirrored", "gpt2", mirrored))
    jobs.append(
        job(tmp_path, "elsewhere", "mlp", model_parallel, kind="model_parallel")
    )
    *staged, copied, elsewhere = launched(tmp_path, "tensorflow", jobs)
    for name, said in zip(names, staged, strict=True):
        _check_stages(name, said)
    assert copied["paths"] == all_paths("gpt2")
    assert set(copied["copies"]) == {2}
    _check_training(copied)
    assert copied["refused"] == "a batch of 7 does not divide over 2 devices"
    assert "by jax, and Keras runs on tensorflow" in elsewhere["refused"]


def _check_stages(name: str, said: dict[str, Any]) -> None:
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
    if name == "gpt2":
        _check_training(said)
    few, unknown, compiled = said["refused"]
    assert few == "2 devices are needed, one for each stage"
    assert "no device GPU:7" in unknown
    assert compiled == "several devices need jit_compile=False"


def _check_training(said: dict[str, Any]) -> None:
    """The weights have moved in training, and as far as they move on one device."""
    assert said["moved"] > 1e-3
    assert said["trained"] < CLOSE * max(1, said["moved"])


# ---- JAX, in one process ------------------------------------------------------------------------------


@pytest.mark.framework
def test_jax_on_four_devices(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "sharded", name, data_parallel, kind="data_parallel")
        for name in ("mlp", "unet")
    ]
    jobs += [
        job(
            tmp_path,
            "sharded",
            name,
            model_parallel,
            kind="model_parallel",
            fits=name == "mlp",
        )
        for name in ("mlp", "gpt2")
    ]
    jobs.append(job(tmp_path, "elsewhere", "mlp", on_two, kind="OnDevices"))
    *sharded, elsewhere = launched(tmp_path, "jax", jobs)
    for each, said in zip(jobs, sharded, strict=False):
        _check_shards(each["name"], each["kind"], said)
    assert "by tensorflow, and Keras runs on jax" in elsewhere["refused"]


def _check_shards(name: str, kind: str, said: dict[str, Any]) -> None:
    program = SPECS[name][0]().program
    assert said["paths"] == all_paths(name)
    assert said["output"] < CLOSE_ON_JAX, name
    assert said["gradient"] < CLOSE_ON_JAX, name
    if kind == "data_parallel":
        whole = 8 * sum(prod(e.shape) for e in weight_map(program))
        assert list(said["bytes"].values()) == [whole] * 4
        assert said["refused"] == ["a batch of 3 does not divide over 4 devices"]
        return
    predicted = shard_bytes(program, 2, item=8)
    assert predicted < shard_bytes(program, 1, item=8)
    assert list(said["bytes"].values()) == [predicted] * 4
    assert said.get("after", said["bytes"]) == said["bytes"]
    whole = {entry.variable: list(entry.shape) for entry in weight_map(program)}
    split = {
        path.removeprefix("gpt2/")
        for path, shapes in said["shapes"].items()
        if any(shape != whole[path.removeprefix("gpt2/")] for shape in shapes)
    }
    assert split == set(layouts_of(program, 2))
    _, uneven, unmatched = said["refused"]
    assert uneven == "3 devices do not divide into 2 shards"
    if name == "mlp":
        assert unmatched == "the layout of no/such/kernel fits no variable of the model"


# ---- what is refused when a program is compiled --------------------------------------------------------


@pytest.mark.parametrize(
    ("emit", "backend"),
    [
        (lambda p, b: emit_model_parallel(p, 2, b), "tensorflow"),
        (lambda p, b: emit_model_parallel(p, 2, b), "torch"),
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
        emit_model_parallel(SPECS["unet"][0]().program, 2)
    assert found.value.diagnostic.code == "E1035"


def test_the_emitted_programs_are_the_same_every_time() -> None:
    for emit in (on_two, mirrored, data_parallel, model_parallel):
        assert emit(gpt2()) == emit(gpt2())
