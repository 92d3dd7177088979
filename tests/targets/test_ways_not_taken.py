"""A class is right for constants by which nobody uses it yet, or refuses them: also where they lead another way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from nnspec.targets import emit
from tests.targets.parts import spec
from tests.targets.test_requirements import applied, both_targets, filled, made, program

pytestmark = pytest.mark.framework

PARAMETERS = "a: bool, b: bool, c: bool = false"


@dataclass(frozen=True)
class Case:
    """The body of a block, the constants of its uses, and those of a and b that its class refuses."""

    body: str
    uses: str = "true, false; false, true"
    refused: tuple[tuple[bool, bool], ...] = ()


CASES = {
    "both ways bind a name": Case(
        "if a { y = x * 2.0 } else { y = x * 3.0 } if b { return y } return y + 1.0"
    ),
    "one way binds it anew": Case(
        "y = x * 3.0\n if a { y = y * 2.0 } if b { return y } return y + 1.0"
    ),
    "what is bound has two names": Case(
        "y = x\n if a { y = x * 2.0 } if b { return y } return y + 1.0",
        "true, false; false, true; false, false",
        ((True, True),),
    ),
    "the other name is read": Case(
        "y = x\n if a { y = x * 2.0 } if b { return x } return y + 1.0",
        "true, false; false, true; false, false",
        ((True, True),),
    ),
    "ways fork again": Case(
        "if a { y = x * 2.0 } else { y = x * 3.0 if c { y = x * 5.0 } } if b { return y } return y + 1.0",
        "true, false; false, true; false, false, true",
    ),
    "in turns": Case(
        "for _ in range(2) { if a { y = x * 2.0 } else { y = x * 3.0 } if b { x = y - 1.0 } } return x + 1.0"
    ),
    "before a loop": Case(
        "if a { y = x * 2.0 } else { y = x * 3.0 }"
        " if b { for _ in range(2) { y = y - 1.0 } return y } return y + 1.0"
    ),
    "it is bound once more": Case(
        "if a { y = x * 2.0 } else { y = x * 3.0 } y = y + 1.0\n if b { return y * y } return y"
    ),
}


@both_targets
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_other_constants_are_computed_right_or_refused(case: Case, target: str) -> None:
    found = spec(case.body, case.uses, PARAMETERS)
    assert emit(found.program, target).count("class Part") == 1
    part = program(found, target).Part
    given = filled(2, 6)
    for a, b in product((True, False), repeat=2):
        constants = {"a": a, "b": b} | ({"c": False} if "if c" in case.body else {})
        if (a, b) in case.refused:
            with pytest.raises(ValueError, match="not written for"):
                made(part, constants)
            continue
        use = f"{a}, {b}".lower()
        alone = program(spec(case.body, use, PARAMETERS), target).m()
        result = np.asarray(applied(made(part, constants), given))
        np.testing.assert_allclose(result, np.asarray(applied(alone, given)))
