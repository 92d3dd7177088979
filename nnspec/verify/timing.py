"""How long emitted PyTorch programs take on this machine, measured in a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from nnspec.diagnostics import SpecError
from nnspec.verify.exchange import Failed, Program
from nnspec.verify.process import TIMING, worker
from nnspec.verify.subject import Subject

LONGEST = 1200.0
SUITE = Path(__file__).parent / "calibration.nns"
"""Small models that are bound by different things, for who has none of his own."""
RUNS: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("Dense", {"B": 64}),
    ("Dense", {"B": 256}),
    ("Convolutional", {"B": 4}),
    ("Convolutional", {"B": 16}),
    ("Depthwise", {"B": 4}),
    ("Depthwise", {"B": 16}),
    ("Language", {"B": 4, "T": 128}),
    ("Language", {"B": 1, "T": 512}),
    ("Patches", {"B": 8}),
    ("Pointwise", {"B": 8}),
    ("Narrow", {"B": 16}),
    ("Narrow", {"B": 64}),
)
"""The models of the suite and their sizes."""


def require_torch() -> None:
    """Raises `SpecError` if PyTorch is not installed."""
    if find_spec("torch") is None:
        raise SpecError(
            "E0809",
            "measuring runs the PyTorch programs, and `torch` is not installed",
            hint="install it: `pip install 'nnspec[torch,weights]'`",
        )


def measured(
    spec: Subject, *, mode: str, policy: str, on: str, threads: int, seconds: float
) -> float:
    """The seconds of the fastest run of a model whose sizes are all set.

    The fastest, since whatever else a machine does can only slow it down. Raises `SpecError` if the
    program does not run there.
    """
    from nnspec.targets import emitted
    from nnspec.verify.samples import draw_inputs

    made = emitted(spec.program, "torch")
    inputs = draw_inputs(spec.program, spec.symbols, seed=0)
    try:
        runs: list[float] = worker(TIMING).ask(
            "timed",
            LONGEST,
            program=Program(made.source, made.factory),
            inputs=inputs,
            mode=mode,
            policy=policy,
            on=on,
            threads=threads,
            budget=seconds,
        )
    except Failed as failed:
        raise SpecError(
            "E1112",
            f"`{spec.name}` does not run on `{on}`: {str(failed).splitlines()[0]}",
            hint="leave it out, or measure on another device",
        ) from None
    return min(runs)
