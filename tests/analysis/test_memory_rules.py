"""Operations of PyTorch whose use of memory is not known are refused, and long maxima are not."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.ir.types import TensorType
from nnspec.ops import OPS
from nnspec.ops.base import Io, NoFlops
from nnspec.pycode.expressions import Expr, Namespace
from nnspec.source import Source
from tests.ir.models import program

MIXED = """
model M {
  input x: [B, T, 8]
  x = x -> fc: Linear(8)
  output y = x -> fourier_mix
}
"""


class FourierMix(NoFlops):
    """The real part of a Fourier transform over places and channels."""

    spelling: ClassVar[str | None] = "fourier_mix"
    per_result: ClassVar[int | None] = 0

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, io: Io) -> Expr:
        return Namespace("torch.fft").fft2(io["x"]).attribute("real")

    def keras(self, io: Io) -> Expr:
        return io["x"]


def test_an_operation_without_a_rule_is_named() -> None:
    operators = OPS | {"fourier_mix": FourierMix}
    (spec,) = load_source(Source("mixed.nns", MIXED), None, {}, operators)
    analysis = Analysis(spec.program)
    assert analysis.figure("flops") != 0
    for figure in ("saved_bytes", "inference_peak", "train_peak"):
        with pytest.raises(SpecError) as raised:
            analysis.figure(figure)
        found = raised.value.diagnostic
        assert found.code == "E0901"
        assert "`torch.fft.fft2`" in found.message
        assert "`fourier_mix`" in found.message
        assert found.location is not None
        assert str(found.location).startswith("mixed.nns:5:")
        assert found.hint is not None
        assert "analysis/memory/operations" in found.hint


def test_a_maximum_may_be_long() -> None:
    lines = [
        f"  input x{i}: [T{i}, 4]\n  output y{i} = x{i} -> a{i}: Linear({3 + 7 * i % 11}) -> relu\n"
        for i in range(40)
    ]
    analysis = Analysis(program(f"model Many {{\n{''.join(lines)}}}\n"))
    peak = analysis.figure("train_peak")
    assert len(str(peak)) > 10_000
    sizes = dict.fromkeys(analysis.program.symbols, 3)
    assert peak.at(sizes).is_constant
