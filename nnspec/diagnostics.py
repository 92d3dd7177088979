"""What nnspec tells a person about a spec: stable codes, labelled places, instructions.

A check raises `SpecError` at the place where it finds the fault; whoever can go on after it catches the
error and hands its diagnostic to the `Diagnostics` collector. The codes are explained in
`nnspec.codes`; the message is written beside the check that finds the fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import StrEnum

from nnspec.records import dataclass
from nnspec.source import Location

MOST_DIAGNOSTICS = 100
LONGEST_NAME_COMPARED = 64
MOST_NAMES_COMPARED = 2000


class Severity(StrEnum):
    """How much a diagnostic weighs: an error makes the spec wrong, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Label:
    """A secondary place and what it has to do with the fault."""

    location: Location
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what was found, where, what led to it, and what to do."""

    code: str
    message: str
    location: Location | None = None
    labels: tuple[Label, ...] = ()
    hint: str | None = None
    severity: Severity = Severity.ERROR

    @property
    def key(self) -> tuple[object, ...]:
        """Two diagnostics with one key say the same thing at the same place."""
        place = self.location and (self.location.source.name, self.location.span)
        return (self.code, place, self.message)


class SpecError(Exception):
    """A fault of the spec (never of nnspec), carried to whoever can go on after it."""

    def __init__(
        self,
        code: str,
        message: str,
        location: Location | None = None,
        *,
        labels: Iterable[Label] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, location, tuple(labels), hint)


class SpecErrors(Exception):
    """All the faults that a whole run has found; raised where nothing more can be done."""

    def __init__(self, diagnostics: Iterable[Diagnostic], suppressed: int = 0) -> None:
        self.diagnostics = tuple(diagnostics)
        self.suppressed = suppressed
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in self.diagnostics))


@dataclass(slots=True)
class Diagnostics:
    """Collects findings in order, each once, and no more than a person can read."""

    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    suppressed: int = 0
    _keys: set[tuple[object, ...]] = field(default_factory=set[tuple[object, ...]])

    def add(self, diagnostic: Diagnostic) -> None:
        """Keeps a finding unless it repeats another or the list is full."""
        if diagnostic.key in self._keys:
            return
        if len(self.found) >= MOST_DIAGNOSTICS:
            self.suppressed += 1
            return
        self._keys.add(diagnostic.key)
        self.found.append(diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Adds each of several findings."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def errors(self) -> list[Diagnostic]:
        """The findings that make the spec wrong."""
        return [found for found in self.found if found.severity is Severity.ERROR]

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.found)

    def raise_errors(self) -> None:
        """Raises `SpecErrors` if anything wrong was found."""
        if self.errors:
            raise SpecErrors(self.found, self.suppressed)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    candidates = sorted(known)
    if len(name) > LONGEST_NAME_COMPARED or len(candidates) > MOST_NAMES_COMPARED:
        return None
    folded = {candidate.lower(): candidate for candidate in candidates}
    if name.lower() in folded:
        return folded[name.lower()]
    import difflib  # only where something is wrong

    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known name, or None."""
    found = nearest(name, known)
    return f"did you mean `{found}`?" if found else None
