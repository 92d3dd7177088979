"""Where weights lie in both programs."""

from __future__ import annotations

from math import prod

import pytest

from nnspec.targets.weights import WeightEntry, weight_map
from tests.verify import specs
from tests.verify.specs import spec_of


def entries(text: str) -> dict[str, WeightEntry]:
    found = weight_map(spec_of(text).program)
    assert len({entry.variable for entry in found}) == len(found)
    return {entry.variable: entry for entry in found}


def test_paths_join_the_calls_that_lead_to_a_layer() -> None:
    found = entries(specs.RESIDUAL)
    kernel = found["units_1/conv/kernel"]
    assert kernel.path == "units.1.conv"
    assert kernel.sources == ("units.1.conv.weight",)
    assert kernel.source_shapes == ((8, 4, 3, 3),)
    assert kernel.shape == (3, 3, 4, 8)


def test_batch_norm_has_state_and_no_count_of_batches() -> None:
    found = entries(specs.RESIDUAL)
    assert found["batch_norm/moving_mean"].kind == "state"
    assert found["batch_norm/moving_variance"].sources == ("batch_norm.running_var",)
    assert found["batch_norm/gamma"].kind == "trained"
    assert not any("tracked" in source for e in found.values() for source in e.sources)


def test_a_tied_weight_belongs_to_its_owner_alone() -> None:
    found = entries(specs.LANGUAGE)
    assert found["wte/embeddings"].sources == ("wte.weight",)
    assert not any(name.startswith("linear") for name in found)


def test_a_shared_instance_is_there_once() -> None:
    assert list(entries(specs.SHARED)) == ["same/kernel", "same/bias"]


def test_a_parameter_of_its_own_has_its_path_for_a_name() -> None:
    found = entries(specs.TOKEN)
    assert found["cls"].sources == ("cls",)
    assert found["cls"].shape == (1, 1, 4)


def test_frozen_weights_say_so_and_statistics_stay_state() -> None:
    found = entries(specs.FROZEN)
    assert found["fixed/conv/kernel"].kind == "frozen"
    assert found["fixed/batch_norm/moving_mean"].kind == "state"
    assert found["free/kernel"].kind == "trained"


def test_recurrent_layers_join_biases_as_each_kind_needs() -> None:
    found = entries(specs.RECURRENT)
    lstm = found["rnn_l1/backward_lstm/lstm_cell/bias"]
    assert lstm.sources == ("rnn.bias_ih_l1_reverse", "rnn.bias_hh_l1_reverse")
    assert (lstm.source_shapes, lstm.shape) == (((16,), (16,)), (16,))
    gru = found["gru/gru_cell/bias"]
    assert (gru.source_shapes, gru.shape) == (((15,), (15,)), (2, 15))


@pytest.mark.parametrize(
    "text",
    [
        specs.RESIDUAL,
        specs.LANGUAGE,
        specs.RECURRENT,
        specs.SHARED,
        specs.TOKEN,
        specs.FROZEN,
    ],
)
def test_the_map_holds_every_parameter_once(text: str) -> None:
    spec = spec_of(text)
    found = weight_map(spec.program)
    counted = sum(entry.elements for entry in found if entry.kind != "state")
    assert counted == spec.cost().parameters
    trained = sum(entry.elements for entry in found if entry.kind == "trained")
    assert trained == spec.cost().trainable
    sources = [source for entry in found for source in entry.sources]
    assert len(set(sources)) == len(sources)


def test_shapes_follow_the_steps() -> None:
    import numpy as np

    from nnspec.ops.weight_steps import apply

    for text in (specs.RESIDUAL, specs.RECURRENT):
        for entry in weight_map(spec_of(text).program):
            arrays = [np.zeros(shape) for shape in entry.source_shapes]
            (made,) = apply(entry.steps, arrays)
            assert made.shape == entry.shape
            assert made.size <= sum(prod(shape) for shape in entry.source_shapes)
