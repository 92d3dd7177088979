"""Runs emitted Keras programs on several devices beside the whole model on one, and writes what differs.

    python keras_worker.py KIND JOB.json

The parent sets the backend and, for JAX, the number of devices.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

Job = dict[str, Any]


def loaded(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data_of(job: Job) -> numpy.ndarray:
    generator = numpy.random.default_rng(3)
    if job["ids"]:
        return generator.integers(0, job["ids"], job["shape"])
    return generator.normal(size=job["shape"])


def target_of(output: Any) -> numpy.ndarray:
    return numpy.random.default_rng(4).normal(size=tuple(output.shape))


def whole(job: Job) -> Any:
    """The whole model, with its variables made."""
    import keras

    keras.utils.set_random_seed(0)
    model = getattr(loaded(job["model"]), job["factory"])()
    model(data_of(job))
    return model


def by_path(model: Any) -> dict[str, Any]:
    """The variables of a model by their paths below its name."""
    return {v.path.removeprefix(f"{model.name}/"): v for v in model.weights}


def give(variables: dict[str, Any], model: Any) -> list[str]:
    """Gives the whole model's weights to variables of the same paths; those paths."""
    given = by_path(model)
    assert set(variables) == set(given), sorted(set(variables) ^ set(given))
    for path, variable in variables.items():
        variable.assign(given[path].numpy())
    return sorted(given)


def distance(a: Any, b: Any) -> float:
    import keras

    one, other = (keras.ops.convert_to_numpy(each) for each in (a, b))
    assert one.shape == other.shape, (one.shape, other.shape)
    return float(numpy.abs(one - other).max())


def apart(variables: dict[str, Any], model: Any) -> float:
    return max(distance(variables[p], v) for p, v in by_path(model).items())


def sgd() -> Any:
    import keras

    return keras.optimizers.SGD(0.5)


def fitted(model: Any, x: numpy.ndarray, target: numpy.ndarray) -> None:
    model.fit(x, target, batch_size=len(x), epochs=2, shuffle=False, verbose=0)


def refused(make: Callable[[], Any]) -> str:
    try:
        make()
    except ValueError as error:
        return str(error)
    return ""


def on_devices(job: Job) -> Job:
    import tensorflow as tf

    model, x = whole(job), data_of(job)
    module = loaded(job["program"])
    names = ["CPU:0", "CPU:1"]
    found = module.OnDevices(names)
    found(x)
    variables = found.whole_paths()
    paths = give(variables, model)
    output, expected = found(x), model(x)
    target = target_of(expected)
    said: Job = {"paths": paths, "output": distance(output, expected)}
    said["variables"] = [
        sorted({v.value.device[-5:] for v in stage.stage.weights})
        for stage in found.stages
    ]
    said["stages"] = [
        {"output": tf.nest.flatten(y)[0].device[-5:]}
        for y in results_of(found, x, module)
    ]
    said["operators"] = operators(found, x, target)
    said["gradient"] = max(
        distance(tf.convert_to_tensor(a), tf.convert_to_tensor(b))
        for a, b in zip(
            gradients(found, list(variables.values()), x, target),
            gradients(model, [by_path(model)[p] for p in variables], x, target),
            strict=True,
        )
    )
    found.compile(optimizer=sgd(), loss="mean_squared_error")
    model.compile(optimizer=sgd(), loss="mean_squared_error", jit_compile=False)
    before = apart(variables, model)
    fitted(found, x, target)
    said["moved"] = apart(variables, model)
    fitted(model, x, target)
    said["trained"], said["before"] = apart(variables, model), before
    said["refused"] = [
        refused(lambda: module.OnDevices(["CPU:0"])),
        refused(lambda: module.OnDevices(["CPU:0", "GPU:7"])),
        refused(lambda: found.compile(jit_compile=True)),
    ]
    return said


def results_of(found: Any, x: Any, module: Any) -> list[Any]:
    """What each stage gives."""
    results: list[Any] = []
    values = module.ordered(x, module.ORDERS[0])
    for stage, orders in zip(found.stages, module.ORDERS[1:], strict=True):
        results.append(stage(values))
        values = module.ordered(results[-1], orders)
    return results


def operators(found: Any, x: Any, target: Any) -> list[Job]:
    """The devices of each stage's operators in TensorFlow's graph of the forward and backward pass."""
    import tensorflow as tf

    traced = tf.function(lambda x, t: gradients(found, found.weights, x, t))
    given = tf.convert_to_tensor(x), tf.convert_to_tensor(target)
    every = traced.get_concrete_function(*given).graph.get_operations()
    # What reads a variable stands where the variable is; constants stand anywhere.
    made = [
        op for op in every if "ReadVariableOp" not in op.name and op.type != "Const"
    ]
    said: list[Job] = []
    for stage in found.stages:
        own = [op for op in made if f"/{stage.name}" in op.name]
        behind = [op for op in own if op.name.startswith("gradient_tape/")]
        said.append(
            {
                "forward": len(own) - len(behind),
                "backward": len(behind),
                "devices": sorted({op.device for op in own}),
            }
        )
    return said


def gradients(model: Any, variables: list[Any], x: Any, target: Any) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - target) ** 2)
    return tape.gradient(loss, [variable.value for variable in variables])


def mirrored(job: Job) -> Job:
    model, x = whole(job), data_of(job)
    target = target_of(model(x))
    module = loaded(job["program"])
    found = module.mirrored(
        sgd, "mean_squared_error", len(x), ["CPU:0", "CPU:1"], metrics=["mae"]
    )
    with found.distribute_strategy.scope():
        found(x)
    paths = give(by_path(found), model)
    model.compile(optimizer=sgd(), loss="mean_squared_error", jit_compile=False)
    copies = [len(v.value.values) for v in found.weights]
    fitted(found, x, target)
    moved = apart(by_path(found), model)
    fitted(model, x, target)
    return {
        "paths": paths,
        "copies": copies,
        "moved": moved,
        "trained": apart(by_path(found), model),
        "refused": refused(lambda: module.mirrored(sgd, "mse", 7, ["CPU:0", "CPU:1"])),
    }


def sharded(job: Job) -> Job:
    import keras

    model, x = whole(job), data_of(job)
    expected = model.predict(x, batch_size=len(x), verbose=0)  # compiled, as below
    target = target_of(expected)
    module = loaded(job["program"])
    make = getattr(module, job["kind"])
    found = make(x, *job["arguments"])
    paths = give(by_path(found), model)
    output = distance(found.predict(x, batch_size=len(x), verbose=0), expected)
    said = {"paths": paths, "output": output, "bytes": module.shard_bytes(found)}
    said["shapes"] = {
        v.path: [list(s.data.shape) for s in v.value.addressable_shards]
        for v in found.weights
    }
    found.compile(optimizer=sgd(), loss="mean_squared_error")
    fitted(found, x, target)
    said["after"] = module.shard_bytes(found)
    trained = {path: numpy.array(v.value) for path, v in by_path(found).items()}
    said["moved"] = apart(trained, model)
    said["refused"] = [refused(lambda: make(x[:3], *job["arguments"]))]
    if job["kind"] == "model_parallel":
        said["refused"].append(refused(lambda: make(x, 3)))
        module.LAYOUTS = {"no/such/kernel": (None, "model")}
        said["refused"].append(refused(lambda: make(x, *job["arguments"])))
    keras.distribution.set_distribution(None)
    model.compile(optimizer=sgd(), loss="mean_squared_error")
    fitted(model, x, target)
    said["trained"] = apart(trained, model)
    return said


def elsewhere(job: Job) -> Job:
    """What a program says on a backend that is not its own."""
    module, x = loaded(job["program"]), data_of(job)
    calls = {
        "OnDevices": lambda: module.OnDevices(["CPU:0"] * 2),
        "mirrored": lambda: module.mirrored(sgd, "mse", 8),
        "data_parallel": lambda: module.data_parallel(x),
        "model_parallel": lambda: module.model_parallel(x, 1),
    }
    return {"refused": refused(calls[job["kind"]])}


RUNS = {
    "on_devices": on_devices,
    "mirrored": mirrored,
    "sharded": sharded,
    "elsewhere": elsewhere,
}


def main() -> None:
    import keras

    keras.config.set_floatx("float64")
    if sys.argv[1] in ("on_devices", "mirrored"):
        import tensorflow as tf

        two = [tf.config.LogicalDeviceConfiguration()] * 2
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, two)
    path = Path(sys.argv[2])
    jobs = json.loads(path.read_text())
    said = [RUNS[sys.argv[1]](job) for job in jobs]
    path.with_suffix(".said").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
