"""The proof: what is built, run and compared, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, prod
from typing import Any

from nnspec.analysis.cost import cost
from nnspec.ops.weight_steps import SumPair, undo
from nnspec.targets.weights import weight_map
from nnspec.verify.compare import SINGLE, error, largest, same_bits, tolerance
from nnspec.verify.exchange import Array, Described, Failed, Outcome
from nnspec.verify.further import further_checks
from nnspec.verify.intermediates import Difference, differences
from nnspec.verify.labels import expected_values
from nnspec.verify.orders import all_to_logical, all_to_physical, to_physical
from nnspec.verify.parties import (
    Party,
    keras_party,
    require_frameworks,
    torch_party,
)
from nnspec.verify.report import Check, VerifyReport
from nnspec.verify.runs import Runs
from nnspec.verify.samples import draw_cotangents, draw_weights, shape_at
from nnspec.verify.sizes import Sizes, choices, told
from nnspec.verify.subject import Subject
from nnspec.verify.verdicts import (
    apart_by,
    first_apart,
    intermediates,
    named,
    weight_faults,
    yes_or_no,
)

LAYERS = "layers in evaluation"
OPERATORS = "operators in evaluation"
PROBES = "operators can be shown"


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


class Proof(Runs):
    """What all comparisons of one spec share."""

    def __init__(self, spec: Subject, seed: int, *, keep: bool) -> None:
        self.fixed = spec.symbols
        self.parameters = int(cost(spec.program).parameters)
        self.entries = weight_map(spec.program)
        self.choices = choices(spec.program, spec.symbols)
        self.weights = draw_weights(self.entries, seed)
        torch = torch_party(spec.program, self.entries, self.weights)
        self._keras = keras_party(spec.program, self.entries, self.weights, "")
        probed = {"torch": torch.probed, "keras": self._keras.probed}
        expected = expected_values(spec.program, probed)
        super().__init__(spec.program, torch, expected, seed, keep=keep)

    def keras(self, backend: str) -> Party:
        """The Keras program on a backend."""
        return replace(self._keras, kind=backend)

    # ---- one backend ----

    def against(self, backend: str) -> list[Check]:
        """All comparisons with Keras on one backend."""
        keras = self.keras(backend)
        checks = self.built(keras, "float64")
        if not all(check.ok for check in checks):
            return checks
        unshown = self._built_probed(keras)
        for sizes in self.choices:
            checks += self._at(keras, sizes, probed=not unshown)
        checks += unshown
        if all(check.ok for check in checks):
            checks += self._single(keras)
        return checks

    def built(self, keras: Party, floats: str, *, again: bool = False) -> list[Check]:
        """Builds both programs (even if PyTorch's was built before: `again`) and gives them the weights."""
        if again:
            self.forget()
        asked = self._asked_to_build(keras, floats)
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
        return [*checks, self._counted(keras, asked[0]), *self._assign(keras, floats)]

    def _asked_to_build(self, keras: Party, floats: str) -> list[Any]:
        samples = self.inputs(self.choices[0], floats)
        theirs = all_to_physical(samples, keras.inputs)
        return self.both(
            keras,
            "build",
            {"program": self.torch.program, "inputs": samples, "floats": floats},
            {"program": keras.program, "inputs": theirs, "floats": floats},
            (floats,),
        )

    def _assign(self, keras: Party, floats: str) -> list[Check]:
        """Gives both programs the weights; a check for each that does not take them."""
        ours, theirs = (
            {
                "weights": {
                    name: value.astype(floats) for name, value in party.weights.items()
                }
            }
            for party in (self.torch, keras)
        )
        assigned = self.both(keras, "assign", ours, theirs, (floats,))
        return self._failures("weights by name", keras, "", assigned)

    def _failures(
        self, name: str, keras: Party, where: str, answers: Sequence[Any]
    ) -> list[Check]:
        """A failed check for each program that could not do what was asked."""
        return [
            yes_or_no(name, keras, where, str(answer), party)
            for party, answer in zip((self.torch, keras), answers, strict=True)
            if isinstance(answer, Failed)
        ]

    def _built_probed(self, keras: Party) -> list[Check]:
        """Builds both programs with probes, once it is shown that they are the same but for these."""
        for party in (self.torch, keras):
            if not party.shows_itself:
                fault = "the program with probes is another"
                return [yes_or_no(PROBES, keras, "", fault, party)]
        samples = self.inputs(self.choices[0])
        asked = self.both(
            keras,
            "build_probed",
            {"program": self.torch.with_probes, "floats": "float64"},
            {
                "program": keras.with_probes,
                "inputs": all_to_physical(samples, keras.inputs),
            },
            (),
        )
        return self._failures(PROBES, keras, "", asked)

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

    def _at(self, keras: Party, sizes: Sizes, *, probed: bool) -> list[Check]:
        """Evaluation and training at one choice of sizes, in float64."""
        where = told(sizes)
        allowed = tolerance(self.program, keras.kind, "output")
        asked = self.evaluated(keras, sizes, "float64", capture=True)
        checks = self._failures("runs in evaluation", keras, where, asked)
        if checks:
            return checks
        shown = self.shown(keras, sizes) if probed else []
        changed = self._changed(keras, where, asked, shown)
        apart = self._apart(keras, sizes, asked, [] if changed else shown)
        first = first_apart(apart, allowed)
        checks.append(
            self._outputs("outputs in evaluation", keras, sizes, asked, allowed, first)
        )
        checks += changed
        for name, by_probe in ((LAYERS, False), (OPERATORS, True)):
            own = [d for d in apart if d.expected.by_probe is by_probe]
            checks.append(intermediates(name, keras, where, own, allowed))
        cotangents = draw_cotangents(self._logical(self.torch, asked[0]), self.seed)
        return [*checks, *self._trained(keras, sizes, cotangents)]

    def _apart(
        self, keras: Party, sizes: Sizes, asked: Sequence[Any], shown: Sequence[Any]
    ) -> list[Difference]:
        """The differences of all values on the way; of layers alone where nothing could be shown."""
        expected = [v for v in self.expected if shown or not v.by_probe]
        ours, theirs = (
            [*outcome.calls, *(shown[place].calls if shown else ())]
            for place, outcome in enumerate(asked)
        )
        return differences(expected, sizes, (self.torch, ours), (keras, theirs))

    def _changed(
        self, keras: Party, where: str, asked: Sequence[Any], shown: Sequence[Any]
    ) -> list[Check]:
        """Which of the programs with probes do not give, bit by bit, what those as emitted give."""
        found: list[Check] = []
        for party, plain, probed in zip(
            (self.torch, keras), asked, shown, strict=False
        ):
            if isinstance(probed, Failed):
                fault = str(probed)
            elif same_bits(plain.outputs, probed.outputs):
                continue
            else:
                fault = "with probes it gives other outputs"
            found.append(yes_or_no(PROBES, keras, where, fault, party))
        return found

    def _trained(
        self,
        keras: Party,
        sizes: Sizes,
        cotangents: Sequence[Array | None],
    ) -> list[Check]:
        where = told(sizes)
        allowed = tolerance(self.program, keras.kind, "output")
        inputs = self.inputs(sizes)
        theirs = [
            None if c is None or c.ndim != len(order) else to_physical(c, order)
            for c, (_, order) in zip(cotangents, keras.outputs, strict=True)
        ]
        asked = self.both(
            keras,
            "train",
            {"inputs": inputs, "cotangents": cotangents},
            {"inputs": all_to_physical(inputs, keras.inputs), "cotangents": theirs},
            (where,),
        )
        failed = self._failures("runs in training", keras, where, asked)
        if failed:
            return failed
        checks = [
            self._outputs("outputs in training", keras, sizes, asked, allowed, None)
        ]
        ours: Outcome = asked[0]
        gradients = self._by_source(asked[1].gradients, "trained")
        sloped = tolerance(self.program, keras.kind, "gradient")
        checks.append(
            named("gradients", keras, where, ours.gradients, gradients, sloped)
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
            asked = self.evaluated(keras, sizes, "float32", capture=False)
            failed = [
                yes_or_no("runs in float32", keras, told(sizes), str(answer), party)
                for party, answer in zip((self.torch, keras), asked, strict=True)
                if isinstance(answer, Failed)
            ]
            name = "outputs in evaluation, float32"
            checks += failed or [self._outputs(name, keras, sizes, asked, SINGLE, None)]
        return checks

    # ---- what came out ----

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
