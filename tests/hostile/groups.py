"""All groups of cases, by name."""

from __future__ import annotations

from tests.hostile import injection_cases, resource_cases, text_cases
from tests.hostile.cases import Group

ALL: dict[str, Group] = {
    group.name: group
    for group in (
        *text_cases.GROUPS,
        *injection_cases.GROUPS,
        *resource_cases.GROUPS,
    )
}

# CPU seconds that a command may take for any spec.
MOST_SECONDS = 5.0
