"""What a proof found."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

from nnspec.records import dataclass


@dataclass(frozen=True)
class Check:
    """One comparison: of what, where, at which sizes; the error beside what is allowed.

    An error of infinity stands for what cannot be measured: another shape, a program that failed.
    `detail` then says what. `compared` counts the values where there are many.
    """

    name: str
    backend: str
    sizes: str
    error: float
    tolerance: float
    detail: str = ""
    compared: int = 0

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class VerifyReport:
    """Whether the emitted programs compute the same function, and how far they are apart.

    `max_error` is the largest error of all checks in float64 that could be measured; `parameters`
    counts every parameter once.
    """

    name: str
    parameters: int
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def max_error(self) -> float:
        """The largest error that was measured in float64."""
        exact = [
            c.error
            for c in self.checks
            if isfinite(c.error) and "float32" not in c.name
        ]
        return max(exact, default=0.0)

    @property
    def compared(self) -> int:
        """How many values on the way, of layers and operators, were compared at each choice of sizes."""
        counts = {check.name: check.compared for check in self.checks if check.compared}
        return sum(counts.values())

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)

    def text(self) -> str:
        """A line for each kind of check, and in full what failed."""
        lines: list[str] = []
        for backend in _distinct(check.backend for check in self.checks):
            lines.append(f"  {backend}")
            own = [check for check in self.checks if check.backend == backend]
            for name in _distinct(check.name for check in own):
                lines += _rows([check for check in own if check.name == name])
        return "".join(f"{line}\n" for line in lines)


def _rows(checks: list[Check]) -> list[str]:
    worst = max(checks, key=lambda check: (not check.ok, check.error))
    where = ", ".join(_distinct(check.sizes for check in checks if check.sizes))
    if worst.tolerance == 0:
        measured = "yes" if worst.ok else "NO"
    else:
        measured = f"{_number(worst.error)} of {worst.tolerance:.0e}"
        measured += "" if worst.ok else " FAILED"
    name = f"{worst.name} ({worst.compared:,})" if worst.compared else worst.name
    row = f"    {name:<36} {measured:<18} {where}".rstrip()
    return [
        row,
        *(line for check in checks if not check.ok for line in _failure(check)),
    ]


def _failure(check: Check) -> list[str]:
    where = f"at {check.sizes}: " if check.sizes else ""
    first, *rest = (check.detail or f"error {_number(check.error)}").splitlines()
    return [f"      {where}{first}", *(f"      {line}" for line in rest)]


def _number(error: float) -> str:
    return "no figure" if error == inf else f"{error:.1e}"


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
