"""One process with several devices, and pipelines that are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nnspec.diagnostics import SpecError
from nnspec.passes.stages import staged
from nnspec.targets.engines.torch_stages import emit_on_devices, emit_pipeline
from tests.engines.specs import MLP, NORMS, even, spec_of
from tests.engines.torch_runs import SPECS

pytestmark = pytest.mark.framework


def test_one_process_moves_values_between_devices() -> None:
    import torch

    for name in ("mlp", "gpt2", "llama", "unet"):
        make, shape, ids = SPECS[name]
        spec = make()
        source = emit_on_devices(spec.program, even(spec, 3))
        space: dict[str, Any] = {"__name__": name}
        exec(compile(source, name, "exec"), space)
        torch.manual_seed(0)
        model = spec.torch().double()
        staged_model = space["OnDevices"](["cpu"] * 3, dtype=torch.float64)
        stages = staged(spec.program, even(spec, 3))
        assert len(staged_model.stages) == len(stages.programs)
        weights = model.state_dict()
        for stage, paths in zip(staged_model.stages, stages.paths, strict=True):
            own = {n: _whole(n, paths) for n in stage.state_dict()}
            stage.load_state_dict({n: weights[whole] for n, whole in own.items()})
        x = torch.randint(0, ids, shape) if ids else torch.randn(shape).double()
        assert torch.equal(staged_model(x), model(x))
        on_meta = space["OnDevices"](["meta"] * 3)
        assert (
            on_meta(x.to("meta", x.dtype if ids else torch.float32)).shape
            == model(x).shape
        )
        with pytest.raises(ValueError, match="3 devices are needed"):
            space["OnDevices"](["cpu"])


def _whole(name: str, paths: Any) -> str:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        here = ".".join(parts[:count])
        if here in paths:
            return ".".join([paths[here], *parts[count:]])
    return name


def test_batch_statistics_are_refused() -> None:
    spec = spec_of(NORMS)
    with pytest.raises(SpecError) as found:
        emit_pipeline(spec.program, even(spec, 2), (0, 1), "1F1B")
    assert found.value.diagnostic.code == "E1030"
    assert found.value.diagnostic.location is not None
    assert "OnDevices" in emit_on_devices(spec.program, even(spec, 2))


@pytest.mark.parametrize(
    ("ranks", "schedule"),
    [
        ((0, 1), "2F2B"),
        ((0, 1, 0, 1), "1F1B"),
        ((0, 0, 1, 1), "Interleaved1F1B"),
        ((0, 1, 0, 1), "ZBVZeroBubble"),
    ],
)
def test_schedules_that_do_not_fit(ranks: Sequence[int], schedule: str) -> None:
    spec = spec_of(MLP)
    with pytest.raises(SpecError) as found:
        emit_pipeline(spec.program, even(spec, len(ranks)), ranks, schedule)
    assert found.value.diagnostic.code == "E1031"
