"""What is told about one diagnostic code."""

from __future__ import annotations

from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code, its title in one line, what it means, and a spec before and after the mend.

    `wrong` gives the code when it is checked, `right` does not; a test runs both. `wrong` is empty where no
    short text can show the fault (a file that is too large).
    """

    code: str
    title: str
    explanation: str
    wrong: str
    right: str
