"""`nnspec place`: which device runs what, with a proof of how good that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
    from nnspec.placement.mesh.plan import MeshPlan
    from nnspec.placement.model import ModelGraph
    from nnspec.placement.plan import Plan
    from nnspec.spec import Spec

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
    "--schedule",
    type=click.Choice(SCHEDULES),
    help="Of a mesh; of other plans noted, for compile.",
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
    `order`, `objective`, `contiguous`, `schedule`, `microbatches`) is read, and of a mesh
    `mesh` and the stages.

    \b
    Examples:
      nnspec place gpt2.nns:GPT2Small --cluster 4xcpu B=8 T=1024
      nnspec place gpt2.nns:GPT2XL --cluster 8xh100 --objective train B=8 T=1024
      nnspec place gpt2.nns:GPT2Small --cluster my.toml B=1 T=64 --pin wte=cpu:0
      nnspec place gpt2.nns:GPT2Small --cluster 4xcpu B=8 T=1024 --plan plan.json
      nnspec place gpt2.nns:GPT2XL --cluster 2x8xh100 --mesh any B=256 T=1024
    """
    from nnspec.cli.placement import plan_named

    asked = Asked(
        cluster, devices, objective, free, pins, given, schedule, microbatches, mesh
    )
    inputs = [spec.path, *([given] if given else [])]
    with spec_errors_reported(as_json), plan_named(given):
        model = load_model(spec, settings)
        refuse_errors(model)
        placed = _placed(model, setting_of(assumed), asked)
    placed.write_files(output, svg, force, inputs)
    placed.show(as_json)
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
    mesh: str | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A plan, and what shows it to people, made when it is asked for."""

    plan: Plan | MeshPlan
    text: Callable[[], str]
    picture: Callable[[], str]

    def write_files(
        self, output: str | None, svg: str | None, force: bool, inputs: Sequence[str]
    ) -> None:
        """Writes the files that are wanted; over those that are there if `force` says so, never over `inputs`."""
        from nnspec.files import write_generated, write_new

        if output is not None:
            text = self.plan.to_json() + "\n"
            write_new(output, text.encode("utf-8"), force, inputs)
        if svg is not None:
            write_generated(svg, self.picture(), force, inputs)

    def show(self, as_json: bool) -> None:
        """Prints the plan."""
        from nnspec.cli.render import write, write_json

        if as_json:
            write_json(self.plan.model_dump(mode="json"))
        else:
            write(self.text())


def _placed(model: Spec, setting: Setting, asked: Asked) -> Placed:
    """A model placed as asked. Raises `SpecError`, `SpecErrors`, and a usage error for options that do not go together."""
    from nnspec.cli.placement import load_plan_or_mesh
    from nnspec.cli.shown.placements import picture_of, plan_text
    from nnspec.placement.mesh.plan import MeshPlan

    wanted = None if asked.given is None else load_plan_or_mesh(asked.given)
    on_mesh = wanted if isinstance(wanted, MeshPlan) else asked.mesh
    if on_mesh is not None:
        return _placed_on_mesh(model, setting, asked, on_mesh)
    assert not isinstance(wanted, MeshPlan)
    plan, graph = _planned(model, setting, asked, wanted)
    shown = (plan, graph, model.name)
    return Placed(plan, partial(plan_text, *shown), partial(picture_of, *shown))


def _placed_on_mesh(
    model: Spec, setting: Setting, asked: Asked, wanted: MeshPlan | str
) -> Placed:
    from nnspec.cli.place_mesh import place_mesh
    from nnspec.cli.placement import load_cluster
    from nnspec.cli.shown.meshes import mesh_picture, mesh_text

    _refuse_beside_mesh(asked)
    cluster = load_cluster(asked.cluster, asked.devices)
    how = (asked.schedule, asked.microbatches)
    plan = place_mesh(model, setting, cluster, wanted, *how)
    shown = (plan, model.name)
    return Placed(plan, partial(mesh_text, *shown), partial(mesh_picture, *shown))


def _refuse_beside_mesh(asked: Asked) -> None:
    twice = asked.mesh is not None and asked.given is not None
    if asked.free or asked.pins or twice or asked.objective not in (None, "train"):
        raise click.UsageError(
            "a mesh places training as a whole: leave out --free, --pin and other "
            "objectives, and --mesh where --plan gives one"
        )


def _planned(
    model: Spec, setting: Setting, asked: Asked, wanted: Plan | None
) -> tuple[Plan, ModelGraph]:
    """The plan that is found, or the one that was given, checked; and what it is of."""
    from nnspec.cli.placement import (
        checked,
        load_cluster,
        model_graph,
        read_pins,
    )
    from nnspec.placement.request import check_batch

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
        _check_schedule(schedule)
        microbatches = microbatches or wanted.microbatches
    return {"schedule": schedule, "microbatches": microbatches or 1}


def _check_schedule(schedule: str | None) -> None:
    from nnspec.diagnostics import SpecError

    if schedule is not None and schedule not in SCHEDULES:
        message = f"there is no schedule named `{schedule}`"
        hint = f"there are: {', '.join(SCHEDULES)}"
        raise SpecError("E1031", message, hint=hint)


def _found(graph: ModelGraph, objective: str, *, contiguous: bool) -> Plan:
    from nnspec.placement.place import Options
    from nnspec.placement.place import place as placed

    options = Options(contiguous=contiguous)
    return placed(graph.graph, graph.cluster, objective, options)  # pyright: ignore[reportArgumentType] -- one of OBJECTIVES
