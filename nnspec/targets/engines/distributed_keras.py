"""What emitted Keras programs carry that run on several devices. Read as text, never imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf
from keras import distribution, layers, ops

MODEL: Callable[..., keras.Model] = keras.Model
OPTIONS: dict[str, str] = {}
STAGES: Sequence[Callable[..., keras.Model]] = ()
ORDERS: Sequence[Sequence[tuple[int, ...]]] = ()
PATHS: Sequence[dict[str, str]] = ()
SHARDS = 1
LAYOUTS: dict[str, tuple[str | None, ...]] = {}


def require_backend(wanted: str) -> None:
    """Other backends accept this program and ignore where it says that things are."""
    found = keras.backend.backend()
    if found != wanted:
        raise ValueError(
            f"this program distributes the model by {wanted}, and Keras runs on {found}: "
            f"set KERAS_BACKEND={wanted}"
        )


class OnDevice(layers.Layer):
    """A stage on one device: its variables, and the operators that it runs."""

    def __init__(
        self, make: Callable[..., keras.Model], device: str, **options
    ) -> None:
        super().__init__(autocast=False, **options)
        self.placed_on = device
        with tf.device(device):
            self.stage = make()

    def call(self, inputs):
        # Builds the stage, too, the first time.
        several = isinstance(inputs, (list, tuple))
        with tf.device(self.placed_on):
            return self.applied(*(inputs if several else [inputs]))

    @tf.custom_gradient
    def applied(self, *inputs):
        """The stage, whose backward pass TensorFlow alone would leave on the first device."""
        values = list(inputs)
        floats = [value for value in values if value.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            outputs = self.stage(values if len(values) > 1 else values[0])

        def backward(*given, variables=()):
            with tf.device(self.placed_on):
                found = iter(
                    tape.gradient(
                        tf.nest.flatten(outputs),
                        [*floats, *variables],
                        output_gradients=list(given),
                        unconnected_gradients="zero",
                    )
                )
                ahead = [
                    next(found) if value.dtype.is_floating else None for value in values
                ]
                return ahead, list(found)

        return outputs, backward

    def whole_paths(self, moved: dict[str, str]) -> dict[str, keras.Variable]:
        """The variables of the stage by their paths in the whole model."""
        found = {}
        for variable in self.stage.weights:
            before, _, below = variable.path.partition(f"{self.stage.name}/")
            found[whole_path(below or before, moved)] = variable
        return found


class OnDevices(keras.Model):
    """The stages in turn, each on its device; TensorFlow moves what goes from one to the next.

    Devices are named as `tf.config.list_logical_devices` names them: `CPU:0`, `GPU:1`.
    """

    def __init__(self, devices: Sequence[str], **options) -> None:
        require_backend("tensorflow")
        if len(devices) != len(STAGES):
            raise ValueError(f"{len(STAGES)} devices are needed, one for each stage")
        known = [device.name for device in tf.config.list_logical_devices()]
        for device in devices:
            if f"/device:{device}" not in known:
                raise ValueError(f"there is no device {device} among {known}")
        super().__init__(autocast=False, **options)
        self.stages = [
            OnDevice(make, device, name=f"stage_{number}")
            for number, (make, device) in enumerate(zip(STAGES, devices, strict=True))
        ]

    def call(self, inputs):
        values = ordered(inputs, ORDERS[0])
        for stage, orders in zip(self.stages, ORDERS[1:], strict=True):
            values = ordered(stage(values), orders)
        return values

    def compile(self, *args, jit_compile: bool = False, **options) -> None:
        """As of any model, but for XLA, which compiles for a single device."""
        if jit_compile:
            raise ValueError("several devices need jit_compile=False")
        super().compile(*args, jit_compile=False, **options)

    def whole_paths(self) -> dict[str, keras.Variable]:
        """The variables, once they are built, by their paths in the whole model."""
        return {
            path: variable
            for stage, moved in zip(self.stages, PATHS, strict=True)
            for path, variable in stage.whole_paths(moved).items()
        }


def whole_path(path: str, moved: dict[str, str]) -> str:
    """The path in the whole model of a variable of a stage."""
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        here = "/".join(parts[:count])
        if here in moved:
            return "/".join([moved[here], *parts[count:]])
    return path


def ordered(values, orders: Sequence[tuple[int, ...]]):
    """Values with their axes in the order in which the next stage takes them."""
    if not isinstance(values, (list, tuple)):
        return ops.transpose(values, orders[0]) if orders[0] else values
    return [
        ops.transpose(value, order) if order else value
        for value, order in zip(values, orders, strict=True)
    ]


def mirrored(
    optimizer: Callable[[], keras.Optimizer],
    loss: Callable | str,
    batch_size: int,
    devices: Sequence[str] | None = None,
    **options,
) -> keras.Model:
    """The compiled model with a copy on each device: `fit` splits each batch over them.

    Every device takes an equal part of `batch_size`, the batch of all of them together, and
    gradients are averaged. Give `fit` whole batches: the parts of a last, smaller one weigh
    the same whatever their sizes. `optimizer` makes one, in the scope of the strategy.
    A process can train one such model: TensorFlow would mix up the sums of two.
    """
    require_backend("tensorflow")
    strategy = tf.distribute.MirroredStrategy(devices)
    copies = strategy.num_replicas_in_sync
    if batch_size % copies:
        raise ValueError(
            f"a batch of {batch_size} does not divide over {copies} devices"
        )
    with strategy.scope():
        model = MODEL()
        model.compile(optimizer=optimizer(), loss=loss, jit_compile=False, **options)
    return model


def data_parallel(sample, devices: Sequence[str] | None = None) -> keras.Model:
    """The model with a copy of its weights on each device; every batch is split over them.

    `sample` is a batch of inputs (a list, where there are several), with which the model
    is built.
    """
    require_backend("jax")
    whole = distribution.DataParallel(devices=devices or distribution.list_devices())
    distribution.set_distribution(whole)
    return built(sample, whole.device_mesh, {})


def model_parallel(sample, devices: Sequence[str] | None = None) -> keras.Model:
    """The model with the layers of `LAYOUTS` split into `SHARDS`; the batch is split over the rest.

    Linear layers are split in pairs, the first by columns, the second by rows, with the heads
    of attention between them (Shoeybi et al., 2019). Raises `ValueError` if a shard is not
    what was asked for.
    """
    require_backend("jax")
    names = list(devices or distribution.list_devices())
    if len(names) % SHARDS:
        raise ValueError(f"{len(names)} devices do not divide into {SHARDS} shards")
    mesh = distribution.DeviceMesh(
        (len(names) // SHARDS, SHARDS), ("batch", "model"), names
    )
    layouts = distribution.LayoutMap(mesh)
    for path, axes in LAYOUTS.items():
        layouts[path] = axes
    distribution.set_distribution(
        distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
    )
    return built(sample, mesh, LAYOUTS)


def built(sample, mesh, layouts: dict[str, tuple[str | None, ...]]) -> keras.Model:
    """The model with its variables made, and every shard of them as it should be."""
    for inputs in sample if isinstance(sample, (list, tuple)) else [sample]:
        if inputs.shape[0] % mesh.shape[0]:
            raise ValueError(
                f"a batch of {inputs.shape[0]} does not divide over {mesh.shape[0]} devices"
            )
    model = MODEL(**OPTIONS)
    if not model.built:
        model(sample)
    check_shards(model, dict(zip(mesh.axis_names, mesh.shape, strict=True)), layouts)
    return model


def check_shards(
    model: keras.Model,
    sizes: dict[str, int],
    layouts: dict[str, tuple[str | None, ...]],
) -> None:
    """Every variable lies on the devices as `layouts` says, and what it does not name is whole.

    Keras replicates a variable whose path no layout names, so a wrong path shards nothing.
    """
    found = {variable.path: variable for variable in model.weights}
    for path in layouts:
        if path not in found:
            raise ValueError(f"the layout of {path} fits no variable of the model")
    for path, variable in found.items():
        axes = layouts.get(path, (None,) * len(variable.shape))
        expected = tuple(
            size // sizes[axis] if axis else size
            for size, axis in zip(variable.shape, axes, strict=True)
        )
        for shard in variable.value.addressable_shards:
            if shard.data.shape != expected:
                raise ValueError(
                    f"{path} has shards of {shard.data.shape} instead of {expected}"
                )


def shard_bytes(model: keras.Model) -> dict[str, int]:
    """The bytes of weights that each device holds."""
    found: dict[str, int] = {}
    for variable in model.weights:
        for shard in variable.value.addressable_shards:
            name = str(shard.device)
            found[name] = found.get(name, 0) + shard.data.nbytes
    return found
