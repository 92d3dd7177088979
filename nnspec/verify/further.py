"""Claims beyond equal values: PyTorch compiles, exports and builds without a device; Keras saves and loads."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Program, values_of
from nnspec.ops.creation import Random
from nnspec.ops.recurrent import Recurrent
from nnspec.targets.convert import to_keras
from nnspec.verify.compare import EXACT, error, largest
from nnspec.verify.exchange import ANY, Array, Axis, Export, Failed
from nnspec.verify.orders import all_to_physical
from nnspec.verify.parties import LONGEST, Party
from nnspec.verify.report import Check
from nnspec.verify.samples import draw_weights, shape_at
from nnspec.verify.sizes import Sizes, lowest, told

if TYPE_CHECKING:
    from nnspec.verify.proof import Proof


def further_checks(proof: Proof, backends: Sequence[str]) -> list[Check]:
    """All of these checks, in float64."""
    keras = proof.keras(backends[0])
    built = [
        check for check in proof.built(keras, "float64", again=True) if not check.ok
    ]
    if built:
        return built
    checks = _torch_checks(proof)
    for backend in backends:
        other = proof.keras(backend)
        failed = [
            check for check in proof.built(other, "float64", again=True) if not check.ok
        ]
        checks += failed or [_reloaded(proof, other)]
    return checks


# ---- PyTorch --------------------------------------------------------------------------------------


def _torch_checks(proof: Proof) -> list[Check]:
    program, party = proof.program, proof.torch
    recurrent = _time_symbols(program)
    checks = [_on_meta(proof)]
    if recurrent is None:
        return [
            *checks,
            _compiled(proof),
            _exported(proof, "torch.export, open sizes", frozenset()),
        ]
    refused = _ask(party, "compiled", inputs=proof.inputs(proof.choices[0]))
    checks.append(_refusal("torch.compile refused: recurrent", party, refused))
    fixed = frozenset(recurrent)
    open_names = [name for name in program.symbols if name not in fixed]
    if fixed:
        answer = _ask(party, "exported", export=_export(proof, frozenset()))
        checks.append(_refusal("torch.export refused: open steps", party, answer))
    if open_names:
        checks.append(_exported(proof, "torch.export, open batch", fixed))
    return checks


def _on_meta(proof: Proof) -> Check:
    sizes = proof.choices[0]
    main = proof.program.main
    answer = _ask(proof.torch, "on_meta", inputs=proof.inputs(sizes))
    name = "built on the meta device"
    if isinstance(answer, Failed):
        return Check(name, "PyTorch", told(sizes), inf, 0.0, str(answer))
    wanted = [shape_at(main.types[v], sizes) for v in values_of(main.outputs)]
    fault = (
        "" if list(answer) == wanted else f"outputs are {answer} instead of {wanted}"
    )
    return Check(name, "PyTorch", told(sizes), inf if fault else 0.0, 0.0, fault)


def _compiled(proof: Proof) -> Check:
    sizes = proof.choices[0]
    inputs = proof.inputs(sizes)
    name = "torch.compile, one graph"
    return _same(
        proof,
        name,
        told(sizes),
        [inputs],
        lambda: [_ask(proof.torch, "compiled", inputs=inputs)],
    )


def _exported(proof: Proof, name: str, fixed: frozenset[str]) -> Check:
    export = _export(proof, fixed)
    where = ", ".join(f"{symbol} open" for symbol in export.bounds)

    def run() -> list[Any]:
        answer = _ask(proof.torch, "exported", export=export)
        return [answer] if isinstance(answer, Failed) else answer

    return _same(proof, name, where, [list(sample) for sample in export.samples], run)


def _same(
    proof: Proof, name: str, where: str, samples: list[list[Array]], run: Any
) -> Check:
    """Whether a program made from the model gives for each sample what the model gives."""
    answers = run()
    for answer in answers:
        if isinstance(answer, Failed):
            return Check(name, "PyTorch", where, inf, EXACT, str(answer))
    measured = 0.0
    for sample, found in zip(samples, answers, strict=True):
        wanted = _ask(proof.torch, "evaluate", inputs=sample)
        if isinstance(wanted, Failed):
            return Check(name, "PyTorch", where, inf, EXACT, str(wanted))
        measured = max(measured, _apart(found, wanted.outputs, _draws(proof.program)))
    detail = "" if measured <= EXACT else f"the outputs differ by {measured:.1e}"
    return Check(name, "PyTorch", where, measured, EXACT, detail)


def _apart(found: Sequence[Array], wanted: Sequence[Array], shapes_only: bool) -> float:
    if len(found) != len(wanted):
        return inf
    if shapes_only:
        return 0.0 if [a.shape for a in found] == [a.shape for a in wanted] else inf
    scale = largest(wanted)
    return max(
        (error(f, w, scale) for f, w in zip(found, wanted, strict=True)), default=0.0
    )


def _refusal(name: str, party: Party, answer: Any) -> Check:
    """A limit that the documentation states: it holds as long as the framework refuses."""
    fault = (
        ""
        if isinstance(answer, Failed)
        else "it is accepted by now: the stated limit is out of date"
    )
    return Check(name, party.title, "", inf if fault else 0.0, 0.0, fault)


# ---- open sizes -----------------------------------------------------------------------------------


def _export(proof: Proof, fixed: frozenset[str]) -> Export:
    """The open axes of the inputs, all symbols open but the fixed ones."""
    program = proof.program
    first = proof.choices[0]
    choices = [
        {**sizes, **{name: first[name] for name in fixed}} for sizes in proof.choices
    ]
    main = program.main
    given = frozenset(proof.fixed) | fixed
    axes = tuple(
        tuple(_axis(program, size, given) for size in main.types[value].shape)
        for value in values_of(main.inputs)
    )
    used = {
        axis.symbol
        for entry in axes
        for axis in entry
        if axis.symbol not in (None, ANY)
    }
    bounds = {
        name: _bounds(program, first, name) for name in program.symbols if name in used
    }
    samples = tuple(tuple(proof.inputs(sizes)) for sizes in choices)
    return Export(axes, bounds, samples)


def _axis(program: Program, size: Dim, given: frozenset[str]) -> Axis:
    names = size.symbols() - given
    if not names:
        return Axis(None)
    if len(names) > 1 or size.symbols() & given:
        return Axis(ANY)
    (name,) = names
    unit = program.assumptions.multiples.get(name, 1)
    # A linear expression is known by three of its values.
    low, middle, high = (int(size.at({name: unit * turns})) for turns in (1, 2, 3))
    if (
        high - middle != middle - low
        or middle <= low
        or any(a.kind != "symbol" for a in size.atoms())
    ):
        return Axis(ANY)
    return Axis(name, middle - low, 2 * low - middle)


def _bounds(program: Program, sizes: Sizes, name: str) -> tuple[int, int | None]:
    unit = program.assumptions.multiples.get(name, 1)
    _, high = program.assumptions.bounds.get(name, (1, None))
    low = lowest(program, sizes, name) // unit
    top = None if high is None else high // unit
    return (low if top is not None and top < 2 else max(low, 2)), top


def _time_symbols(program: Program) -> set[str] | None:
    """The symbols that say how many steps a recurrent layer takes; None where there is no such layer."""
    found: set[str] | None = None
    for function in program.functions.values():
        for node in function.nodes:
            if isinstance(node.op, Recurrent):
                found = (found or set()) | function.node_types(node)[0].shape[
                    1
                ].symbols()
    return found


def _draws(program: Program) -> bool:
    """Whether the program draws random numbers, which differ from run to run."""
    return any(
        isinstance(node.op, Random)
        for function in program.functions.values()
        for node in function.nodes
    )


# ---- Keras ----------------------------------------------------------------------------------------


def _reloaded(proof: Proof, keras: Party) -> Check:
    """The model after `.keras` save and load: same variables, same outputs, ties kept."""
    sizes = proof.choices[0]
    inputs = all_to_physical(proof.inputs(sizes), keras.inputs)
    others = to_keras(proof.entries, draw_weights(proof.entries, proof.seed + 1))
    name = "saved and loaded"
    answer = _ask(keras, "reloaded", inputs=inputs, weights=others)
    if isinstance(answer, Failed):
        return Check(name, keras.title, told(sizes), inf, EXACT, str(answer))
    saved, after = answer
    measured = 0.0
    for weights, found in ((keras.weights, saved), (others, after)):
        _ask(keras, "assign", weights=weights)
        wanted = _ask(keras, "evaluate", inputs=inputs)
        if isinstance(wanted, Failed):
            return Check(name, keras.title, told(sizes), inf, EXACT, str(wanted))
        measured = max(measured, _apart(found, wanted.outputs, shapes_only=False))
    detail = "" if measured <= EXACT else f"the outputs differ by {measured:.1e}"
    return Check(name, keras.title, told(sizes), measured, EXACT, detail)


# ---- help -----------------------------------------------------------------------------------------


def _ask(party: Party, command: str, **arguments: Any) -> Any:
    """A worker's answer, or what went wrong."""
    try:
        return party.worker.ask(command, LONGEST, **arguments)
    except Failed as failed:
        return failed
