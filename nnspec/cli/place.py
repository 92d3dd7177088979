"""`nnspec place`: which device runs what, with a proof of how good that is."""

from __future__ import annotations

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
from nnspec.cli.settings import setting_of, setting_options
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.setting import Setting
    from nnspec.compiler import Spec
    from nnspec.placement.mesh_plan import MeshPlan
    from nnspec.placement.model import ModelGraph
    from nnspec.placement.plan import Plan

OBJECTIVES = ("fit", "latency", "throughput", "train")
SCHEDULES = (
    "GPipe",
    "1F1B",
    "Interleaved1F1B",
    "InterleavedZeroBubble",
    "ZBVZeroBubble",
)


@click.command()
@spec_arguments
@click.option(
    "--cluster",
    metavar="FILE|NAME",
    required=True,
    help="A TOML file, or a name such as 4xcpu, 8xh100, 64x8xh200.",
)
@click.option("--objective", type=click.Choice(OBJECTIVES), help="Default: throughput.")
@click.option("--devices", type=int, metavar="N", help="Use only the first N devices.")
@click.option(
    "--free",
    is_flag=True,
    help="Any operator anywhere; otherwise devices stand in a line.",
)
@click.option(
    "--pin",
    "pins",
    multiple=True,
    metavar="PATH=DEVICE",
    help="What has to be where: blocks.0-5=h100:0.",
)
@click.option("--plan", "given", metavar="FILE", help="Check and cost this plan.")
@click.option(
    "--schedule", type=click.Choice(SCHEDULES), help="Noted in the plan, for compile."
)
@click.option(
    "--microbatches",
    type=click.IntRange(1),
    metavar="N",
    help="The batch must divide into them.",
)
@click.option(
    "--mesh",
    metavar="AXES",
    help="Train on a mesh of equal devices: any, or tensor=2,pipeline=4.",
)
@click.option("-o", "--output", metavar="FILE", help="Write the plan here, as JSON.")
@click.option("--svg", metavar="FILE", help="Write the timeline here.")
@click.option("--force", is_flag=True, help="Overwrite a plan that is there.")
@setting_options
@json_option
def place(
    spec: SpecArgument,
    settings: dict[str, str],
    cluster: str,
    objective: str | None,
    devices: int | None,
    free: bool,
    pins: tuple[str, ...],
    given: str | None,
    schedule: str | None,
    microbatches: int | None,
    mesh: str | None,
    output: str | None,
    svg: str | None,
    force: bool,
    as_json: bool,
    **assumed: str | None,
) -> int:
    """Decide which device runs what, and say how far from the best that can be.

    Operators are those of the model itself: a block that it calls is placed as a whole.
    A plan is JSON that can be edited and given back with --plan; only `assignment` (and
    `order`, `objective`, `contiguous`, `schedule`, `microbatches`) is read.

    \b
    Examples:
      nnspec place gpt2.nns:GPT2Small --cluster 4xcpu B=8 T=1024
      nnspec place gpt2.nns:GPT2XL --cluster 8xh100 --objective train B=8 T=1024
      nnspec place gpt2.nns:GPT2Small --cluster my.toml B=1 T=64 --pin wte=cpu:0
      nnspec place gpt2.nns:GPT2Small --cluster 4xcpu B=8 T=1024 --plan plan.json
      nnspec place gpt2.nns:GPT2XL --cluster 2x8xh100 --mesh any B=256 T=1024
    """
    asked = Asked(
        cluster, devices, objective, free, pins, given, schedule, microbatches
    )
    files = Files(spec.path, output, svg, force)
    if mesh is not None:
        _refuse_beside_mesh(asked, files)
    with spec_errors_reported(as_json):
        model = load_model(spec, settings)
        refuse_errors(model)
        if mesh is not None:
            found = _mesh(model, setting_of(assumed), asked, mesh)
            _show_mesh(found, model.name, files, as_json)
            return 0
        plan, graph = _planned(model, setting_of(assumed), asked)
    _write_files(plan, graph, model.name, files, given)
    _show(plan, graph, model.name, as_json)
    return 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be placed where, as the options say it."""

    cluster: str
    devices: int | None
    objective: str | None
    free: bool
    pins: tuple[str, ...]
    given: str | None
    schedule: str | None
    microbatches: int | None


@dataclass(frozen=True, slots=True)
class Files:
    """The spec that is read, and what is to be written, over files that are there or not."""

    spec: str
    output: str | None
    svg: str | None
    force: bool


def _refuse_beside_mesh(asked: Asked, files: Files) -> None:
    idle = (asked.free, asked.pins, asked.given, asked.schedule, asked.microbatches)
    if any(idle) or files.svg or asked.objective not in (None, "train"):
        raise click.UsageError(
            "--mesh places training as a whole: leave out --free, --pin, --plan, "
            "--schedule, --microbatches, --svg and other objectives"
        )


def _planned(model: Spec, setting: Setting, asked: Asked) -> tuple[Plan, ModelGraph]:
    """The plan that is found, or the one that was given, checked; and what it is of."""
    from nnspec.cli.placement import (
        checked,
        load_cluster,
        load_plan,
        model_graph,
        read_pins,
    )
    from nnspec.placement.request import check_batch

    wanted = None if asked.given is None else load_plan(asked.given)
    noted = _noted(wanted, asked.schedule, asked.microbatches)
    check_batch(model.program, model.symbols, int(noted["microbatches"] or 1))
    objective = asked.objective or (wanted.objective if wanted else "throughput")
    cluster = load_cluster(asked.cluster, asked.devices)
    pins = read_pins(asked.pins)
    trains = objective == "train"
    graph = model_graph(model, setting, cluster, trains=trains, pins=pins)
    if wanted is None:
        plan = _found(graph, objective, contiguous=not asked.free)
    else:
        plan = checked(wanted.model_copy(update={"objective": objective}), graph)
    return plan.model_copy(update=noted), graph


def _noted(
    wanted: Plan | None, schedule: str | None, microbatches: int | None
) -> dict[str, str | int | None]:
    """The schedule and the micro-batches: as asked for, or as the plan says."""
    if wanted is not None:
        schedule = schedule or wanted.schedule
        microbatches = microbatches or wanted.microbatches
    return {"schedule": schedule, "microbatches": microbatches or 1}


def _found(graph: ModelGraph, objective: str, *, contiguous: bool) -> Plan:
    from nnspec.placement.place import Options
    from nnspec.placement.place import place as placed

    options = Options(contiguous=contiguous)
    return placed(graph.graph, graph.cluster, objective, options)  # pyright: ignore[reportArgumentType] -- one of OBJECTIVES


def _write_files(
    plan: Plan, graph: ModelGraph, name: str, files: Files, given: str | None
) -> None:
    from nnspec.cli.placement_text import picture_of
    from nnspec.files import write_generated, write_new

    inputs = [files.spec, *([given] if given else [])]
    if files.output is not None:
        text = plan.to_json() + "\n"
        write_new(files.output, text.encode("utf-8"), files.force, inputs=inputs)
    if files.svg is not None:
        picture = picture_of(plan, graph, name)
        write_generated(files.svg, picture, files.force, inputs=inputs)


def _show(plan: Plan, graph: ModelGraph, name: str, as_json: bool) -> None:
    from nnspec.cli.render import write, write_json

    if as_json:
        write_json(plan.model_dump(mode="json"))
        return
    from nnspec.cli.placement_text import plan_text

    write(plan_text(plan, graph, name))


def _mesh(model: Spec, setting: Setting, asked: Asked, axes: str) -> MeshPlan:
    from nnspec.analysis.figures import Analysis
    from nnspec.cli.placement import load_cluster
    from nnspec.placement.mesh import best_mesh
    from nnspec.placement.mesh_plan import read_axes

    cluster = load_cluster(asked.cluster, asked.devices)
    analysis = Analysis(model.program, setting)
    return best_mesh(analysis, cluster, model.symbols, read_axes(axes))


def _show_mesh(plan: MeshPlan, name: str, files: Files, as_json: bool) -> None:
    from nnspec.cli.mesh_text import mesh_text
    from nnspec.cli.render import write, write_json
    from nnspec.files import write_new

    if files.output is not None:
        text = (plan.model_dump_json(indent=2) + "\n").encode("utf-8")
        write_new(files.output, text, files.force, inputs=[files.spec])
    if as_json:
        write_json(plan.model_dump(mode="json"))
    else:
        write(mesh_text(plan, name))
