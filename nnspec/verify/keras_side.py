"""The worker that runs emitted Keras programs, on one of Keras's backends."""

# Keras has no annotations.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import gc
import itertools
import tempfile
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnspec.targets.probes import PROBE
from nnspec.verify.build import import_source
from nnspec.verify.exchange import Array, Call, Described, Outcome, Program
from nnspec.verify.keras_gradients import GRADIENTS, RUNNERS, prepare
from nnspec.verify.probing import Recorder
from nnspec.verify.randomness import Draws, replaced

_numbers = itertools.count()
SEED = "seed_generator_state"


class KerasSide:
    """Holds one built model; the methods are the commands of the worker."""

    def __init__(self, backend: str) -> None:
        prepare(backend)
        self.keras = _keras(backend)
        gc.freeze()  # what the framework has loaded stays: no collection goes through it
        self._runner = RUNNERS[backend]
        self._train = GRADIENTS[backend]
        self._source = ""
        self._model: Any = None
        self._probed: Any = None
        self._recorder = Recorder(self._arrays)
        self._making = False
        self._fixed: list[tuple[int, Any]] = []
        self._shows = _shows(self.keras, self._recorder.see)
        self._weights: Mapping[str, Array] = {}

    def build(
        self, program: Program, floats: str, inputs: Sequence[Array]
    ) -> dict[str, Described]:
        """Builds the model; gives its variables."""
        self._model = self._probed = None
        self.keras.backend.clear_session()
        if program.source != self._source:
            self._forget()
        self._source = program.source
        self.keras.config.set_floatx(floats)
        factory = getattr(import_source(program.source), program.factory)
        with self._same_draws():  # no draw is compiled for values that are replaced
            self._model = factory()
            self._make_variables(self._model, inputs)
        disarm(self._model)
        trained = {self._path(variable) for variable in self._model.trainable_variables}
        return {
            name: Described(tuple(variable.shape), name in trained)
            for name, variable in self._variables(self._model).items()
        }

    def _forget(self) -> None:
        """What JAX has compiled serves one program alone."""
        if self.keras.backend.backend() == "jax":
            import jax

            jax.clear_caches()

    def _make_variables(self, model: Any, inputs: Sequence[Array]) -> None:
        """Calls a model with shapes alone, if it has not made its variables yet."""
        if model.built:
            return
        like = [self.keras.KerasTensor(a.shape, a.dtype.name) for a in inputs]
        model(like[0] if len(like) == 1 else like, training=False)

    def assign(self, weights: Mapping[str, Array]) -> None:
        """Gives every variable its value."""
        self._weights = weights
        self._assign(self._model, weights)

    def evaluate(
        self, inputs: Sequence[Array], capture: Collection[str] = ()
    ) -> Outcome:
        """Runs the model in evaluation mode; writes down the calls of the layers named by `capture`."""
        calls: list[Call] = []

        def ended(path: str, result: Any) -> None:
            if path in capture:
                calls.append(Call(path, tuple(self._arrays(result))))

        with self._same_draws(), self._followed(self._model, ended):
            outputs = self._call(self._model, inputs, training=False)
        return Outcome(self._arrays(outputs), calls=calls)

    # ---- probes ----

    def build_probed(self, program: Program, inputs: Sequence[Array]) -> None:
        """Builds the same model of a program with probes, with the same weights."""
        module = import_source(program.source, **{PROBE: self._probe})
        self._fixed, self._making = [], True
        try:
            with self._same_draws(), self._followed(None):
                self._probed = getattr(module, program.factory)()
        finally:
            self._making = False
        with self._same_draws():
            self._make_variables(self._probed, inputs)
        disarm(self._probed)
        self._assign(self._probed, self._weights)

    def show(self, inputs: Sequence[Array], wanted: Collection[str]) -> Outcome:
        """Runs the model with probes in evaluation mode; writes down the values that are wanted."""
        with (
            self._same_draws(),
            self._followed(self._probed),
            self._recorder.writing(wanted) as seen,
        ):
            for number, value in self._fixed:
                self._recorder.see(number, value)
            outputs = self._call(self._probed, inputs, training=False)
        return Outcome(self._arrays(outputs), calls=seen)

    def _probe(self, number: int, value: Any) -> Any:
        """Shows a value when it is computed. In a function that makes a model this is later, by an operation."""
        if self._making and not self._recorder.layers:
            if any(isinstance(v, self.keras.KerasTensor) for v in self._flat(value)):
                return self._shows(number)(value)
            self._fixed.append((number, value))
        self._recorder.see(number, value)
        return value

    def train(
        self, inputs: Sequence[Array], cotangents: Sequence[Array | None]
    ) -> Outcome:
        """Runs the model in training mode and differentiates sum(output * cotangent)."""
        trained = {self._path(v): v for v in self._model.trainable_variables}

        def run(tensors: Sequence[Any]) -> list[Any]:
            with self._same_draws():
                return self._flat(self._call(self._model, tensors, training=True))

        outputs, found = self._train(
            self._model, run, inputs, list(trained.values()), cotangents
        )
        variables = self._variables(self._model)
        state = {
            name: self._array(v) for name, v in variables.items() if name not in trained
        }
        self._assign(self._model, self._weights)
        gradients = dict(zip(trained, found, strict=True))
        return Outcome([self._array(output) for output in outputs], gradients, state)

    # ---- further claims ----

    def reloaded(
        self, inputs: Sequence[Array], weights: Mapping[str, Array]
    ) -> tuple[list[Array], list[Array]]:
        """The outputs of the model after it was saved and loaded.

        First those of the weights that were saved, then those of others that are assigned afterwards,
        by which a tie shows that was not restored.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "model.keras"))
            self._model.save(path)
            with self._same_draws():
                loaded = self.keras.saving.load_model(path)
        # By place, since Keras forgets the outer part of some paths when it loads.
        before = self._variables(self._model)
        after = [v for v in loaded.variables if not v.path.endswith(SEED)]
        shapes = (
            [tuple(v.shape) for v in before.values()],
            [tuple(v.shape) for v in after],
        )
        if shapes[0] != shapes[1]:
            raise AssertionError(
                f"{len(before)} variables were saved, {len(after)} loaded"
            )

        def forward(tensors: Sequence[Any]) -> Any:
            with self._same_draws():
                return self._call(loaded, tensors, training=False)

        run = self._runner(loaded, forward)
        saved = self._arrays(run(inputs))
        for name, variable in zip(before, after, strict=True):
            variable.assign(weights[name])
        return saved, self._arrays(run(inputs))

    # ---- calls and variables ----

    def _call(self, model: Any, inputs: Sequence[Array], *, training: bool) -> Any:
        tensors = [
            self.keras.ops.convert_to_tensor(array, dtype=array.dtype.name)
            for array in inputs
        ]
        return model(tensors[0] if len(tensors) == 1 else tensors, training=training)

    def _assign(self, model: Any, weights: Mapping[str, Array]) -> None:
        variables = self._variables(model)
        for name, value in weights.items():
            variables[name].assign(value)

    def _variables(self, model: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for variable in model.variables:
            name = _below(model, variable.path)
            if name.endswith(SEED):
                continue
            if name in found:
                raise AssertionError(f"two variables have the path {name}")
            found[name] = variable
        return found

    def _path(self, variable: Any) -> str:
        return _below(self._model, variable.path)

    def _flat(self, outputs: Any) -> list[Any]:
        return self.keras.tree.flatten(outputs)

    def _array(self, tensor: Any) -> Array:
        return self.keras.ops.convert_to_numpy(tensor)

    def _arrays(self, outputs: Any) -> list[Array]:
        return [self._array(tensor) for tensor in self._flat(outputs)]

    # ---- what is put in place of Keras's own ----

    @contextmanager
    def _followed(
        self, model: Any, ended: Callable[[str, Any], None] | None = None
    ) -> Generator[None]:
        """Inside, the recorder knows which layers of a model run; `ended` gets the result of each."""
        layer_class = self.keras.layers.Layer
        call = layer_class.__call__
        layers = self._recorder.layers

        def wrapped(layer: Any, *inputs: Any, **options: Any) -> Any:
            if layer is model:
                return call(layer, *inputs, **options)
            # Layers without weights are never built, and so have no path of their own.
            path = layer.path or "/".join([*layers[-1:], layer.name])
            layers.append(_below(model, path))
            try:
                result = call(layer, *inputs, **options)
            finally:
                own = layers.pop()
            if ended is not None:
                ended(own, result)
            return result

        with replaced(layer_class, __call__=wrapped):
            yield

    @contextmanager
    def _same_draws(self) -> Generator[None]:
        draws = Draws()

        def drawn(function: Any) -> Any:
            def draw(shape: Any, *_: Any, dtype: str | None = None, **__: Any) -> Any:
                values = function(tuple(int(size) for size in shape))
                floats = dtype or self.keras.config.floatx()
                return self.keras.ops.convert_to_tensor(values, dtype=floats)

            return draw

        normal, uniform = drawn(draws.normal), drawn(draws.uniform)
        functions = {"normal": normal, "uniform": uniform, "truncated_normal": normal}
        from keras.src.backend import random  # what initializers draw from

        with (
            replaced(self.keras.random, **functions),
            replaced(random, **functions),
        ):
            yield


def disarm(model: Any) -> None:
    """Sets every dropout rate to zero."""
    for layer in model._flatten_layers():  # Keras has no public walk over nested layers
        if isinstance(getattr(layer, "rate", None), float):
            layer.rate = 0.0


def _shows(keras: Any, see: Callable[[int, Any], None]) -> Any:
    """The operation that shows a value wherever a graph has it, and gives it on."""

    class Shows(keras.Operation):
        def __init__(self, number: int) -> None:
            super().__init__(name=f"{PROBE}_{number}_{next(_numbers)}")
            self.number = number

        def call(self, value: Any) -> Any:
            see(self.number, value)
            return value

        def compute_output_spec(self, value: Any) -> Any:
            return keras.tree.map_structure(_like, value)

    def _like(tensor: Any) -> Any:
        return keras.KerasTensor(tensor.shape, tensor.dtype)

    return Shows


def _below(model: Any, path: str) -> str:
    """A path without the name of the model in front."""
    if model is None:
        return path
    return path.removeprefix(f"{model.name}/")


def _keras(backend: str) -> Any:
    """Keras, with statistics in the precision that was asked for."""
    import keras
    from keras.src.backend.common import dtypes

    if keras.config.backend() != backend:
        raise AssertionError(
            f"Keras runs on {keras.config.backend()}, not on {backend}"
        )
    keras.config.disable_traceback_filtering()  # its wrapped messages hide the emitted line
    # Keras computes some statistics in 32 bits by this table, whatever the policy says.
    for name in list(dtypes.BIT64_TO_BIT32_DTYPE):
        dtypes.BIT64_TO_BIT32_DTYPE[name] = name
    return keras
