"""The proof: what is built, run and compared, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod
from typing import Any

import numpy as np

from nnspec.analysis.cost import cost
from nnspec.ops.weight_steps import SumPair, undo
from nnspec.targets.weights import weight_map
from nnspec.verify.compare import SINGLE, error, largest, tolerance
from nnspec.verify.exchange import Array, Described, Failed, Outcome
from nnspec.verify.further import further_checks
from nnspec.verify.intermediates import Difference, differences
from nnspec.verify.labels import expected_calls
from nnspec.verify.orders import all_to_logical, all_to_physical, to_physical
from nnspec.verify.parties import (
    Party,
    ask_all,
    keras_party,
    require_frameworks,
    torch_party,
)
from nnspec.verify.report import Check, VerifyReport
from nnspec.verify.samples import draw_cotangents, draw_inputs, draw_weights, shape_at
from nnspec.verify.sizes import Sizes, choices, told
from nnspec.verify.subject import Subject
from nnspec.verify.verdicts import apart_by, layers, named, weight_faults, yes_or_no


def verify(
    spec: Subject,
    *,
    backends: Sequence[str] = ("tensorflow",),
    compile: bool = False,
    seed: int = 0,
) -> VerifyReport:
    """Compares the emitted PyTorch program with the Keras one on each backend.

    With `compile`, also that PyTorch compiles and exports it, builds it without a device, and that the
    Keras model can be saved and loaded. Raises `SpecErrors` where a framework is missing or a program
    cannot be emitted.
    """
    require_frameworks(backends)
    found = Proof(spec, seed, keep=len(backends) > 1)
    checks: list[Check] = []
    for backend in backends:
        checks += found.against(backend)
    if compile:
        checks += further_checks(found, backends)
    return VerifyReport(spec.name, found.parameters, tuple(checks))


class Proof:
    """What all comparisons of one spec share."""

    def __init__(self, spec: Subject, seed: int, *, keep: bool) -> None:
        self.program = spec.program
        self.seed = seed
        self.fixed = spec.symbols
        self._keep = keep
        self.parameters = int(cost(spec.program).parameters)
        self.entries = weight_map(spec.program)
        self.calls = expected_calls(spec.program)
        self._torch_paths = frozenset(call.torch for call in self.calls)
        self._keras_paths = frozenset(call.keras for call in self.calls)
        self.choices = choices(spec.program, spec.symbols)
        self.weights = draw_weights(self.entries, seed)
        self.torch = torch_party(spec.program, self.entries, self.weights)
        self._inputs: dict[str, list[Array]] = {}
        self._positive = False
        self._answers: dict[tuple[Any, ...], Any] = {}

    # ---- one backend ----

    def against(self, backend: str) -> list[Check]:
        """All comparisons with Keras on one backend."""
        keras = keras_party(self.program, self.entries, self.weights, backend)
        allowed = tolerance(self.program, backend)
        checks = self.built(keras, "float64")
        if not all(check.ok for check in checks):
            return checks
        for sizes in self.choices:
            checks += self._at(keras, sizes, allowed)
        if all(check.ok for check in checks):
            checks += self._single(keras)
        return checks

    def built(self, keras: Party, floats: str, *, again: bool = False) -> list[Check]:
        """Builds both programs (even if PyTorch's was built before: `again`) and gives them the weights."""
        if again:
            self._answers.clear()
        arguments = {"floats": floats}
        samples = self.inputs(self.choices[0], floats)
        asked = self._both(
            keras,
            "build",
            {"program": self.torch.program, "inputs": samples, **arguments},
            {
                "program": keras.program,
                "inputs": all_to_physical(samples, keras.inputs),
                **arguments,
            },
            (floats,),
        )
        checks: list[Check] = []
        for party, answer in zip((self.torch, keras), asked, strict=True):
            fault = (
                str(answer)
                if isinstance(answer, Failed)
                else weight_faults(party, answer)
            )
            checks.append(yes_or_no("weights by name", keras, "", fault, party))
        if any(not check.ok for check in checks):
            return checks
        checks.append(self._counted(keras, asked[0]))
        given = [
            {
                "weights": {
                    name: value.astype(floats) for name, value in party.weights.items()
                }
            }
            for party in (self.torch, keras)
        ]
        assigned = self._both(keras, "assign", given[0], given[1], (floats,))
        for party, answer in zip((self.torch, keras), assigned, strict=True):
            if isinstance(answer, Failed):
                checks.append(
                    yes_or_no("weights by name", keras, "", str(answer), party)
                )
        return checks

    def _counted(self, keras: Party, tensors: Mapping[str, Described]) -> Check:
        state = {
            name
            for entry in self.entries
            if entry.kind == "state"
            for name in entry.sources
        }
        count = sum(prod(t.shape) for name, t in tensors.items() if name not in state)
        fault = (
            f"{count:,} instead of {self.parameters:,}"
            if count != self.parameters
            else ""
        )
        return yes_or_no("parameter count", keras, "", fault, self.torch)

    def _at(self, keras: Party, sizes: Sizes, allowed: float) -> list[Check]:
        """Evaluation and training at one choice of sizes, in float64."""
        where = told(sizes)
        asked = self._evaluated(keras, sizes, "float64", capture=True)
        checks = [
            yes_or_no("runs in evaluation", keras, where, str(answer), party)
            for party, answer in zip((self.torch, keras), asked, strict=True)
            if isinstance(answer, Failed)
        ]
        if checks:
            return checks
        ours, theirs = asked
        apart = differences(
            self.calls, sizes, (self.torch, ours.calls), (keras, theirs.calls)
        )
        first = next((d for d in apart if not d.error <= allowed), None)
        checks.append(
            self._outputs("outputs in evaluation", keras, sizes, asked, allowed, first)
        )
        checks.append(layers(keras, where, apart, first, allowed))
        cotangents = draw_cotangents(self._logical(self.torch, ours), self.seed)
        return [*checks, *self._trained(keras, sizes, cotangents, allowed)]

    def _trained(
        self,
        keras: Party,
        sizes: Sizes,
        cotangents: Sequence[Array | None],
        allowed: float,
    ) -> list[Check]:
        where = told(sizes)
        inputs = self.inputs(sizes)
        theirs = [
            None if c is None or c.ndim != len(order) else to_physical(c, order)
            for c, (_, order) in zip(cotangents, keras.outputs, strict=True)
        ]
        asked = self._both(
            keras,
            "train",
            {"inputs": inputs, "cotangents": cotangents},
            {"inputs": all_to_physical(inputs, keras.inputs), "cotangents": theirs},
            (where,),
        )
        failed = [
            yes_or_no("runs in training", keras, where, str(answer), party)
            for party, answer in zip((self.torch, keras), asked, strict=True)
            if isinstance(answer, Failed)
        ]
        if failed:
            return failed
        checks = [
            self._outputs("outputs in training", keras, sizes, asked, allowed, None)
        ]
        ours: Outcome = asked[0]
        gradients = self._by_source(asked[1].gradients, "trained")
        checks.append(
            named("gradients", keras, where, ours.gradients, gradients, allowed)
        )
        state = self._by_source(asked[1].state, "state")
        if state or ours.state:
            checks.append(named("statistics", keras, where, ours.state, state, allowed))
        return checks

    def _single(self, keras: Party) -> list[Check]:
        """Outputs in float32, at every choice of sizes."""
        checks = [check for check in self.built(keras, "float32") if not check.ok]
        if checks:
            return checks
        for sizes in self.choices:
            asked = self._evaluated(keras, sizes, "float32", capture=False)
            failed = [
                yes_or_no("runs in float32", keras, told(sizes), str(answer), party)
                for party, answer in zip((self.torch, keras), asked, strict=True)
                if isinstance(answer, Failed)
            ]
            name = "outputs in evaluation, float32"
            checks += failed or [self._outputs(name, keras, sizes, asked, SINGLE, None)]
        return checks

    # ---- what goes in and comes out ----

    def inputs(self, sizes: Sizes, floats: str = "float64") -> list[Array]:
        """The inputs for these sizes, axes in the logical order."""
        key = told(sizes)
        if key not in self._inputs:
            drawn = draw_inputs(self.program, sizes, self.seed, positive=self._positive)
            self._inputs[key] = drawn
        own = {"float32": "float32"}.get(floats)
        if own is None:
            return self._inputs[key]
        return [
            a.astype(own) if a.dtype.name == "float64" else a for a in self._inputs[key]
        ]

    def _evaluated(
        self, keras: Party, sizes: Sizes, floats: str, *, capture: bool
    ) -> list[Any]:
        asked = self._evaluated_once(keras, sizes, floats, capture)
        ours = asked[0]
        if self._positive or isinstance(ours, Failed):
            return asked
        if all(np.isfinite(output).all() for output in ours.outputs):
            return asked
        # A logarithm or a root of a negative number proves nothing: try inputs between 0 and 1.
        self._positive = True
        self._inputs.clear()
        return self._evaluated_once(keras, sizes, floats, capture)

    def _evaluated_once(
        self, keras: Party, sizes: Sizes, floats: str, capture: bool
    ) -> list[Any]:
        inputs = self.inputs(sizes, floats)
        physical = all_to_physical(inputs, keras.inputs)
        key = (floats, told(sizes), self._positive)
        return self._both(
            keras,
            "evaluate",
            {"inputs": inputs, "capture": self._torch_paths if capture else ()},
            {"inputs": physical, "capture": self._keras_paths if capture else ()},
            key,
        )

    def _both(
        self,
        keras: Party,
        command: str,
        to_torch: Mapping[str, Any],
        to_keras: Mapping[str, Any],
        key: tuple[Any, ...],
    ) -> list[Any]:
        """Both answers; PyTorch is asked once and its answer kept for the other backends."""
        key = (command, *key)
        if key in self._answers:
            return [self._answers[key], *ask_all([(keras, command, to_keras)])]
        asked = ask_all([(self.torch, command, to_torch), (keras, command, to_keras)])
        if self._keep:
            self._answers[key] = asked[0]
        return asked

    def _logical(self, party: Party, outcome: Outcome) -> list[Array]:
        return all_to_logical(outcome.outputs, party.outputs)

    def _by_source(self, values: Mapping[str, Array], kind: str) -> dict[str, Array]:
        """Gradients or statistics of Keras's variables, by PyTorch's names and in its layouts."""
        found: dict[str, Array] = {}
        for entry in self.entries:
            if entry.kind != kind or entry.variable not in values:
                continue
            arrays = undo(entry.steps, [values[entry.variable]])
            if any(isinstance(step, SumPair) for step in entry.steps):
                arrays = [
                    arrays[0],
                    arrays[0],
                ]  # each summand has the derivative of the sum
            found |= zip(entry.sources, arrays, strict=True)
        return found

    # ---- verdicts ----

    def _outputs(
        self,
        name: str,
        keras: Party,
        sizes: Sizes,
        asked: Sequence[Outcome],
        allowed: float,
        first: Difference | None,
    ) -> Check:
        wanted, found = (
            self._logical(party, outcome)
            for party, outcome in zip((self.torch, keras), asked, strict=True)
        )
        fault = self._output_fault(wanted, self.torch, sizes) or self._output_fault(
            found, keras, sizes
        )
        if fault:
            return Check(name, keras.title, told(sizes), inf, allowed, fault)
        scale = largest(wanted)
        errors = [error(f, w, scale) for f, w in zip(found, wanted, strict=True)]
        measured = max(errors, default=0.0)
        detail = ""
        if not measured <= allowed:
            place = errors.index(measured)
            detail = apart_by(f"the output `{self.torch.outputs[place][0]}`", measured)
            if first is not None:
                detail += f"\nfirst in {first.told()}"
        return Check(name, keras.title, told(sizes), measured, allowed, detail)

    def _output_fault(
        self, outputs: Sequence[Array], party: Party, sizes: Sizes
    ) -> str:
        main = self.program.main
        if len(outputs) != len(main.outputs):
            return f"{party.title} gives {len(outputs)} outputs instead of {len(main.outputs)}"
        for port, output in zip(main.outputs, outputs, strict=True):
            assert isinstance(port.values, int)
            wanted = shape_at(main.types[port.values], sizes)
            if output.shape != wanted:
                shapes = f"{list(output.shape)} instead of {list(wanted)}"
                return f"{party.title} gives the output `{port.name}` as {shapes}"
        return ""
