"""Runs cases on one Keras backend (KERAS_BACKEND), for a parent that sends them through a pipe."""

# ruff: noqa: E402 -- a backend must be set up before Keras is imported
from __future__ import annotations

import importlib
import itertools
import os
import pickle
import sys
import traceback
from typing import Any

BACKEND = os.environ["KERAS_BACKEND"]
KEPT = 50
"""After how many cases a worker forgets what they left behind."""
if BACKEND == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)
elif BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import torch

    torch.set_num_threads(1)

import keras
import numpy as np
from harness import Draw, Outcome, logical, order_of
from keras import ops
from keras.src.backend.common import dtypes
from lowering import LABEL, flat_types, lower, namespace

from nnspec.ops.base import KerasWeight
from nnspec.ops.weight_steps import SumPair, apply, undo

keras.config.set_floatx("float64")
# Keras computes some statistics at 32 bits by this table, whatever the policy says.
for _name in list(dtypes.BIT64_TO_BIT32_DTYPE):
    dtypes.BIT64_TO_BIT32_DTYPE[_name] = _name


def make(draw: Draw, types: list[Any], last: bool) -> keras.layers.Layer:
    """A layer whose call is the operator's lowering."""
    lowered = lower(draw.operator, types, "keras", last)
    names = dict(namespace("keras"))
    exec(lowered.function("apply", ", training=None"), names)

    def call(self: Any, inputs: Any, training: Any = None) -> Any:
        results = names["apply"](self, *inputs, training=training)
        return tuple(r.value if isinstance(r, keras.Variable) else r for r in results)

    host = type("Host", (keras.layers.Layer,), {"call": call})(autocast=False)
    for name, source in lowered.modules.items():
        setattr(host, name, eval(source, names))
    for name in lowered.parameters:
        spec = draw.specs[name]
        shape = tuple(int(size) for size in spec.shape)
        variable = host.add_weight(
            shape=shape, name=f"{LABEL}_{name}", trainable=spec.trainable
        )
        setattr(host, f"{LABEL}_{name}", variable)
    return host


def places(draw: Draw, host: keras.layers.Layer) -> list[tuple[KerasWeight, Any]]:
    """The variable of each weight; fails unless they are exactly those of the layers."""
    variables = [v for v in host.variables if "seed_generator" not in v.path]
    found: list[tuple[KerasWeight, Any]] = []
    for weight in draw.operator.keras_weights(*draw.types):
        own = f"/{LABEL}{weight.suffix}/{weight.variable}"
        bare = f"/{LABEL}_{weight.variable}"
        matches = [v for v in variables if f"/{v.path}".endswith((own, bare))]
        assert len(matches) == 1, f"{own}: {[v.path for v in variables]}"
        found.append((weight, matches[0]))
    assert len(found) == len(variables), (
        f"weights without a place among {[v.path for v in variables]}"
    )
    for weight, variable in found:
        trainable = {draw.specs[source].trainable for source in weight.sources}
        assert trainable == {variable.trainable}, variable.path
    return found


def assign(draw: Draw, host: keras.layers.Layer) -> list[tuple[KerasWeight, Any]]:
    """Gives every variable its value."""
    found = places(draw, host)
    for weight, variable in found:
        (value,) = apply(
            weight.steps, [draw.weights[source] for source in weight.sources]
        )
        assert tuple(variable.shape) == value.shape, variable.path
        variable.assign(value)
    return found


def run(draw: Draw, last: bool) -> Outcome:
    """Results and gradients in the logical order and PyTorch's layout of weights."""
    host = make(draw, draw.types, last)
    arrays = [array.transpose(order_of(array.ndim, last)) for array in draw.flat()]
    # Layers make their variables from shapes alone.
    host([keras.KerasTensor(array.shape, array.dtype.name) for array in arrays])
    found = assign(draw, host)
    orders = (
        draw.result_orders() if last else [tuple(range(r.rank)) for r in draw.results]
    )
    cotangents = [
        c.transpose(order) for c, order in zip(draw.cotangents, orders, strict=True)
    ]
    trained = [(weight, variable) for weight, variable in found if variable.trainable]
    differentiate = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[BACKEND]
    outputs, of_inputs, of_variables = differentiate(
        host, arrays, [v for _, v in trained], cotangents, draw.case.training
    )
    gradients: dict[str, np.ndarray] = {}
    for i, gradient in of_inputs.items():
        gradients[f"x{i}"] = logical(gradient, order_of(arrays[i].ndim, last))
    for (weight, _), gradient in zip(trained, of_variables, strict=True):
        gradients |= _to_sources(weight, gradient)
    results = [
        logical(np.asarray(o), order) for o, order in zip(outputs, orders, strict=True)
    ]
    dynamic = None
    symbolic = draw.symbolic()
    if symbolic is not None:
        again = _dynamic(draw, symbolic, arrays, last)
        dynamic = [logical(o, order) for o, order in zip(again, orders, strict=True)]
    return Outcome(results, gradients, dynamic)


def _to_sources(weight: KerasWeight, gradient: np.ndarray) -> dict[str, np.ndarray]:
    values = undo(weight.steps, [gradient])
    if any(isinstance(step, SumPair) for step in weight.steps):
        values = [values[0], values[0]]  # both summands have the derivative of the sum
    return dict(zip(weight.sources, values, strict=True))


def _dynamic(
    draw: Draw, types: list[Any], arrays: list[np.ndarray], last: bool
) -> list[np.ndarray]:
    """The results of a functional model whose open sizes are not known, traced where that exists."""
    inputs = []
    for entry, array in zip(flat_types(types), arrays, strict=True):
        sizes = np.array([int(s) if s.is_constant else -1 for s in entry.shape])
        order = order_of(entry.rank, last)
        shape = [None if sizes[axis] < 0 else int(sizes[axis]) for axis in order]
        inputs.append(keras.Input(batch_shape=shape, dtype=array.dtype.name))
    host = make(draw, types, last)
    model = keras.Model(inputs, host(inputs))
    assign(draw, host)
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    if BACKEND != "tensorflow":
        outputs: Any = keras.tree.flatten(
            jax.jit(_pure(model))(_values(model), tensors)
            if BACKEND == "jax"
            else model(tensors)
        )
        return [np.asarray(ops.convert_to_numpy(output)) for output in outputs]
    signature = [tf.TensorSpec(i.shape, i.dtype) for i in inputs]
    traced = tf.function(lambda *xs: model(list(xs)), input_signature=signature)
    return [output.numpy() for output in keras.tree.flatten(traced(*tensors))]


def _floats(arrays: list[np.ndarray]) -> list[int]:
    return [i for i, array in enumerate(arrays) if array.dtype.kind == "f"]


def _tensorflow(
    host: Any, arrays: Any, variables: Any, cotangents: Any, training: bool
) -> Any:
    tensors = [tf.convert_to_tensor(array) for array in arrays]
    floats = _floats(arrays)
    with tf.GradientTape() as tape:
        tape.watch([tensors[i] for i in floats])
        outputs = host(tensors, training=training)
        terms = [
            tf.reduce_sum(o * c)
            for o, c in zip(outputs, cotangents, strict=True)
            if o.dtype.is_floating
        ]
        loss = tf.add_n(terms) if terms else None
    values = [o.numpy() for o in outputs]
    sources = [tensors[i] for i in floats] + [v.value for v in variables]
    if loss is None or not sources:
        return values, {}, []
    found = tape.gradient(
        loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    dense = [tf.convert_to_tensor(gradient).numpy() for gradient in found]
    return values, dict(zip(floats, dense, strict=False)), dense[len(floats) :]


def _values(layer: Any) -> list[Any]:
    return [variable.value for variable in layer.variables]


def _pure(layer: Any, **options: Any) -> Any:
    """A layer as a function of the values of its variables and of its inputs, as JAX compiles it."""

    def function(values: Any, tensors: Any) -> list[Any]:
        pairs = list(zip(layer.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return keras.tree.flatten(layer(tensors, **options))

    return function


def _jax(
    host: Any, arrays: Any, variables: Any, cotangents: Any, training: bool
) -> Any:
    floats = _floats(arrays)
    order = {id(variable): place for place, variable in enumerate(host.variables)}
    chosen = [order[id(variable)] for variable in variables]
    call = _pure(host, training=training)

    def loss(moving: Any, trained: Any, values: Any, tensors: Any, over: Any) -> Any:
        outputs = call(
            _replaced(values, chosen, trained), _replaced(tensors, floats, moving)
        )
        terms = [
            (o * c).sum()
            for o, c in zip(outputs, over, strict=True)
            if o.dtype.kind == "f"
        ]
        return sum(terms, start=jax.numpy.zeros(())), outputs

    # Compiled as a whole: operation by operation takes four times as long.
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    (of_inputs, of_variables), outputs = gradient(
        [arrays[i] for i in floats],
        [v.value for v in variables],
        _values(host),
        arrays,
        cotangents,
    )
    values = [np.asarray(o) for o in outputs]
    if not any(o.dtype.kind == "f" for o in outputs):
        return values, {}, []
    found = dict(zip(floats, map(np.asarray, of_inputs), strict=True))
    return values, found, [np.asarray(g) for g in of_variables]


def _replaced(entries: Any, places: Any, others: Any) -> list[Any]:
    found = list(entries)
    for place, other in zip(places, others, strict=True):
        found[place] = other
    return found


def _torch(
    host: Any, arrays: Any, variables: Any, cotangents: Any, training: bool
) -> Any:
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    floats = _floats(arrays)
    for i in floats:
        tensors[i].requires_grad_()
    outputs = host(tensors, training=training)
    pairs = [
        (o, torch.from_numpy(np.ascontiguousarray(c)))
        for o, c in zip(outputs, cotangents, strict=True)
    ]
    terms = [(o * c).sum() for o, c in pairs if o.requires_grad]
    sources = [tensors[i] for i in floats] + [v.value for v in variables]
    values = [o.detach().numpy() for o in outputs]
    if not any(o.is_floating_point() for o in outputs) or not sources:
        return values, {}, []
    found: Any = [None] * len(sources)
    if terms:  # else the results do not depend on the inputs
        loss: Any = sum(terms)
        found = torch.autograd.grad(loss, sources, allow_unused=True)
    dense = [
        (torch.zeros_like(source) if gradient is None else gradient).numpy()
        for source, gradient in zip(sources, found, strict=True)
    ]
    return values, dict(zip(floats, dense, strict=False)), dense[len(floats) :]


def main() -> None:
    """Answers requests until the parent closes the pipe; what Keras prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for answered in itertools.count(1):
        try:
            module, index, last = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        # Collecting what each case leaves behind would take longer than the case.
        keras.backend.clear_session(free_memory=answered % KEPT == 0)
        if BACKEND == "jax" and answered % KEPT == 0:
            jax.clear_caches()
        try:
            case = importlib.import_module(module).CASES[index]
            answer: Any = run(Draw(case), last)
        except Exception:
            answer = f"{BACKEND}: {traceback.format_exc()}"
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
    os._exit(0)  # taking the frameworks apart would take longer than many a case
