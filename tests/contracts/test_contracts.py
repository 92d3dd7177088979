"""Every operator keeps its contract, in every case of the `cases_*` files. See `harness`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from harness import KERAS_BACKENDS, Case, Draw, KerasWorker, Outcome, check, numbered  # noqa: E402

from nnspec.ops import OPS  # noqa: E402

pytestmark = pytest.mark.framework

MODULES = sorted(path.stem for path in HERE.glob("cases_*.py"))
ALL = [
    pytest.param(module, index, id=case.id)
    for module in MODULES
    for index, case in enumerate(importlib.import_module(module).CASES)
]


def case_of(module: str, index: int) -> Case:
    return importlib.import_module(module).CASES[index]


_outcomes: dict[tuple[str, int], tuple[Draw, Outcome]] = {}


def in_torch(module: str, index: int) -> tuple[Draw, Outcome]:
    """What PyTorch makes of a case, computed once in a process."""
    import torch_side

    key = (module, index)
    if key not in _outcomes:
        draw = Draw(case_of(module, index))
        _outcomes[key] = (draw, torch_side.run(draw))
    return _outcomes[key]


@pytest.mark.parametrize(("module", "index"), ALL)
def test_pytorch_agrees_with_the_oracle(module: str, index: int) -> None:
    import torch_side

    case = case_of(module, index)
    draw, outcome = in_torch(module, index)
    shapes = [tuple(int(size) for size in result.shape) for result in draw.results]
    assert [output.shape for output in outcome.outputs] == shapes
    check(case, "pytorch", "output", numbered(outcome.outputs), numbered(draw.oracle()))
    dynamic = torch_side.exported(draw)
    if dynamic is not None:
        check(case, "pytorch", "output", numbered(dynamic), numbered(outcome.outputs))
    if case.counted:
        assert int(draw.operator.flops(*draw.types)) == outcome.flops
    if case.differentiable and outcome.gradients:
        assert draw.slope_of(outcome.gradients) == pytest.approx(
            draw.slope(), rel=1e-5, abs=1e-6
        )


@pytest.mark.parametrize("backend", KERAS_BACKENDS)
@pytest.mark.parametrize(("module", "index"), ALL)
def test_keras_agrees(
    module: str, index: int, backend: str, workers: dict[str, KerasWorker]
) -> None:
    case = case_of(module, index)
    draw, expected = in_torch(module, index)
    for last in draw.orders():
        outcome = workers[backend].run(module, index, last)
        check(
            case, backend, "output", numbered(outcome.outputs), numbered(draw.oracle())
        )
        check(case, backend, "gradient", outcome.gradients, expected.gradients)
        if outcome.dynamic is not None:
            check(
                case,
                backend,
                "output",
                numbered(outcome.dynamic),
                numbered(outcome.outputs),
            )


def test_every_operator_has_a_case() -> None:
    cases = [
        case for module in MODULES for case in importlib.import_module(module).CASES
    ]
    tried = {case.op for case in cases}
    sampled = {case.op for case in importlib.import_module("sampled").CASES}
    assert set(OPS) - tried - sampled == set()


def test_a_wrong_result_is_noticed() -> None:
    case = Case("Linear", {"features": 2}, [], lambda: None)
    right = {"0": np.array([1.0, 2.0])}
    check(case, "pytorch", "output", right, right)
    for wrong in ([1.0, 2.0 + 1e-6], [1.0, np.nan], [1.0, np.inf]):
        with pytest.raises(AssertionError):
            check(case, "pytorch", "output", {"0": np.array(wrong)}, right)
