"""The roofline of a device: the least time that work takes on it, and what holds it up.

A kernel takes as long as its arithmetic at the peak rate or its traffic at the full bandwidth, whichever is
more (Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009), and what
its launches add. A calibration says how much longer both really take, and what a launch does.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from nnspec.analysis.timing.device import Device
from nnspec.analysis.timing.kernels import Kernel
from nnspec.records import dataclass

Bottleneck = Literal["compute", "memory", "launch"]
BOTTLENECKS: tuple[Bottleneck, ...] = ("compute", "memory", "launch")


@dataclass(frozen=True, slots=True)
class Factors:
    """How much longer than published arithmetic and traffic take, and the seconds of a launch.

    With `overlap` a kernel computes and moves at the same time, without it one after the other.
    """

    compute: Fraction
    memory: Fraction
    launch: Fraction
    overlap: bool = True


@dataclass(frozen=True, slots=True)
class Duration:
    """The seconds of a kernel: of its arithmetic, its traffic, its launches, and of all together."""

    compute: Fraction
    memory: Fraction
    launch: Fraction
    total: Fraction

    @property
    def bottleneck(self) -> Bottleneck:
        """What takes longest."""
        parts = {name: getattr(self, name) for name in BOTTLENECKS}
        return max(BOTTLENECKS, key=lambda name: parts[name])


class Roofline:
    """A device, as published or as calibrated."""

    def __init__(self, device: Device, factors: Factors | None = None) -> None:
        launch = device.launch.value if device.launch else Fraction(0)
        self.device = device
        self.is_calibrated = factors is not None
        self.factors = factors or Factors(Fraction(1), Fraction(1), launch)

    def duration(self, kernel: Kernel) -> Duration:
        """The time of a kernel. Raises `SpecError` where the device has no rate for its elements."""
        factors = self.factors
        compute = self._arithmetic(kernel) * factors.compute
        memory = kernel.bytes / self.device.bandwidth.value * factors.memory
        launch = kernel.launches * factors.launch
        work = max(compute, memory) if factors.overlap else compute + memory
        return Duration(compute, memory, launch, work + launch)

    def _arithmetic(self, kernel: Kernel) -> Fraction:
        """Matrix units and vector units work at once."""
        products = Fraction(0)
        if kernel.flops:
            products = kernel.flops / self.device.rate(kernel.element)
        vector = self.device.vector_rate
        if vector is None:
            return products
        return max(products, kernel.operations / vector)
