"""The worker that runs emitted Keras programs, on one of Keras's backends."""

# Keras has no annotations.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import tempfile
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnspec.verify.build import import_source
from nnspec.verify.exchange import Array, Call, Described, Outcome, Program
from nnspec.verify.keras_gradients import GRADIENTS, prepare
from nnspec.verify.randomness import Draws, replaced

SEED = "seed_generator_state"


class KerasSide:
    """Holds one built model; the methods are the commands of the worker."""

    def __init__(self, backend: str) -> None:
        prepare(backend)
        self.keras = _keras(backend)
        self._train = GRADIENTS[backend]
        self._model: Any = None
        self._weights: Mapping[str, Array] = {}

    def build(
        self, program: Program, floats: str, inputs: Sequence[Array]
    ) -> dict[str, Described]:
        """Builds the model and calls it once; gives its variables."""
        self._model = None
        self.keras.backend.clear_session()
        if (
            self.keras.backend.backend() == "jax"
        ):  # what was compiled serves the last model alone
            import jax

            jax.clear_caches()
        self.keras.config.set_floatx(floats)
        self._model = getattr(import_source(program.source), program.factory)()
        self._call(self._model, inputs, training=False)
        disarm(self._model)
        trained = {self._path(variable) for variable in self._model.trainable_variables}
        return {
            name: Described(tuple(variable.shape), name in trained)
            for name, variable in self._variables(self._model).items()
        }

    def assign(self, weights: Mapping[str, Array]) -> None:
        """Gives every variable its value."""
        self._weights = weights
        self._assign(self._model, weights)

    def evaluate(
        self, inputs: Sequence[Array], capture: Collection[str] = ()
    ) -> Outcome:
        """Runs the model in evaluation mode; writes down the calls of the layers named by `capture`."""
        calls: list[Call] = []
        with self._same_draws(), self._recorded(calls, capture):
            outputs = self._call(self._model, inputs, training=False)
        return Outcome(self._arrays(outputs), calls=calls)

    def train(
        self, inputs: Sequence[Array], cotangents: Sequence[Array | None]
    ) -> Outcome:
        """Runs the model in training mode and differentiates sum(output * cotangent)."""
        trained = {self._path(v): v for v in self._model.trainable_variables}

        def run() -> list[Any]:
            with self._same_draws():
                return self._flat(self._call(self._model, inputs, training=True))

        outputs, found = self._train(
            self._model, run, list(trained.values()), cotangents
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
        with self._same_draws():
            saved = self._arrays(self._call(loaded, inputs, training=False))
        for name, variable in zip(before, after, strict=True):
            variable.assign(weights[name])
        with self._same_draws():
            others = self._arrays(self._call(loaded, inputs, training=False))
        return saved, others

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
    def _recorded(self, calls: list[Call], wanted: Collection[str]) -> Generator[None]:
        if not wanted:
            yield
            return
        layer_class = self.keras.layers.Layer
        call = layer_class.__call__
        around: list[str] = []

        def wrapped(layer: Any, *inputs: Any, **options: Any) -> Any:
            if layer is self._model:
                return call(layer, *inputs, **options)
            # Layers without weights are never built, and so have no path of their own.
            path = layer.path or "/".join([*around[-1:], layer.name])
            around.append(_below(self._model, path))
            try:
                result = call(layer, *inputs, **options)
            finally:
                own = around.pop()
            if own in wanted:
                calls.append(Call(own, tuple(self._arrays(result))))
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

        functions = {"normal": drawn(draws.normal), "uniform": drawn(draws.uniform)}
        with replaced(self.keras.random, **functions):
            yield


def disarm(model: Any) -> None:
    """Sets every dropout rate to zero."""
    for layer in model._flatten_layers():  # Keras has no public walk over nested layers
        if isinstance(getattr(layer, "rate", None), float):
            layer.rate = 0.0


def _below(model: Any, path: str) -> str:
    """A path without the name of the model in front."""
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
