"""What is assumed of a run: element types, kernels, dropout, and the mode of the modules."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnspec.analysis.memory.machine import Machine
from nnspec.analysis.memory.peaks import Peaks
from nnspec.ir.types import DType


@dataclass(frozen=True)
class Modes:
    """How a program is run: `width` is the bytes of the policy's float."""

    width: int = 4
    training: bool = True
    fused: bool = True
    drops: bool = True
    onednn: bool = True
    mask: DType = field(default=DType.FLOAT)

    def element(self, dtype: DType) -> int:
        """The bytes of an element."""
        return self.width if dtype is DType.FLOAT else dtype.bytes

    def machine(self, *, recording: bool) -> Machine:
        """A machine that runs so."""
        return Machine(
            element=self.element,
            peaks=Peaks(),
            training=self.training,
            recording=recording,
            fused=self.fused,
            onednn=self.onednn,
            drops=self.drops,
            mask=self.mask,
        )
