"""Keras layers that compute their activations again: the same gradients, draws and states, on every backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ir.models import spec

TEXT = """
block Inner(x: [*S, D]) { return x -> Dropout(0.5) -> tanh }
block Layer(x: [*S, D], y: [*S, D], keep: bool[*S]) {
  z = x -> up: Linear(2 * D) -> gelu -> Inner -> down: Linear(D)
  return where(unsqueeze(keep, -1), z + y, y), 2 * y
}
model M {
  input x: [B, 4]
  shared = Layer()
  keep = sum(x, dim=1) > 1.5
  p, q = shared(x, x, keep)
  p, q = shared(p, q, keep)
  output y = (p + q) -> Linear(3)
}
"""


@pytest.mark.framework
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_gradients_draws_and_states_are_the_same(backend: str, tmp_path: Path) -> None:
    plain = spec(TEXT)
    tmp_path.joinpath("plain.py").write_text(plain.source("keras"))
    again = plain.checkpointed("Layer", "Inner").source("keras")
    assert again.count("recompute=True") == 2
    tmp_path.joinpath("again.py").write_text(again)
    script = Path(__file__).with_name("recomputed_keras.py")
    ran = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["plain"] == found["again"]
    assert any(any(row) for row in found["again"]["gradients"])
    assert found["calls"]["again"] > found["calls"]["plain"]
