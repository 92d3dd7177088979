"""Programs with hostile names and texts run: nothing in them replaces what the framework needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.injection_cases import IDENTIFIERS, STRINGS

ROOT = Path(__file__).parents[2]
_RUN = """
import sys, types, torch
from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.source import Source
from nnspec.targets import emitted
from tests.hostile import groups

torch.set_num_threads(1)
ran = 0
for case in groups.ALL[sys.argv[1]].cases:
    try:
        (spec,) = load_source(Source("spec.nns", case.data().decode()), None, {})
        made = emitted(spec.program, "torch")
    except (SpecError, SpecErrors):
        continue
    space = {"__name__": "program"}
    exec(compile(made.source, "program.py", "exec"), space)
    assert "INJECTED" not in space, case.name
    try:
        network = space[made.factory]()
        shapes = [(3, 64)] * len(made.inputs)
        before = set(network.state_dict())
        network.eval()
        first = network(*[torch.ones(shape) for shape in shapes])
        network.train()
        again = network(*[torch.ones(shape) for shape in shapes])
        assert torch.equal(first, again), "another result"
        assert sum(p.numel() for p in network.parameters()) == spec.cost().parameters
        network.to("cpu").half().double()
    except Exception as fault:
        print(case.name, repr(fault)[:300])
    ran += 1
print("ran", ran)
"""


@pytest.mark.framework
@pytest.mark.parametrize("group", [IDENTIFIERS.name, STRINGS.name])
def test_the_torch_programs_run(group: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, group], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *faults, last = done.stdout.splitlines()
    assert not faults, "\n".join(faults)
    assert int(last.removeprefix("ran ")) > 80
