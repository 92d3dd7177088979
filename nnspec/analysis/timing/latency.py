"""How long a program takes on a device: a lower bound by operator, or a calibrated estimate.

Every function is looked at once for each way in which it is used, and multiplied where it is called. Times
are kept as whole femtoseconds, so that parts add up exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property, partial

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.timing.kernels import Half, Kernel, Kernels, Mode
from nnspec.analysis.timing.roofline import BOTTLENECKS, Bottleneck, Duration, Roofline
from nnspec.analysis.totals import Additive, Totals
from nnspec.analysis.uses import Site, Use
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Dim, Size, dim

SECOND = 10**15
"""Femtoseconds."""


def in_seconds(femtoseconds: int) -> Fraction:
    """A sum of times in seconds."""
    return Fraction(femtoseconds, SECOND)


class Latency:
    """The time of one forward pass, or of one training step, on one device."""

    def __init__(
        self,
        analysis: Analysis,
        roofline: Roofline,
        sizes: Mapping[str, Size],
        mode: Mode,
    ) -> None:
        require_sizes(analysis, sizes)
        self.analysis = analysis
        self.roofline = roofline
        self.mode: Mode = mode
        self.work = Workload(analysis, sizes, mode)
        self._durations: dict[Kernel, Duration] = {}

    @cached_property
    def totals(self) -> Mapping[str, Totals]:
        """Femtoseconds, apart by bottleneck, for the parts of the program."""
        uses = self.analysis.uses
        return {
            each: Totals(uses, Additive(self._bound_by(each))) for each in BOTTLENECKS
        }

    @cached_property
    def shares(self) -> Mapping[Bottleneck, Fraction]:
        """Seconds of the whole program by what bounds them."""
        found: dict[Bottleneck, Fraction] = dict.fromkeys(BOTTLENECKS, Fraction(0))
        for kernel, count in self.work.kernels.items():
            duration = self.duration(kernel)
            found[duration.bottleneck] += duration.total * count
        return found

    @property
    def seconds(self) -> Fraction:
        """The whole program: the least it can take, or what it is estimated to take."""
        return sum(self.shares.values(), Fraction(0))

    @property
    def update(self) -> Duration | None:
        """The time of the optimizer's step; None of a forward pass."""
        if self.mode == "forward":
            return None
        return self.duration(update(self.analysis))

    def duration(self, kernel: Kernel) -> Duration:
        """The time of a kernel."""
        if kernel not in self._durations:
            self._durations[kernel] = self.roofline.duration(kernel)
        return self._durations[kernel]

    def _bound_by(self, bottleneck: Bottleneck) -> Callable[[Site], Dim]:
        def rule(site: Site) -> Dim:
            durations = map(self.duration, self.work.of_site(site))
            bound = (d.total for d in durations if d.bottleneck == bottleneck)
            return dim(round(sum(bound, Fraction(0)) * SECOND))

        return rule


class Workload:
    """The kernels of a program at given sizes, by how often each runs."""

    def __init__(
        self, analysis: Analysis, sizes: Mapping[str, Size], mode: Mode | Half
    ) -> None:
        self.uses = analysis.uses
        self._analysis = analysis
        self._kernels = Kernels(analysis.setting, sizes, mode)
        self._of_use: dict[Use, Counter[Kernel]] = {}
        self._of_site: dict[tuple[Use, int], tuple[Kernel, ...]] = {}

    @cached_property
    def kernels(self) -> Counter[Kernel]:
        """Those of the whole program; of a training step, the optimizer's as well."""
        found = self.of_use(self.uses.main)
        if self._kernels.mode == "training":
            found = found + Counter([update(self._analysis)])
        return found

    def of_use(self, use: Use) -> Counter[Kernel]:
        """Those of one use of a function, with all that it calls."""
        if use not in self._of_use:
            found: Counter[Kernel] = Counter()
            for site in self.uses.inside(use).sites:
                if site.node.callee is not None:
                    found.update(self.of_use(site.use))
                else:
                    found.update(self.of_site(site))
            self._of_use[use] = found
        return self._of_use[use]

    def of_site(self, site: Site) -> tuple[Kernel, ...]:
        """Those of a node that calls nothing."""
        if site.node.weight is not None:
            return ()
        key = (site.inside.use, site.node.id)
        if key not in self._of_site:
            self._of_site[key] = self._kernels.of_site(site)
        return self._of_site[key]


def update(analysis: Analysis) -> Kernel:
    """The optimizer's step."""
    return Kernel(0, "", 0, int(updates(analysis).total()))


def updates(analysis: Analysis) -> Totals:
    """What the optimizer's step moves, by the layers whose weights it changes."""
    from nnspec.analysis.memory.measures import updated_bytes

    rule = partial(updated_bytes, setting=analysis.setting)
    return Totals(analysis.uses, Additive(rule, owned=True))


def require_sizes(analysis: Analysis, sizes: Mapping[str, Size]) -> None:
    """Raises `SpecError` while a size is free: the longer of two times depends on it."""
    free = [name for name in analysis.program.symbols if name not in sizes]
    if free:
        named = ", ".join(f"`{name}`" for name in free)
        verb = "has" if len(free) == 1 else "have"
        raise SpecError(
            "E1105",
            f"times are numbers, and {named} {verb} no value",
            hint=f"give {' '.join(f'{name}=...' for name in free)}",
        )
