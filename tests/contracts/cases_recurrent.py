"""Cases of the recurrent layers and cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Array, Case, normal


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def step(
    kind: str, x: Array, state: list[Array], weights: dict[str, Array]
) -> list[Array]:
    """One step of one layer, from PyTorch's weights; the new state."""
    zero = np.zeros(weights["weight_ih"].shape[0])
    inner = x @ weights["weight_ih"].T + weights.get("bias_ih", zero)
    outer = state[0] @ weights["weight_hh"].T + weights.get("bias_hh", zero)
    if kind == "relu":
        return [np.maximum(inner + outer, 0)]
    if kind == "tanh":
        return [np.tanh(inner + outer)]
    if kind == "GRU":
        (r, z, n), (s, w, m) = np.split(inner, 3, -1), np.split(outer, 3, -1)
        update = sigmoid(z + w)
        return [update * state[0] + (1 - update) * np.tanh(n + sigmoid(r + s) * m)]
    enter, forget, cell, leave = np.split(inner + outer, 4, -1)
    memory = sigmoid(forget) * state[1] + sigmoid(enter) * np.tanh(cell)
    return [sigmoid(leave) * np.tanh(memory), memory]


def run(
    kind: str,
    x: Array,
    initial: list[Array],
    weights: dict[str, Array],
    ending: str,
) -> tuple[Array, list[Array]]:
    """A layer in one direction over a sequence; its outputs in the order of the sequence."""
    own = {
        name.removesuffix(ending): value
        for name, value in weights.items()
        if name.endswith(ending) and ("reverse" in ending or "reverse" not in name)
    }
    state, outputs = initial, {}
    times = range(x.shape[1])
    for t in reversed(times) if "reverse" in ending else times:
        state = step(kind, x[:, t], state, own)
        outputs[t] = state[0]
    return np.stack([outputs[t] for t in times], 1), state


def recurrent(
    op: str, hidden: int, layers: int, directions: int, returns: str, kind: str
) -> Any:
    """The oracle of one configuration."""
    count = 2 if op == "LSTM" else 1

    def oracle(x: Array, *states: Array | None, **weights: Array) -> Any:
        finals: list[list[Array]] = [[] for _ in range(count)]
        for layer in range(layers):
            outputs = []
            for direction in range(directions):
                row = layer * directions + direction
                initial = [
                    np.zeros((x.shape[0], hidden)) if s is None else s[row]
                    for s in states[:count]
                ]
                ending = f"_l{layer}" + ("_reverse" if direction else "")
                output, state = run(kind, x, initial, weights, ending)
                outputs.append(output)
                for final, part in zip(finals, state, strict=True):
                    final.append(part)
            x = np.concatenate(outputs, -1)
        if returns == "sequence":
            return x
        if returns == "last":
            return np.concatenate(finals[0][-directions:], -1)
        return [x, *(np.stack(final) for final in finals)]

    return oracle


def case(op: str, *, initial: bool = False, symbols: str = "", **fields: Any) -> Case:
    """One configuration on [3, 4, 5], with 2 hidden units."""
    layers, directions = fields.get("layers", 1), 1 + fields.get("bidirectional", False)
    count = 2 if op == "LSTM" else 1
    states = [normal(layers * directions, 3, 2) if initial else None] * count
    kind = fields.get("activation", "tanh") if op == "SimpleRNN" else op
    returns = fields.get("returns", "sequence")
    return Case(
        op,
        {"hidden": 2, **fields},
        [normal(3, 4, 5, symbols=symbols), *states],
        recurrent(op, 2, layers, directions, returns, kind),
        note="initial" if initial else "",
        # PyTorch does not count these; `test_recurrent_cost` compares with known figures.
        counted=False,
    )


def cell(op: str, bias: bool = True) -> Case:
    """One step, with 2 hidden units."""
    states = [normal(3, 2)] * (2 if op == "LSTMCell" else 1)

    def oracle(x: Array, *state: Array, **weights: Array) -> list[Array]:
        return step(op.removesuffix("Cell"), x, list(state), weights)

    return Case(op, {"hidden": 2, "bias": bias}, [normal(3, 5), *states], oracle)


CONFIGURATIONS: list[dict[str, Any]] = [
    {"symbols": "B _ _"},
    {"returns": "last", "symbols": "B _ _"},
    {"returns": "all"},
    {"bidirectional": True, "returns": "last", "layers": 2},
    {"layers": 3, "bias": False},
    {"layers": 2, "initial": True, "returns": "all", "bidirectional": True},
]
# What does not depend on the kind of layer is tried on one.
MORE: list[dict[str, Any]] = [
    {"bidirectional": True},
    {"layers": 2, "returns": "all", "bidirectional": True},
    {"layers": 2, "dropout": 0.5, "returns": "last"},
    {"initial": True},
    {"initial": True, "returns": "last"},
]

CASES = [
    *(case(op, **c) for op in ("SimpleRNN", "LSTM", "GRU") for c in CONFIGURATIONS),
    *(case("LSTM", **configuration) for configuration in MORE),
    case("SimpleRNN", activation="relu"),
    case("SimpleRNN", activation="relu", returns="all", layers=2),
    cell("LSTMCell"),
    cell("LSTMCell", bias=False),
    cell("GRUCell"),
    cell("GRUCell", bias=False),
]
