"""What is assumed of a run: element types, kernels, dropout, and the mode of the modules."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import field
from functools import cached_property

from nnspec.analysis.memory.known import Ones
from nnspec.analysis.memory.ledger import Ledger
from nnspec.analysis.memory.machine import Machine
from nnspec.analysis.memory.peaks import Peaks, Unwatched
from nnspec.analysis.uses import Place
from nnspec.ir.dims import Size
from nnspec.ir.types import DType
from nnspec.records import dataclass


@dataclass(frozen=True)
class Modes:
    """How a program is run: `width` is the bytes of the policy's float.

    With `owners` amounts know whose they are, at these `sizes`. Nobody asks for peaks that are not `watched`.
    Symbols among `ones` are 1: an axis of one element lies otherwise in memory than others.
    """

    width: int = 4
    training: bool = True
    fused: bool = True
    drops: bool = True
    onednn: bool = True
    mask: DType = field(default=DType.FLOAT)
    owners: bool = False
    watched: bool = True
    sizes: Mapping[str, Size] = field(default_factory=dict[str, Size])
    ones: tuple[str, ...] = ()

    def element(self, dtype: DType) -> int:
        """The bytes of an element."""
        return self.width if dtype is DType.FLOAT else dtype.bytes

    @cached_property
    def known(self) -> Ones:
        """The symbols that are 1, as they are put in."""
        return Ones(self.ones)

    @property
    def but_ones(self) -> Hashable:
        """What the modes are besides."""
        return (
            self.width,
            self.training,
            self.fused,
            self.drops,
            self.onednn,
            self.mask,
            self.watched,
        )

    def machine(self, *, recording: bool, place: Place = ()) -> Machine:
        """A machine that runs so, for the function that is called at a place."""
        return Machine(
            element=self.element,
            peaks=Peaks() if self.watched else Unwatched(),
            training=self.training,
            recording=recording,
            fused=self.fused,
            onednn=self.onednn,
            drops=self.drops,
            mask=self.mask,
            ones=self.known,
            ledger=Ledger.of(place, self.sizes) if self.owners else None,
        )
