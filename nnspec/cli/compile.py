"""`nnspec compile`: the program of a model for one framework."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import click

from nnspec.cli.arguments import (
    SpecArgument,
    json_option,
    load_model,
    refuse_errors,
    spec_arguments,
    spec_errors_reported,
)
from nnspec.cli.settings import checkpoint_option, checkpointed
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.diagnostics import Diagnostic
    from nnspec.placement.mesh.plan import MeshPlan
    from nnspec.placement.plan import Plan
    from nnspec.spec import Spec, Target

TARGETS = ("torch", "keras")
BACKENDS = ("tensorflow", "jax", "torch")
# fmt: off
IMPORTED = frozenset((
    "absl", "filelock", "fsspec", "h5py", "jax", "jaxlib", "jinja2", "keras",
    "markdown_it", "markupsafe", "ml_dtypes", "mpmath", "namex", "networkx", "nnspec", "numpy",
    "optree", "packaging", "pygments", "rich", "safetensors", "scipy", "setuptools", "sympy",
    "tensorflow", "torch", "torchvision", "typing_extensions",
))
# fmt: on
"""What programs import, and what that imports, besides the standard library."""


@click.command(name="compile")
@spec_arguments
@click.option(
    "--target", type=click.Choice(TARGETS), required=True, help="The framework."
)
@checkpoint_option
@click.option("--plan", metavar="FILE", help="On several devices (see `nnspec place`).")
@click.option(
    "--schedule",
    metavar="NAME",
    help="A pipeline of processes: GPipe, 1F1B, Interleaved1F1B, ...",
)
@click.option(
    "--microbatches",
    type=click.IntRange(1),
    metavar="N",
    help="Parts of a batch that are run one after another.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Keras, with a plan: its backend (default: the one that has the engine).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the program here, whole or not at all (default: standard output).",
)
@click.option(
    "--force", is_flag=True, help="Overwrite a file that nnspec did not write."
)
@json_option
def compile_(
    spec: SpecArgument,
    settings: dict[str, str],
    target: Target,
    checkpoint: str | None,
    plan: str | None,
    schedule: str | None,
    microbatches: int | None,
    backend: str | None,
    output: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Write the program of a model: standalone code for PyTorch or Keras 3.

    \b
    Examples:
      nnspec compile --target torch resnet.nns:ResNet50
      nnspec compile --target keras resnet.nns:ResNet50 -o resnet50.py
      nnspec compile --target torch gpt2.nns:GPT2 depth=6 width=384 heads=6
      nnspec compile --target torch gpt2.nns:GPT2Small --checkpoint Block
      nnspec compile --target torch gpt2.nns:GPT2Small --plan plan.json --schedule 1F1B
      nnspec compile --target keras gpt2.nns:GPT2Small --plan mesh.json --backend jax
    """
    from nnspec.cli.render import write

    engine = _engine(target, plan, schedule, microbatches, backend)
    with spec_errors_reported(as_json):
        if output is not None:
            _refuse_name(output)
        model = checkpointed(load_model(spec, settings), checkpoint)
        refuse_errors(model)
        source = model.source(target) if engine is None else engine.source(model)
    if output is not None:
        from nnspec.files import write_generated

        inputs = [spec.path, *([] if plan is None else [plan])]
        write_generated(output, source, force, inputs=inputs)
    warnings = model.compile_warnings(target, placed=engine is not None)
    if as_json:
        place = {"file": output} if output is not None else {"source": source}
        traffic = {} if engine is None else engine.communication(model)
        _write_json(model, target, {**place, **traffic}, warnings)
        return 0
    _write_warnings(warnings)
    if output is None:
        write(source)
    return 0


def _refuse_name(output: str) -> None:
    """Raises SpecError (E0706) for a file that Python would import in the place of a package."""
    from nnspec.diagnostics import SpecError

    name, _, ending = os.path.basename(output).partition(".")
    if ending == "py" and (name in sys.stdlib_module_names or name in IMPORTED):
        raise SpecError(
            "E0706",
            f"a program named `{name}.py` would be imported in the place of `{name}`",
            hint=f"call it `{name}_model.py`, say",
        )


def _engine(
    target: Target,
    plan: str | None,
    schedule: str | None,
    microbatches: int | None,
    backend: str | None,
) -> Engine | None:
    """What runs the model on several devices, if a plan is given. Raises UsageError for options without one."""
    if plan is None and (schedule or microbatches):
        raise click.UsageError("--schedule and --microbatches say how to run a --plan")
    if backend is not None and (plan is None or target != "keras"):
        raise click.UsageError("--backend says where Keras runs a --plan")
    if plan is None:
        return None
    return Engine(target, plan, schedule, microbatches, backend)


@dataclass(frozen=True)
class Engine:
    """How a program runs on several devices, as the options say it; `path` is the file of the plan."""

    target: Target
    path: str
    schedule: str | None
    microbatches: int | None
    backend: str | None

    @cached_property
    def plan(self) -> Plan | MeshPlan:
        """The plan of the file. Raises SpecErrors (E1012), and OSError."""
        from nnspec.cli.placement import load_plan_or_mesh

        return load_plan_or_mesh(self.path)

    def source(self, model: Spec) -> str:
        """The program of the plan. Raises SpecErrors and SpecError (E1012 to E1018, E103x)."""
        from nnspec.cli.placement import plan_named

        with plan_named(self.path):
            return self._keras(model) if self.target == "keras" else self._torch(model)

    def _torch(self, model: Spec) -> str:
        from nnspec.diagnostics import SpecError
        from nnspec.placement.mesh.plan import MeshPlan
        from nnspec.placement.request import check_batch

        plan = self.plan
        if isinstance(plan, MeshPlan):
            return model.mesh_source(plan, self.schedule, self.microbatches)
        microbatches = self.microbatches or plan.microbatches
        check_batch(model.program, model.symbols, microbatches)
        if microbatches > 1 and not (self.schedule or plan.schedule):
            raise SpecError(
                "E1031",
                f"{microbatches} micro-batches need a schedule that runs them",
                hint="add `--schedule GPipe`, or leave the micro-batches out",
            )
        return model.placed_source(plan, self.schedule)

    def _keras(self, model: Spec) -> str:
        from nnspec.diagnostics import SpecError

        if self.schedule or self.microbatches:
            raise SpecError(
                "E1018",
                "Keras has no engine for pipelines of processes and micro-batches",
                hint="leave out `--schedule` and `--microbatches`, or compile for torch",
            )
        return model.keras_placed_source(self.plan, self.backend)

    def communication(self, model: Spec) -> dict[str, object]:
        """What a process of a mesh communicates in a step, at each place of the pipeline, or why that is open."""
        from nnspec.diagnostics import SpecError
        from nnspec.placement.mesh.plan import MeshPlan

        plan = self.plan
        if self.target != "torch" or not isinstance(plan, MeshPlan):
            return {}
        try:
            places = model.mesh_traffic(plan, self.schedule, self.microbatches)
        except SpecError as error:
            return {"communication": None, "open": error.diagnostic.message}
        found = [
            {kind: {"count": m.count, "bytes": m.bytes} for kind, m in place.items()}
            for place in places
        ]
        return {"communication": found}


def _write_warnings(warnings: Sequence[Diagnostic]) -> None:
    if not warnings:
        return
    from nnspec.cli.render import error_style, write_error
    from nnspec.cli.shown.findings import render_all

    write_error(render_all(warnings, style=error_style()))


def _write_json(
    model: Spec,
    target: str,
    found: dict[str, object],
    warnings: Sequence[Diagnostic],
) -> None:
    from nnspec.cli.render import write_json
    from nnspec.cli.shown.findings_data import as_json

    listed = as_json(warnings)
    write_json({"name": model.name, "target": target, **found, "warnings": listed})
