"""A checked model, and the stages behind: its costs, emitted code, placement, proof.

Each method is a stage of the pipeline, and imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from nnspec.diagnostics import Diagnostic, Severity, SpecError, SpecErrors
from nnspec.elaboration.given_sizes import check_size, check_sizes
from nnspec.elaboration.settings import spelled
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Program
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.cost import Cost
    from nnspec.analysis.generic.closed import ClosedForms
    from nnspec.analysis.setting import Setting
    from nnspec.analysis.summary import SummaryTree
    from nnspec.analysis.timing.forecast import Forecast
    from nnspec.analysis.timing.kernels import Mode
    from nnspec.placement.mesh.plan import MeshPlan
    from nnspec.placement.plan import Plan
    from nnspec.targets.engines.communication import Traffic
    from nnspec.verify import VerifyReport

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
    # The same model with other settings. Raises `SpecErrors`.
    again: Callable[[Mapping[str, str]], Spec] | None = field(default=None, repr=False)

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
        from nnspec.analysis.analysis import Analysis
        from nnspec.analysis.quantities import nearest_number

        found = Analysis(self.program, setting).at(name, self._sizes(symbols))
        if not found.is_known:
            return found.value
        return int(found.value) if found.below == 1 else nearest_number(found.exactly())

    def forecast(
        self,
        device: str,
        mode: Mode = "forward",
        setting: Setting | None = None,
        **symbols: int,
    ) -> Forecast:
        """The time of a forward pass or a training step (`mode`) on a device: its name, or a file's path.

        `bound.seconds` is the least it can take, `estimate` the calibrated interval. Raises `SpecError`
        while a size is open, `SpecErrors` for sizes as `cost` does, and OSError for a file that cannot be read.
        """
        from nnspec.analysis.analysis import Analysis
        from nnspec.analysis.timing.device import load_device
        from nnspec.analysis.timing.forecast import Forecast

        analysis, sizes = Analysis(self.program, setting), self._sizes(symbols)
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
        from nnspec.analysis.analysis import Analysis
        from nnspec.analysis.generic.closed import closed_forms

        analysis = Analysis(self.program, setting)
        return closed_forms(analysis, figures, constants, made=self.program_with)

    def program_with(self, numbers: Mapping[str, int]) -> Program | None:
        """The program with other numbers for some constants, an element of a list as `depths[0]`.

        None if the spec refuses them, or if they are not known to be settings of the model.
        """
        from nnspec.analysis.generic.names.eligible import with_numbers

        if self.again is None:
            return None
        values = with_numbers(self.program, numbers)
        try:
            return self.again({n: spelled(v) for n, v in values.items()}).program
        except SpecErrors:
            return None

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
        """The PyTorch program of a plan (see `nnspec.distributed`)."""
        from nnspec.distributed import placed_source

        return placed_source(self.program, plan, schedule)

    def mesh_source(
        self,
        plan: MeshPlan,
        schedule: str | None = None,
        microbatches: int | None = None,
    ) -> str:
        """The PyTorch program of a mesh (see `nnspec.distributed`)."""
        from nnspec.distributed import mesh_source

        return mesh_source(self.program, plan, schedule, microbatches)

    def mesh_traffic(
        self,
        plan: MeshPlan,
        schedule: str | None = None,
        microbatches: int | None = None,
    ) -> tuple[Traffic, ...]:
        """What a mesh's PyTorch program communicates (see `nnspec.distributed`)."""
        from nnspec.distributed import mesh_traffic

        return mesh_traffic(self.program, self.symbols, plan, schedule, microbatches)

    def keras_placed_source(
        self, plan: Plan | MeshPlan, backend: str | None = None
    ) -> str:
        """The Keras program of a plan (see `nnspec.distributed`)."""
        from nnspec.distributed import keras_placed_source

        return keras_placed_source(self.program, plan, backend)

    def compile_warnings(
        self, target: str = "", *, placed: bool = False
    ) -> tuple[Diagnostic, ...]:
        """What the spec says and the program of a target (or of none) does not act on.

        A program that is `placed` follows a plan, which knows of `@device`.
        """
        from nnspec.ir import unheeded, unread

        found = unheeded.warnings(self.program, target, placed=placed)
        return (*found, *unread.warnings(self.program)) if target == "keras" else found

    def checkpointed(self, *blocks: str) -> Spec:
        """The model with these blocks computed again in the backward pass, as if `@checkpoint` stood there.

        Raises `SpecError` for a name that is no such block.
        """
        from nnspec.passes import run_passes
        from nnspec.passes.checkpoint import Checkpoint

        def again(more: Mapping[str, str]) -> Spec:
            assert self.again is not None
            return self.again(more).checkpointed(*blocks)

        return replace(
            self,
            program=run_passes(self.program, [Checkpoint(blocks)]),
            again=None if self.again is None else again,
        )

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
                check_size(self.program, name, size)
            known = {**self.symbols, **given}
            check_sizes(self.program, known)
        except SpecError as error:
            raise SpecErrors([error.diagnostic]) from None
        return known

    def convert_weights(self, data: bytes, origin: str, target: str) -> Any:
        """Weights of one backend (safetensors) as those of another."""
        from nnspec.targets.convert import convert

        return convert(self.program, data, origin, target)
