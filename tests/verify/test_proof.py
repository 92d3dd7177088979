"""Small models with everything that a proof has to account for, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import nnspec.targets
from nnspec.spec import Spec
from nnspec.targets import emitted
from nnspec.verify import VerifyReport
from tests.verify import specs
from tests.verify.specs import model, spec_of

pytestmark = pytest.mark.framework

DRAWN = model(
    "x: [B, 4]",
    "noise = RandomNormal([B, 4])",
    "output y = x -> Linear(4) -> Dropout(0.5)",
    "output z = exp(x / 2) * noise",
)
ROOTS = model("x: [B, 4]", "output y = log(x) + sqrt(x)")
EVERY = {
    "residual": specs.RESIDUAL,
    "language": specs.LANGUAGE,
    "recurrent": specs.RECURRENT,
    "shared": specs.SHARED,
    "token": specs.TOKEN,
    "frozen": specs.FROZEN,
    "drawn": DRAWN,
    "roots": ROOTS,
}


def names(report: VerifyReport) -> set[str]:
    return {check.name for check in report.checks}


@pytest.mark.parametrize("name", EVERY)
def test_both_programs_agree(name: str) -> None:
    spec = spec_of(EVERY[name])
    # JAX compiles every operation anew: it gets the models that differ most.
    slow = ("jax",) if name in ("residual", "language", "recurrent") else ()
    backends = ("tensorflow", "torch", *slow)
    report = spec.verify(backends=backends)
    assert report.ok, report.text()
    assert report.parameters == spec.cost().parameters
    assert [*dict.fromkeys(check.backend for check in report.checks)] == [
        f"Keras on {backend}" for backend in backends
    ]
    wanted = {"outputs in evaluation", "layers in evaluation", "outputs in training"}
    assert wanted | {"gradients", "outputs in evaluation, float32"} <= names(report)


@pytest.mark.parametrize("name", ["residual", "language", "shared", "token"])
def test_pytorch_compiles_and_exports_and_keras_reloads(name: str) -> None:
    report = spec_of(EVERY[name]).verify(compile=True)
    assert report.ok, report.text()
    assert names(report) >= {
        "built on the meta device",
        "torch.compile, one graph",
        "torch.export, open sizes",
        "saved and loaded",
    }


def test_blocks_that_are_computed_again_are_exported_too() -> None:
    spec = spec_of(EVERY["language"])
    blocks = {
        callee.name
        for function in spec.program.functions.values()
        for callee in spec.program.callees(function)
    }
    assert blocks
    report = spec.checkpointed(*blocks).verify(compile=True, backends=("torch",))
    assert report.ok, report.text()
    assert "torch.export, open sizes" in names(report)


def test_recurrent_layers_are_refused_as_documented() -> None:
    report = spec_of(specs.RECURRENT).verify(compile=True)
    assert report.ok, report.text()
    assert names(report) >= {
        "torch.compile refused: recurrent",
        "torch.export refused: open steps",
        "torch.export, open batch",
    }


def test_statistics_are_compared_where_there_are_some() -> None:
    assert "statistics" in names(spec_of(specs.RESIDUAL).verify())
    assert "statistics" not in names(spec_of(specs.SHARED).verify())


def test_a_failure_names_the_first_layer_and_the_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = with_source(
        monkeypatch, spec_of(specs.RESIDUAL), "float = 1e-5", "float = 1e-2"
    )
    (first, *_) = report.failures
    assert "first in `batch_norm` (BatchNorm) differs by" in first.detail
    assert first.sizes == "B=2 H=4 W=8"


def test_a_program_that_fails_is_a_failure_with_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = with_source(
        monkeypatch, spec_of(specs.TOKEN), "ops.concatenate(", "ops.stack("
    )
    assert not report.ok
    assert any("in call: " in check.detail for check in report.failures), report.text()


def test_a_worker_that_is_lost_is_a_failure_and_the_next_proof_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = spec_of(specs.SHARED)
    wrong = "import keras\n\nkeras.ops.ones(())\nimport os\n\nos._exit(3)\n"
    report = with_source(monkeypatch, spec, "import keras\n", wrong, count=1)
    assert "the worker of tensorflow is gone: it ended with status 3" in report.text()
    monkeypatch.undo()
    assert spec.verify().ok


def with_source(
    monkeypatch: pytest.MonkeyPatch, spec: Spec, old: str, new: str, count: int = -1
) -> VerifyReport:
    """A proof in which the Keras program was changed after it was emitted."""
    from dataclasses import replace

    def changed(program: object, target: str) -> object:
        made = emitted(spec.program, target)
        if target == "torch":
            return made
        assert old in made.source
        return replace(made, source=made.source.replace(old, new, count))

    monkeypatch.setattr(nnspec.targets, "emitted", changed)
    return spec.verify()


def test_models_are_built_in_this_process_too() -> None:
    spec = spec_of(specs.SHARED)
    import torch

    module = spec.torch()
    x = np.ones((2, 4), "float32")
    with torch.no_grad():
        y, z = module(torch.from_numpy(x), torch.from_numpy(x))
    assert y.shape == z.shape == (2, 4)
    other = spec.torch()
    assert type(module) is not type(other)


def test_a_backend_that_is_none_is_an_error() -> None:
    from nnspec.diagnostics import SpecErrors

    with pytest.raises(SpecErrors, match="E0808"):
        spec_of(specs.SHARED).verify(backends=("theano",))
