"""FLOPs of the forward and of the backward pass equal those that PyTorch counts, as integers, for every spec.

What is counted is the emitted program, with the sum of its outputs as the loss, on fake tensors: nothing is
computed. Attention takes its plain kernel, since the fused ones hide their products from the counter, and of
grouped convolutions the counter's own formula for the backward pass is replaced: it multiplies out the groups.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.spec import Spec
from tests.analysis.counted import counted_flops
from tests.specs.figures import ALL, Figures

ROOT = Path(__file__).parents[2]
SIZES = {"B": 2, "T": 12, "S": 7, "H": 64, "W": 96}


# Of very deep models a few of their equal layers are run.
SHALLOW = {"Llama3_70B": 4, "Llama31_405B": 4}


def loaded(figures: Figures) -> Spec:
    depth = SHALLOW.get(figures.model)
    constants = {} if depth is None else {"depth": depth}
    return nnspec.load(str(ROOT / figures.path), figures.model, **constants)


@pytest.mark.framework
@pytest.mark.parametrize("figures", ALL, ids=lambda figures: figures.model)
def test_the_counter_of_pytorch_agrees(figures: Figures) -> None:
    spec = loaded(figures)
    sizes = {name: SIZES[name] for name in spec.program.symbols}
    analysis = Analysis(spec.program)
    ours: dict[str, Any] = {
        name: int(analysis.figure(name).at(sizes))
        for name in ("flops", "training_flops")
    }
    assert ours == counted_flops(spec, sizes)
