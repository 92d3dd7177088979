"""From plans to stages: the line of devices along which a program is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.diagnostics import Diagnostic, SpecErrors, did_you_mean
from nnspec.ir.graph import Program
from nnspec.placement.mesh.pipelines import rank_of
from nnspec.placement.mesh.plan import MeshPlan
from nnspec.placement.model import BACKWARD, operator_names
from nnspec.placement.plan import Plan
from nnspec.placement.request import spelled_out
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """The stage of each node of the main function, and the device of each stage."""

    stage_of: tuple[int, ...]
    devices: tuple[str, ...]

    @property
    def ranks(self) -> tuple[int, ...]:
        """The number of each stage's device, in the order in which the line meets them."""
        met = list(dict.fromkeys(self.devices))
        return tuple(met.index(device) for device in self.devices)


def line_of(
    program: Program, plan: Plan, *, copies: bool = False, rounds: bool = False
) -> Line:
    """The stages of a plan: one for each device or, with `rounds`, for each visit to one.

    With `copies` a stage that reads a weight of another has a copy of it; otherwise the
    weight comes along the line. Raises SpecErrors: E1012 for a plan of another model,
    E1017 where no line passes each device once.
    """
    devices = assigned(program, plan.assignment)
    if copies:
        devices = at_readers(program, devices)
    if rounds:
        return _visits(program, devices)
    order = line_through(program, devices)
    return Line(tuple(order.index(device) for device in devices), tuple(order))


def line_of_mesh(program: Program, plan: MeshPlan) -> Line:
    """The stages of a mesh, each on a rank of its pipeline. Raises SpecErrors as `stages_of_mesh`."""
    mesh = plan.mesh
    stages = range(mesh.stages)
    ranks = (rank_of(stage, mesh.pipeline, mesh.schedule) for stage in stages)
    return Line(tuple(stages_of_mesh(program, plan)), tuple(map(str, ranks)))


def stages_of_mesh(program: Program, plan: MeshPlan) -> list[int]:
    """The stage of each node of the main function, as `assignment` or `stages` of a mesh say.

    Raises SpecErrors: E1012 for operators that are unknown, missing or in two stages, for
    stages that are empty, too many or numbered otherwise than they run; E1017 where
    stages wait for each other.
    """
    names, count = operator_names(program), plan.mesh.stages
    given = _given(plan, names)
    unknown = sorted({stage for stage in given.values() if stage >= count})
    if unknown:
        raise _fault(
            f"there is no stage {unknown[0]}: pipeline {plan.mesh.pipeline} x rounds "
            f"{plan.mesh.rounds} makes the stages 0 to {count - 1}"
        )
    numbers = assigned(program, {name: str(stage) for name, stage in given.items()})
    numbers = at_readers(program, numbers)
    found = [int(number) for number in numbers]
    taken = set(found)
    if len(taken) < count:
        empty = next(stage for stage in range(count) if stage not in taken)
        raise _fault(f"stage {empty} has no operators")
    line_through(program, numbers)
    for source, target in edges(program):
        if found[source] > found[target]:
            raise _fault(
                f"`{names[target]}` of stage {found[target]} needs `{names[source]}` of "
                f"stage {found[source]}: stages are numbered in the order in which they run"
            )
    return found


def _given(plan: MeshPlan, names: Sequence[str]) -> Mapping[str, int]:
    """The stage that each label has. Raises SpecErrors if two are said for one, or none for any."""
    listed: dict[str, int] = {}
    for stage in plan.stages:
        for name in stage.operators:
            if listed.setdefault(name, stage.stage) != stage.stage:
                raise _fault(
                    f"`{name}` is in stage {listed[name]} and in stage {stage.stage}"
                )
    if not plan.assignment and not listed:
        if plan.mesh.stages == 1:
            return dict.fromkeys(names, 0)
        raise _fault(
            "the mesh does not say which operators its stages have",
            hint='give `"assignment": {"blocks.0-5": 0, ...}`, or let '
            "`--mesh pipeline=...` find them",
        )
    for name, stage in plan.assignment.items():
        if listed.get(name, stage) != stage:
            raise _fault(
                f"`{name}` is in stage {listed[name]} by `stages` and in stage {stage} by "
                "`assignment`",
                hint="change both, or leave one of them out",
            )
    return plan.assignment or listed


def _fault(message: str, hint: str | None = None) -> SpecErrors:
    return SpecErrors([Diagnostic("E1012", message, hint=hint)])


def line_through(program: Program, devices: Sequence[str]) -> list[str]:
    """The devices in an order in which values only go on. Raises SpecErrors (E1017) if there is none."""
    return _line(list(dict.fromkeys(devices)), _follows(program, devices))


def assigned(program: Program, given: Mapping[str, str]) -> list[str]:
    """What a plan gives for each node. Raises SpecErrors (E1012) for unknown names and missing ones."""
    names = operator_names(program)
    assignment = spelled_out(given, names)
    known = {*names, *(name + BACKWARD for name in names)}
    faults = [
        f"the plan places no `{name}`" for name in names if name not in assignment
    ]
    found = [Diagnostic("E1012", message) for message in faults]
    for label in assignment:
        if label not in known:
            message = f"the plan places `{label}`, which is no operator"
            hint = did_you_mean(label, names)
            found.append(Diagnostic("E1012", message, hint=hint))
    if found:
        raise SpecErrors(found)
    return [assignment[name] for name in names]


def at_readers(program: Program, devices: Sequence[str]) -> list[str]:
    """Reads of weights where the first operator is that uses them."""
    found = list(devices)
    reader: dict[int, int] = {}
    for place, node in enumerate(program.main.nodes):
        for value in node.values():
            reader.setdefault(value, place)
    for place, node in enumerate(program.main.nodes):
        if node.weight is not None and node.outputs[0] in reader:
            found[place] = devices[reader[node.outputs[0]]]
    return found


def edges(program: Program) -> Iterator[tuple[int, int]]:
    """Which node reads from which, by their places."""
    made: dict[int, int] = {}
    for place, node in enumerate(program.main.nodes):
        for value in dict.fromkeys(node.values()):
            if value in made:
                yield made[value], place
        made.update((value, place) for value in node.outputs)


def _follows(program: Program, devices: Sequence[str]) -> Mapping[str, set[str]]:
    """By device those from which it takes values."""
    found: dict[str, set[str]] = {device: set() for device in devices}
    for source, target in edges(program):
        if devices[source] != devices[target]:
            found[devices[target]].add(devices[source])
    return found


def _line(devices: Sequence[str], follows: Mapping[str, set[str]]) -> list[str]:
    order: list[str] = []
    waiting = list(devices)
    while waiting:
        free = next((each for each in waiting if follows[each] <= set(order)), None)
        if free is None:
            raise SpecErrors([_back_and_forth(waiting)])
        order.append(free)
        waiting.remove(free)
    return order


def _back_and_forth(waiting: Sequence[str]) -> Diagnostic:
    named = ", ".join(waiting[:4]) + (", ..." if len(waiting) > 4 else "")
    return Diagnostic(
        "E1017",
        f"the stages go back and forth: {named} wait for values of each other",
        hint="let values only go on from stage to stage; without --free, `nnspec place` "
        "finds such plans",
    )


def _visits(program: Program, devices: Sequence[str]) -> Line:
    """A stage for each stretch of nodes on one device, in the order in which they run.

    A node joins the last stage on its device that does not precede what it reads.
    """
    stages: list[str] = []
    stage_of: list[int] = []
    reads: dict[int, list[int]] = {}
    for source, target in edges(program):
        reads.setdefault(target, []).append(source)
    for place, device in enumerate(devices):
        least = max((stage_of[source] for source in reads.get(place, [])), default=0)
        later = [n for n in range(least, len(stages)) if stages[n] == device]
        if not later:
            stages.append(device)
        stage_of.append(later[0] if later else len(stages) - 1)
    return Line(tuple(stage_of), tuple(stages))
