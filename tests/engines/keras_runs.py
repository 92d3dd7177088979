"""Emitted Keras programs in a process of their own, with the backend and the devices that they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnspec.spec import Spec
from nnspec.targets import emit
from nnspec.targets.writing.classes import factory_name
from tests.engines.specs import MLP, UNET, gpt2, spec_of

SECONDS = 400
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_ENABLE_X64": "1",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
}
# The shapes are those of the whole Keras model: channels last.
RESULTS = {"mlp": (8, 5), "gpt2": (8, 10, 40), "unet": (4, 8, 12, 2)}
SPECS: dict[str, tuple[Callable[[], Spec], tuple[int, ...], int]] = {
    "mlp": (lambda: spec_of(MLP), (8, 12), 0),
    "gpt2": (gpt2, (8, 10), 40),
    "unet": (lambda: spec_of(UNET), (4, 8, 12, 3), 0),
}


def job(
    folder: Path, run: str, name: str, program: Callable[[Spec], str], **more: Any
) -> dict[str, Any]:
    """A run of a program of the model, beside the model on one device; `fits` asks for training, too."""
    make, shape, ids = SPECS[name]
    spec = make()
    number = len(list(folder.iterdir()))
    model, path = folder / f"model{number}.py", folder / f"program{number}.py"
    model.write_text(emit(spec.program, "keras"))
    path.write_text(program(spec))
    return {
        "run": run,
        "name": name,
        "fits": False,
        "model": str(model),
        "program": str(path),
        "factory": factory_name(spec.program),
        "shape": shape,
        "result": RESULTS[name],
        "ids": ids,
        **more,
    }


def launched(
    folder: Path, backend: str, jobs: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What the worker says of each job."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("keras_worker.py")), path],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **ENVIRONMENT, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.with_suffix(".said").read_text())
