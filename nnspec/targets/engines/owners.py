"""The stages of a program that one process runs: every layer is made once, in the stage that owns it."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program, dotted


def with_owners(program: Program, stage_of: Sequence[int]) -> list[int]:
    """The stage of each node of the main function, reads of weights moved to the stage that owns them.

    Raises `SpecError` for a layer that several stages apply: each would make a copy with weights of its own.
    """
    nodes = program.main.nodes
    owners = {node.path: stage_of[node.id] for node in reversed(nodes) if node.owns}
    for node in nodes:
        stage = stage_of[node.id]
        if node.owns and stage != owners[node.path]:
            raise SpecError(
                "E1032",
                f"`{dotted(node.path)}` is applied in the stages {owners[node.path]} and {stage}, "
                "and its weights would be two copies",
                node.location,
                hint="put both uses into one stage, or run the stages as a pipeline of processes",
            )
    return [
        owners.get(node.path, stage) if node.weight is not None else stage
        for node, stage in zip(nodes, stage_of, strict=True)
    ]
