"""How the weights of recurrent layers lie in the two backends.

PyTorch keeps the gates as rows and two biases; Keras keeps them as columns. LSTM's gates stand in one
order in both (input, forget, cell, output); GRU's first two change places (reset and update). Keras adds
the two biases of LSTM and of simple layers into one; GRU's stay apart, since the reset gate stands between.
"""

from __future__ import annotations

from nnspec.ops.base import KerasWeight
from nnspec.ops.weight_steps import StackPair, Step, SumPair, SwapGates, Transpose

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
# For each element of a new state, besides the products: sums of both products, activations (a sigmoid is
# 4 operations, a tanh 1) and what the cell does with the gates.
_STEP = {
    "simple_rnn": 1 + 1,
    "lstm": 4 + 3 * 4 + 1 + 3 + 2,
    "gru": 2 + 1 + 1 + 2 * 4 + 1 + 4,
}


def step_operations(kind: str, bias: bool) -> int:
    """Operations for each element of a new state that belong to no matrix product."""
    return _STEP[kind] + (2 * GATES[kind] if bias else 0)


def keras_variables(
    kind: str, place: str, ending: str, *, bias: bool, owner: str = ""
) -> tuple[KerasWeight, ...]:
    """The variables of one layer in one direction.

    `place` is the path of its cell below the layer's own name, `ending` that of the names of its weights
    in PyTorch (`_l0_reverse`), `owner` the suffix of the submodule.
    """
    order: tuple[Step, ...] = (SwapGates(3),) if kind == "gru" else ()
    matrix = (*order, Transpose((1, 0)))
    pair: Step = StackPair() if kind == "gru" else SumPair()
    kernel = KerasWeight(f"{place}kernel", (f"weight_ih{ending}",), matrix, owner)
    recurrent = KerasWeight(
        f"{place}recurrent_kernel", (f"weight_hh{ending}",), matrix, owner
    )
    if not bias:
        return kernel, recurrent
    biases = (f"bias_ih{ending}", f"bias_hh{ending}")
    return kernel, recurrent, KerasWeight(f"{place}bias", biases, (*order, pair), owner)
