"""Weights on which no output depends: PyTorch gives them no gradient, and its optimizers no state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.reached import WithoutGradient
from nnspec.analysis.setting import Setting
from nnspec.cli.main import main
from nnspec.compiler import load_source
from nnspec.source import Source
from nnspec.spec import Spec

TEXT = """
block Residual(x: [B, C, T], skips: int) {
  y = x -> Conv(2 * C, 3, padding=1)
  a, b = y -> split([C, C], dim=1)
  gated = (a -> tanh) * (b -> sigmoid)
  return x + (gated -> rest: Conv(C, 1)), gated -> skip: Conv(skips, 1)
}
model Wave(width: int = 16, skips: int = 24, depth: int = 4) {
  input x: [B, 1, T]
  x = x -> Conv(width, 1)
  total = x -> Conv(skips, 1)
  for _ in range(depth) {
    x, skip = x -> layers: Residual(skips)
    total = total + skip
  }
  output y = total -> relu -> Conv(8, 1)
}
block Two(x: [B, C]) {
  return x -> one: Linear(C), x -> two: Linear(C)
}
block Outer(x: [B, C]) {
  a, b = x -> inner: Two
  return a, b
}
model Uses {
  input x: [B, 8]
  shared = Outer()
  a, _ = x -> shared
  _, b = a -> shared
  solo = Outer()
  c, _ = b -> solo
  table = Linear(8)
  shape = c -> table
  d = matmul(c, table.weight)
  e = zeros_like(d -> gone: Linear(8)) + ones_like(shape)
  output y = d + e
  output n = argmax(c -> chosen: Linear(5), dim=1)
}
"""
WITHOUT = {
    "Wave": ["layers.3.rest"],
    "Uses": ["solo.inner.two", "table.bias", "gone", "chosen"],
}


def spec_of(name: str, **constants: int) -> Spec:
    written = {each: str(value) for each, value in constants.items()}
    (spec,) = load_source(Source("reached.nns", TEXT), [name], written)
    return spec


@pytest.mark.parametrize("name", WITHOUT)
def test_they_are_named(name: str) -> None:
    analysis = Analysis(spec_of(name).program)
    assert WithoutGradient(analysis.uses).paths() == WITHOUT[name]


@pytest.mark.framework
@pytest.mark.parametrize("name", WITHOUT)
def test_pytorch_leaves_out_the_same(name: str) -> None:
    import torch

    from tests.analysis.counted import inputs_of
    from tests.analysis.measured import built, total, training

    spec, sizes = spec_of(name), {"B": 3, "T": 20}
    analysis = Analysis(spec.program, Setting())
    model, inputs = built(spec), inputs_of(spec, sizes)
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    total(model(*inputs)).backward()
    optimizer.step()
    missing = {n for n, p in model.named_parameters() if p.grad is None}
    for path in WITHOUT[name]:
        missing -= {path, f"{path}.weight", f"{path}.bias"}
    assert not missing
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert sum(g.nbytes for g in gradients) == analysis.figure("gradient_bytes")
    states = [v for state in optimizer.state.values() for v in state.values()]
    assert sum(v.nbytes for v in states) == analysis.figure("optimizer_bytes")
    peak = training(built(spec), inputs).train_peak
    assert int(analysis.figure("train_peak").at(sizes)) == peak


def test_formulas_leave_them_out() -> None:
    forms = spec_of("Wave").closed_forms("gradient_bytes", "optimizer_bytes")
    constants = {"depth": 7, "width": 5, "skips": 9}
    analysis = Analysis(spec_of("Wave", **constants).program, Setting())
    for name in forms.figures:
        assert forms.at(name, constants).value == analysis.figure(name)


def test_the_table_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reached.nns").write_text(TEXT)
    assert main(["cost", "reached.nns:Wave", "--depth", "0"]) == 0
    assert "no gradient: the weights of layers.3.rest" in capsys.readouterr().out
    assert main(["cost", "reached.nns:Uses", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["without_gradient"] == WITHOUT["Uses"]
