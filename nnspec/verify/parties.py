"""The two programs of a proof: what was emitted, the worker that runs it, and its order of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.records import dataclass
from nnspec.targets.convert import to_keras
from nnspec.targets.probes import Probed, without_probes
from nnspec.targets.weights import WeightEntry
from nnspec.verify.exchange import Array, Described, Failed, Program
from nnspec.verify.orders import Permutation
from nnspec.verify.process import Worker, worker

if TYPE_CHECKING:
    from nnspec.ir import graph

PYTORCH = "pytorch"
BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Party:
    """One emitted program and all that is known of it."""

    kind: str
    program: Program
    inputs: tuple[tuple[str, Permutation], ...]
    outputs: tuple[tuple[str, Permutation], ...]
    probed: Probed
    expected: Mapping[str, Described]
    weights: Mapping[str, Array]

    @property
    def target(self) -> str:
        """Which of the compiler's targets it is."""
        return "torch" if self.kind == PYTORCH else "keras"

    @property
    def with_probes(self) -> Program:
        """The same program, which shows what it computes."""
        return Program(self.probed.source, self.program.factory)

    @property
    def shows_itself(self) -> bool:
        """Whether the program with probes is the same program but for these."""
        plain, probed = self.program.source, self.probed.source
        return without_probes(probed) == without_probes(plain)

    @property
    def title(self) -> str:
        """What it is called in reports."""
        return "PyTorch" if self.kind == PYTORCH else f"Keras on {self.kind}"

    @property
    def worker(self) -> Worker:
        """The process that runs it."""
        return worker(self.kind)


def torch_party(
    program: graph.Program, entries: Sequence[WeightEntry], weights: Mapping[str, Array]
) -> Party:
    """The PyTorch program."""
    from nnspec.targets import emit_probed, emitted

    made = emitted(program, "torch")
    expected = {
        source: Described(shape, entry.kind == "trained")
        for entry in entries
        for source, shape in zip(entry.sources, entry.source_shapes, strict=True)
    }
    own = Program(made.source, made.factory)
    probed = emit_probed(program, "torch")
    return Party(PYTORCH, own, made.inputs, made.outputs, probed, expected, weights)


def keras_party(
    program: graph.Program,
    entries: Sequence[WeightEntry],
    weights: Mapping[str, Array],
    backend: str,
) -> Party:
    """The Keras program on one of its backends."""
    from nnspec.targets import emit_probed, emitted

    made = emitted(program, "keras")
    expected = {
        entry.variable: Described(entry.shape, entry.kind == "trained")
        for entry in entries
    }
    own = Program(made.source, made.factory)
    values = to_keras(tuple(entries), weights)
    probed = emit_probed(program, "keras")
    return Party(backend, own, made.inputs, made.outputs, probed, expected, values)


def ask_all(questions: Sequence[tuple[Party, str, Mapping[str, Any]]]) -> list[Any]:
    """Asks several workers at once; an answer or what went wrong for each."""
    answers: list[Any] = []
    for party, command, arguments in questions:
        try:
            party.worker.send(command, **arguments)
            answers.append(None)
        except Failed as failed:
            answers.append(failed)
    for place, (party, _, _) in enumerate(questions):
        if answers[place] is not None:
            continue
        try:
            answers[place] = party.worker.receive(LONGEST)
        except Failed as failed:
            answers[place] = failed
    return answers


LONGEST = 1200.0
"""Seconds that one run of a model may take."""


def require_frameworks(backends: Sequence[str]) -> None:
    """Raises `SpecErrors` for a backend that is none, or a framework that is not installed."""
    for backend in backends:
        if backend not in BACKENDS:
            hint = f"Keras runs on {', '.join(BACKENDS)}"
            raise SpecErrors(
                [
                    SpecError(
                        "E0808", f"there is no backend `{backend}`", hint=hint
                    ).diagnostic
                ]
            )
    extras = {"numpy": "weights", "torch": "torch", "keras": "keras"}
    for name in dict.fromkeys([*extras, *backends]):
        if find_spec(name) is None:
            extra = extras.get(name, "keras")
            message = f"a proof runs both programs, and `{name}` is not installed"
            hint = f"install it: `pip install 'nnspec[{extra}]'`"
            raise SpecErrors([SpecError("E0809", message, hint=hint).diagnostic])
