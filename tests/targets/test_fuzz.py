"""Emitted programs of random specs against an evaluation of the graph node by node."""

from __future__ import annotations

import ast

import pytest
import torch
from torch import Tensor

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecError
from nnspec.source import Source
from nnspec.targets import emit
from nnspec.targets.file import emit_programs
from tests.targets.comparing import agree
from tests.targets.random_specs import random_models

pytestmark = pytest.mark.framework

SEEDS = range(110)
GROUPS = 10
# What a target refuses, with a reason and a place; it is never a wrong program.
REFUSALS = {"E0602", "E0604"}


@pytest.mark.parametrize("group", range(GROUPS))
def test_programs_equal_their_graphs(group: int) -> None:
    torch.set_num_threads(1)
    compared = 0
    for seed in SEEDS[group::GROUPS]:
        for spec in random_models(seed):
            try:
                agree(spec)
                ast.parse(emit(spec.program, "keras"))
            except SpecError as error:
                if error.diagnostic.code not in REFUSALS:
                    raise
                continue
            compared += 1
    assert compared > len(SEEDS) // GROUPS // 2


def test_variants_of_one_file_are_emitted_together() -> None:
    count = 0
    for seed in SEEDS[::7]:
        found = random_models(seed)
        if not found:
            continue
        for target in ("torch", "keras"):
            try:
                text = emit_programs([spec.program for spec in found], target)
            except SpecError as error:
                if error.diagnostic.code not in REFUSALS:
                    raise
                continue
            names = {
                node.name
                for node in ast.parse(text).body
                if isinstance(node, ast.FunctionDef)
            }
            assert {"first", "second"} <= names
            count += 1
    assert count > 10


def test_an_evaluation_finds_a_wrong_program() -> None:
    """The comparison itself: a program with a wrong weight does not pass."""

    class Wrong(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    text = "model M { input x: [B, 3]\n output y = x * 3.0 }"
    (spec,) = load_source(Source("wrong.nns", text), ["M"], {})
    with pytest.raises(AssertionError):
        agree(spec, Wrong())
