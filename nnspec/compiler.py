"""The pipeline on one page: text -> syntax -> program -> costs, emitted code, proof.

`load` reads one model of a file, `load_all` every one. A `Spec` is a checked model with its constants
settled; its methods are the stages behind.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from nnspec.diagnostics import (
    Diagnostic,
    Diagnostics,
    Severity,
    SpecError,
    SpecErrors,
    did_you_mean,
)
from nnspec.ir import evaluate as evaluation
from nnspec.ir.dims import Dim, DimError, Size, dim
from nnspec.ir.elaboration import Elaboration
from nnspec.ir.frame import Builder, Frame
from nnspec.ir.graph import Program
from nnspec.ir.lint import lint
from nnspec.ir.values import Declared, Module, Value
from nnspec.ir.whole import whole_program
from nnspec.modules import Loader, read_source
from nnspec.ops import OPS
from nnspec.records import dataclass
from nnspec.source import Location, Source
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.analysis.cost import Cost
    from nnspec.analysis.forecast import Forecast
    from nnspec.analysis.generic.closed import ClosedForms
    from nnspec.analysis.kernels import Mode
    from nnspec.analysis.setting import Setting
    from nnspec.analysis.summary import SummaryTree
    from nnspec.ops.base import Operator
    from nnspec.placement.mesh_plan import Mesh, MeshPlan
    from nnspec.placement.plan import Plan
    from nnspec.targets.engines.communication import Traffic
    from nnspec.targets.engines.torch_sharded import MeshShape
    from nnspec.verify import VerifyReport

# Integers as the language writes them, without anything that must be parsed.
_PLAIN = re.compile("[1-9][0-9]{0,17}")

Target = Literal["torch", "keras"]


@dataclass(frozen=True)
class Report:
    """What checking found: warnings, and costs over budget; with other errors there is no `Spec`."""

    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return not any(each.severity is Severity.ERROR for each in self.diagnostics)


@dataclass(frozen=True, eq=False)
class Spec:
    """A model that has been checked."""

    name: str
    path: str
    program: Program
    symbols: Mapping[str, int] = field(default_factory=dict[str, int])
    warnings: tuple[Diagnostic, ...] = ()

    def check(self) -> Report:
        """What there is to say of a spec whose program is right: warnings, and budgets exceeded."""
        if not self.program.budgets:
            return Report(self.warnings)
        from nnspec.analysis.budgets import exceeded

        return Report((*self.warnings, *exceeded(self.program, self.symbols)))

    def cost(self, **symbols: Size) -> Cost:
        """Parameters and FLOPs; symbols that are not given stay in the formulas.

        Raises `SpecErrors` for a symbol that the model does not have, or a size that it cannot have.
        """
        from nnspec.analysis.cost import cost

        return cost(self.program, self._sizes(symbols))

    def figure(
        self, name: str, setting: Setting | None = None, **symbols: Size
    ) -> int | float | Dim:
        """One figure by its name (see `nnspec.analysis.figures`), under a setting.

        A formula while sizes are open; a float for a quotient. Raises `SpecError` for a name that is none,
        `SpecErrors` for sizes as `cost` does.
        """
        from nnspec.analysis.figures import Analysis

        found = Analysis(self.program, setting).measured(name)
        found = found.at(self._sizes(symbols))
        if not found.is_known:
            return found.value
        return int(found.value) if found.below == 1 else float(found.exactly())

    def forecast(
        self,
        device: str,
        mode: Mode = "forward",
        setting: Setting | None = None,
        **symbols: int,
    ) -> Forecast:
        """The time of a forward pass or a training step (`mode`) on a device: its name, or a file's path.

        `bound.seconds` is the least it can take, `estimate` the calibrated interval. Raises `SpecError`
        while a size is open, and OSError for a file that cannot be read.
        """
        from nnspec.analysis.device import load_device
        from nnspec.analysis.figures import Analysis
        from nnspec.analysis.forecast import Forecast

        analysis = Analysis(self.program, setting)
        sizes = {**self.symbols, **symbols}
        return Forecast(analysis, load_device(device), sizes, mode)

    def closed_forms(
        self,
        *figures: str,
        constants: Collection[str] | None = None,
        setting: Setting | None = None,
    ) -> ClosedForms:
        """Figures as formulas in constants of the model: those named, or all that are integers.

        Raises `SpecError` for a figure that is no sum over the program, and for what is no integer constant.
        """
        from nnspec.analysis.figures import Analysis
        from nnspec.analysis.generic.closed import closed_forms

        return closed_forms(Analysis(self.program, setting), figures, constants)

    def summary(self, *figures: str, **symbols: Size) -> SummaryTree:
        """The layers by path, with shapes and costs; symbols that are not given stay.

        `figures` are names, parameters and FLOPs if none are given. Raises `SpecError` for one without parts.
        """
        from nnspec.analysis.summary import SHOWN, summary

        known = self._sizes(symbols)
        return summary(self.program, known, figures=figures or SHOWN)

    def picture(self, format: str, *, depth: int = 0, open: Iterable[str] = ()) -> str:
        """The architecture as "svg", "dot", "mmd" or "html"; see `nnspec.picture.picture`."""
        from nnspec.picture import picture

        return picture(
            self.program, format, depth=depth, open=open, symbols=self.symbols
        )

    def report(self, setting: Setting | None = None) -> str:
        """A page with the architecture, its costs by block, and sizes to change; see `nnspec.picture.report`."""
        from nnspec.picture.report import report

        return report(self.program, setting, self.symbols)

    def source(self, target: Target) -> str:
        """The program in a framework's own code. Raises `SpecError` for what it cannot express."""
        from nnspec.targets import emit

        if target not in get_args(Target):
            raise ValueError(f"there is no target `{target}`, only `torch` and `keras`")
        return emit(self.program, target)

    def placed_source(self, plan: Plan, schedule: str | None = None) -> str:
        """The PyTorch program of a plan: one process, or with a schedule a pipeline of processes.

        Raises `SpecErrors` for a plan of another model or without a line of devices, and `SpecError`
        for what the engine cannot run.
        """
        from nnspec.placement.stages import line_of
        from nnspec.targets.engines import torch_stages as engine

        wanted = schedule or plan.schedule
        if wanted is None:
            line = line_of(self.program, plan)
            return engine.emit_on_devices(self.program, line.stage_of)
        rounds = wanted in engine.SEVERAL
        line = line_of(self.program, plan, copies=True, rounds=rounds)
        return engine.emit_pipeline(self.program, line.stage_of, line.ranks, wanted)

    def mesh_source(
        self,
        plan: MeshPlan,
        schedule: str | None = None,
        microbatches: int | None = None,
    ) -> str:
        """The PyTorch program of a mesh, with another schedule or number of micro-batches if given.

        Raises `SpecErrors` for a plan of another model, and `SpecError` for what the engines cannot run.
        """
        from nnspec.placement.mesh_program import checked_mesh
        from nnspec.placement.stages import line_of_mesh
        from nnspec.targets.engines.torch_sharded import emit_mesh
        from nnspec.targets.engines.torch_stages import emit_pipeline

        mesh, wanted = checked_mesh(plan, schedule, microbatches)
        line, shape = line_of_mesh(self.program, plan), _shape(mesh)
        if wanted is None or mesh.pipeline == 1:
            return emit_mesh(self.program, shape)
        return emit_pipeline(self.program, line.stage_of, line.ranks, wanted, shape)

    def mesh_traffic(
        self,
        plan: MeshPlan,
        schedule: str | None = None,
        microbatches: int | None = None,
    ) -> tuple[Traffic, ...]:
        """What a process of a mesh's PyTorch program communicates in a step, at each place of its pipeline.

        Floats are float32. Raises `SpecError`: E1105 for a size that is open, E1036 for blocks of which it
        is not known.
        """
        from nnspec.placement.mesh_program import checked_mesh, sizes_of_part
        from nnspec.placement.stages import line_of_mesh
        from nnspec.targets.engines.stage_traffic import mesh_traffic

        mesh, _ = checked_mesh(plan, schedule, microbatches)
        line = line_of_mesh(self.program, plan)
        sizes = sizes_of_part(self.program, self.symbols, plan.batch, mesh)
        stages = (line.stage_of, line.ranks) if mesh.pipeline > 1 else None
        return mesh_traffic(self.program, _shape(mesh), sizes, stages)

    def keras_placed_source(
        self, plan: Plan | MeshPlan, backend: str | None = None
    ) -> str:
        """The Keras program of a plan, for a backend: by itself, the one that has the engine.

        Raises `SpecErrors` for a plan of another model, and `SpecError` for what Keras cannot run, or would
        ignore on that backend.
        """
        from nnspec.placement.mesh_plan import MeshPlan
        from nnspec.placement.mesh_program import checked_mesh
        from nnspec.placement.stages import line_of, line_of_mesh
        from nnspec.targets.engines import keras_engines as engine

        if not isinstance(plan, MeshPlan):
            line = line_of(self.program, plan)
            return engine.emit_on_devices(
                self.program, line.stage_of, backend or "tensorflow"
            )
        mesh, _ = checked_mesh(plan)
        line_of_mesh(self.program, plan)
        return engine.emit_keras_mesh(self.program, _shape(mesh), backend)

    def compile_warnings(
        self, target: str = "", *, placed: bool = False
    ) -> tuple[Diagnostic, ...]:
        """What the spec says and the program of a target (or of none) does not act on.

        A program that is `placed` follows a plan, which knows of `@device`.
        """
        from nnspec.ir.unheeded import warnings

        return warnings(self.program, target, placed=placed)

    def checkpointed(self, *blocks: str) -> Spec:
        """The model with these blocks computed again in the backward pass, as if `@checkpoint` stood there.

        Raises `SpecError` for a name that is no such block.
        """
        from nnspec.passes import run_passes
        from nnspec.passes.checkpoint import Checkpoint

        return replace(self, program=run_passes(self.program, [Checkpoint(blocks)]))

    def program_after(self, name: str) -> Program:
        """The program as it is after the pass of that name."""
        from nnspec.passes import run_until

        return run_until(self.program, name)

    def verify(self, **options: Any) -> VerifyReport:
        """Proves that both emitted programs compute the same function."""
        from nnspec.verify import verify

        return verify(self, **options)

    def torch(self) -> Any:
        """The emitted PyTorch module, built. Runs the emitted code in this process."""
        from nnspec.verify.build import build

        return build(self, "torch")

    def keras(self) -> Any:
        """The emitted Keras model, built. Runs the emitted code in this process."""
        from nnspec.verify.build import build

        return build(self, "keras")

    def _sizes(self, given: Mapping[str, Size]) -> dict[str, Size]:
        """The sizes that are known and those that are given. Raises `SpecErrors`."""
        try:
            for name, size in given.items():
                _check_size(self.program, name, size)
        except SpecError as error:
            raise SpecErrors([error.diagnostic]) from None
        return {**self.symbols, **given}

    def convert_weights(self, data: bytes, origin: str, target: str) -> Any:
        """Weights of one backend (safetensors) as those of another."""
        from nnspec.targets.convert import convert

        return convert(self.program, data, origin, target)


def _shape(mesh: Mesh) -> MeshShape:
    from nnspec.targets.engines.torch_sharded import MeshShape

    return MeshShape(
        mesh.data, mesh.tensor, mesh.pipeline, mesh.sharded, mesh.microbatches
    )


# ---- loading ----------------------------------------------------------------------------------------


def load(
    path: str,
    name: str | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    operators: Mapping[str, type[Operator]] = OPS,
    **constants: Any,
) -> Spec:
    """One model of a spec file, checked. Raises `SpecErrors` with every fault, and OSError.

    `settings` are texts of the language (`{"depths": "[2, 2]", "B": "8"}`); keywords are Python values
    for the same (`B=8`). Without a name, the file must hold one model.
    """
    given = {
        **(settings or {}),
        **{key: _spelled(value) for key, value in constants.items()},
    }
    return SpecFile(_read(path), operators).load(name, given)


def load_all(
    path: str,
    *,
    settings: Mapping[str, str] | None = None,
    operators: Mapping[str, type[Operator]] = OPS,
) -> list[Spec]:
    """Every model of a spec file: its variants, and the models that need no constants."""
    return load_source(_read(path), None, settings or {}, operators)


def load_source(
    source: Source,
    names: list[str] | None,
    settings: Mapping[str, str],
    operators: Mapping[str, type[Operator]] = OPS,
) -> list[Spec]:
    """The models of a text, by name or all. Raises `SpecErrors`."""
    specs, diagnostics = check_source(source, names, settings, operators)
    diagnostics.raise_errors()
    return specs


def check_source(
    source: Source,
    names: list[str] | None,
    settings: Mapping[str, str],
    operators: Mapping[str, type[Operator]] = OPS,
) -> tuple[list[Spec], Diagnostics]:
    """The models of a text that are right, and everything there is to say about the text."""
    return SpecFile(source, operators).check(names, settings)


def read(path: str, operators: Mapping[str, type[Operator]] = OPS) -> SpecFile:
    """A spec file, for making its models with many settings. Raises `SpecErrors` and OSError."""
    return SpecFile(_read(path), operators)


class SpecFile:
    """A text that is read once, whatever its models are then made with."""

    def __init__(
        self, source: Source, operators: Mapping[str, type[Operator]] = OPS
    ) -> None:
        self._operators = operators
        self._found = Diagnostics()
        self._module = Loader(self._found).module(source)
        wrong = bool(self._found.errors)
        self._remarks = Diagnostics() if wrong else lint(self._module, operators)

    def load(self, name: str | None, settings: Mapping[str, str]) -> Spec:
        """One model; without a name, the only one. Raises `SpecErrors`."""
        specs, diagnostics = self.check([name] if name is not None else None, settings)
        diagnostics.raise_errors()
        if len(specs) != 1:
            found = ", ".join(spec.name for spec in specs) or "none"
            message = (
                f"{self._module.file.source.name} holds {len(specs)} models ({found})"
            )
            hint = "name one of them"
            raise SpecErrors([SpecError("E0704", message, hint=hint).diagnostic])
        return specs[0]

    def check(
        self, names: list[str] | None, settings: Mapping[str, str]
    ) -> tuple[list[Spec], Diagnostics]:
        """The models that are right, by name or all, and everything there is to say about the text."""
        diagnostics = Diagnostics(suppressed=self._found.suppressed)
        diagnostics.extend(self._found)
        if diagnostics.errors:
            return [], diagnostics
        specs: list[Spec] = []
        for declared in _entries(self._module, names):
            spec = _elaborated(
                self._module, declared, settings, self._operators, diagnostics
            )
            if spec is not None:
                specs.append(replace(spec, warnings=tuple(self._remarks)))
        return specs, _in_order(self._remarks, diagnostics)


def _in_order(remarks: Diagnostics, found: Diagnostics) -> Diagnostics:
    """All findings as they follow in the text; of two at one place, what was seen first."""
    places = {remark.location for remark in remarks.errors}
    rest = [
        each for each in found if each.location is None or each.location not in places
    ]
    merged = Diagnostics(suppressed=remarks.suppressed + found.suppressed)
    merged.extend(sorted([*remarks, *rest], key=_place))
    return merged


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    location = diagnostic.location
    return (location.source.name, location.span.start) if location else ("", -1)


def _read(path: str) -> Source:
    try:
        return read_source(path)
    except SpecError as error:
        raise SpecErrors([error.diagnostic]) from None


def _entries(module: Module, names: list[str] | None) -> list[Declared]:
    own = {
        name: declared
        for name, declared in module.names.items()
        if declared.module is module
        and isinstance(declared.node, ast.Model | ast.Variant)
    }
    if names is None:
        named = {d.node.model for d in own.values() if isinstance(d.node, ast.Variant)}
        used = {n for n in named if n in own and isinstance(own[n].node, ast.Model)}
        return [d for name, d in own.items() if name not in used and _complete(d)]
    chosen: list[Declared] = []
    for name in names:
        if name not in own:
            hint = (
                did_you_mean(name, own) or f"it holds: {', '.join(own) or 'no model'}"
            )
            message = f"{module.file.source.name} holds no model named `{name}`"
            raise SpecErrors([SpecError("E0704", message, hint=hint).diagnostic])
        chosen.append(own[name])
    return chosen


def _complete(declared: Declared) -> bool:
    """Whether a model needs no constants; a variant gives them."""
    if not isinstance(declared.node, ast.Model):
        return True
    return all(parameter.default is not None for parameter in declared.node.parameters)


def _elaborated(
    module: Module,
    declared: Declared,
    settings: Mapping[str, str],
    operators: Mapping[str, type[Operator]],
    diagnostics: Diagnostics,
) -> Spec | None:
    elaboration = Elaboration(operators, diagnostics)
    try:
        constants, rest = _settings(elaboration, module, declared, settings)
        program = whole_program(
            elaboration, declared, constants, module.file.source.name
        )
        if program is None:
            return None
        symbols = _symbols(program, rest)
    except SpecError as error:
        diagnostics.add(error.diagnostic)
        return None
    return Spec(program.name, module.file.source.name, program, symbols)


def _settings(
    elaboration: Elaboration,
    module: Module,
    declared: Declared,
    settings: Mapping[str, str],
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The values that were set, apart: the model's own constants, and the rest (its symbols)."""
    model = (
        elaboration.variant(declared)[0]
        if isinstance(declared.node, ast.Variant)
        else declared
    )
    assert isinstance(model.node, ast.Model)
    parameters = {parameter.name for parameter in model.node.parameters}
    constants: dict[str, Value] = {}
    rest: dict[str, Value] = {}
    for name, text in settings.items():
        value = _setting(elaboration, name, text)
        (constants if name in parameters else rest)[name] = value
    return constants, rest


def _setting(elaboration: Elaboration, name: str, text: str) -> Value:
    """The value of a setting, written in the language."""
    if _PLAIN.fullmatch(text):
        return dim(int(text))
    diagnostics = Diagnostics()
    source = Source(f"<{name}>", f"value = {text}")
    module = Loader(diagnostics).module(source)
    diagnostics.raise_errors()
    declared = module.names.get("value")
    if declared is None or len(module.file.declarations) != 1:
        raise SpecError(
            "E0705", f"`{text}` is no value", Location(source, module.file.span)
        )
    assert isinstance(declared.node, ast.Constant)
    frame = Frame(elaboration, Builder(closed=True), module, {}, {}, "file", prefix=".")
    return evaluation.evaluate(frame, declared.node.bind.values[0])


def _symbols(program: Program, given: Mapping[str, Value]) -> dict[str, int]:
    """The symbols that were set. Raises `SpecError` for a name that is none, or a size that is wrong."""
    found: dict[str, int] = {}
    for name, value in given.items():
        _check_size(program, name, value)
        if not isinstance(value, Dim) or not value.is_constant:
            raise _no_size(name)
        found[name] = int(value)
    return found


def _check_size(program: Program, name: str, value: Value | int) -> None:
    """Raises `SpecError` for a symbol that is none of the program, or a size that it cannot have."""
    if name not in program.symbols:
        known = [*program.symbols, *(p.name for p in program.main.parameters)]
        raise SpecError(
            "E0302",
            f"`{program.name}` has no constant or size named `{name}`",
            hint=did_you_mean(name, known) or f"it has: {', '.join(known) or 'none'}",
        )
    if isinstance(value, Dim) and not value.is_constant:
        return
    if isinstance(value, bool) or not isinstance(value, int | Dim) or int(value) < 1:
        raise _no_size(name)
    _check_assumed(program, name, int(value))


def _no_size(name: str) -> SpecError:
    return SpecError(
        "E0705",
        f"the size `{name}` must be an integer of at least 1",
        hint=f"write a number, such as `{name}=8`",
    )


def _check_assumed(program: Program, name: str, value: int) -> None:
    low, high = program.assumptions.bounds.get(name, (1, None))
    factor = program.assumptions.multiples.get(name, 1)
    wrong = (
        f"is at least {low}"
        if value < low
        else f"is at most {high}"
        if high is not None and value > high
        else f"is a multiple of {factor}"
        if value % factor
        else None
    )
    if wrong:
        raise SpecError(
            "E0503", f"`{name}` {wrong} by a requirement of the model, not {value}"
        )


def _spelled(value: Any) -> str:
    """A Python value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        return f"[{', '.join(_spelled(item) for item in items)}]"
    if isinstance(value, int | float):
        return str(value)
    raise TypeError(f"{value!r} is no constant of the language")


__all__ = [
    "DimError",
    "Report",
    "Spec",
    "SpecFile",
    "check_source",
    "load",
    "load_all",
    "load_source",
    "read",
]
