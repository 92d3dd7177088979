"""Runs emitted Keras programs on several devices beside the whole model on one, and writes what differs.

    python keras_worker.py JOBS.json

The parent sets the backend and, for JAX, the number of devices. One process runs all jobs of a backend.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
from loading import Job, loaded


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
    if not model.built:
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
    said["before"] = apart(variables, model)
    if job["fits"]:
        found.compile(optimizer=sgd(), loss="mean_squared_error")
        model.compile(optimizer=sgd(), loss="mean_squared_error", jit_compile=False)
        fitted(found, x, target)
        said["moved"] = apart(variables, model)
        fitted(model, x, target)
        said["trained"] = apart(variables, model)
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
    """Shards of JAX: outputs and gradients beside those of one device, as shares of the largest."""
    import keras

    keras.distribution.set_distribution(None)
    model, x = whole(job), data_of(job)
    target = numpy.random.default_rng(4).normal(size=job["result"])
    expected, wanted = jax_pass(model, x, target)
    module = loaded(job["program"])
    make = getattr(module, job["kind"])
    found = make(x)
    paths = give(by_path(found), model)
    layout = keras.distribution.distribution().get_data_layout(x.shape)
    parts = keras.distribution.distribute_tensor(x, layout)
    output, gradients = jax_pass(found, parts, target)
    said = {
        "paths": paths,
        "output": relative(output, expected),
        "gradient": max(relative(a, b) for a, b in zip(gradients, wanted, strict=True)),
        "bytes": module.shard_bytes(found),
        "shapes": {
            v.path: [list(s.data.shape) for s in v.value.addressable_shards]
            for v in found.weights
        },
        "refused": [refused(lambda: make(x[:3]))],
    }
    if job["fits"]:
        found.compile(optimizer=sgd(), loss="mean_squared_error")
        fitted(found, x, target)
        said["after"] = module.shard_bytes(found)
    if job["kind"] == "model_parallel":
        names = keras.distribution.list_devices()
        said["refused"].append(refused(lambda: make(x, names[: module.SHARDS + 1])))
        module.LAYOUTS = {"no/such/kernel": (None, "model")}
        said["refused"].append(refused(lambda: make(x)) if job["fits"] else "")
    keras.distribution.set_distribution(None)
    return said


def jax_pass(model: Any, x: Any, target: numpy.ndarray) -> tuple[Any, list[Any]]:
    """The output, and the gradient of the loss for each trained variable, compiled as one."""
    import jax

    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(weights: list[Any], x: Any) -> Any:
        output, _ = model.stateless_call(weights, fixed, x)
        return ((output - target) ** 2).mean(), output

    weights = [variable.value for variable in model.trainable_variables]
    (_, output), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(weights, x)
    return output, gradients


def relative(a: Any, b: Any) -> float:
    """The largest distance, as a share of the largest element."""
    return distance(a, b) / float(numpy.abs(numpy.asarray(b)).max())


def elsewhere(job: Job) -> Job:
    """What a program says on a backend that is not its own."""
    module, x = loaded(job["program"]), data_of(job)
    calls = {
        "OnDevices": lambda: module.OnDevices(["CPU:0"] * 2),
        "mirrored": lambda: module.mirrored(sgd, "mse", 8),
        "data_parallel": lambda: module.data_parallel(x),
        "model_parallel": lambda: module.model_parallel(x),
    }
    return {"refused": refused(calls[job["kind"]])}


RUNS = {
    "on_devices": on_devices,
    "mirrored": mirrored,
    "sharded": sharded,
    "elsewhere": elsewhere,
}


def exact() -> None:
    """Float64 stays float64: Keras would compute means and norms in float32."""
    from keras.src.backend.common import dtypes

    for name in list(dtypes.BIT64_TO_BIT32_DTYPE):
        dtypes.BIT64_TO_BIT32_DTYPE[name] = name


def main() -> None:
    import keras

    exact()
    keras.config.set_floatx("float64")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        two = [tf.config.LogicalDeviceConfiguration()] * 2
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, two)
    path = Path(sys.argv[1])
    jobs = json.loads(path.read_text())
    said = [RUNS[job["run"]](job) for job in jobs]
    path.with_suffix(".said").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
