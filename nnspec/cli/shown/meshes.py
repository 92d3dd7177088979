"""Meshes for people: their axes, a table of the stages, and what ranks do and hold over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nnspec.analysis.sharding.reasons import NOT_A_KIND
from nnspec.cli.render import shown_as, table
from nnspec.cli.shown.amounts import bytes_text
from nnspec.cli.shown.placements import (
    CELLS,
    MOST_ROWS,
    MOST_SPANS,
    drawn_row,
    limits_text,
    shortened,
)
from nnspec.cli.shown.text import visible
from nnspec.picture.timeline import (
    KINDS,
    MAGNIFIED,
    Kind,
    Row,
    Span,
    seconds_text,
    timeline,
)
from nnspec.placement.labels import folded
from nnspec.placement.mesh.pipelines import Part, orders
from nnspec.placement.mesh.timetable import StageTimes, Timetable

if TYPE_CHECKING:
    from nnspec.placement.mesh.plan import MeshDevice, MeshPlan, StageUse

HEADINGS = ("stage", "devices", "parts", "synchronising", "memory", "of", "holds")
SHOWN_ROWS = 16
"""Ranks whose timelines are printed; the picture has up to MOST_ROWS."""

_KINDS: dict[Part, Kind] = {
    "F": "forward",
    "B": "backward",
    "I": "inputs",
    "W": "weights",
}


def mesh_text(plan: MeshPlan, name: str) -> str:
    """What a step takes, the mesh, what the devices of each stage do and hold, and when."""
    parts = [
        f"{visible(name)} on {visible(plan.cluster)}: a step of {plan.batch} samples in "
        f"{seconds_text(plan.value)} ({_verdict(plan)}), "
        f"{plan.utilisation:.1%} of the peak\n",
        f"{mesh_words(plan)}\n",
        *limits_text(plan.limits),
        *([f"bound: {plan.proof}\n"] if plan.status == "feasible" else []),
        *(f"note: {visible(warning)}\n" for warning in plan.warnings),
        *_whole(plan),
        "\n",
        table(HEADINGS, [_cells(stage) for stage in plan.stages], (0, 2, 3, 4, 5)),
        "\n",
        *_timelines(plan),
    ]
    return "".join(parts)


def _whole(plan: MeshPlan) -> Iterator[str]:
    """The layers that the tensor axis could have split, and why it does not."""
    for reason in dict.fromkeys(plan.whole.values()):
        if reason != NOT_A_KIND:
            labels = [label for label, own in plan.whole.items() if own == reason]
            yield f"whole on each device: {shortened(', '.join(labels))}; {visible(reason)}\n"


def _verdict(plan: MeshPlan) -> str:
    of = f"of {plan.meshes:,} mesh{'' if plan.meshes == 1 else 'es'}"
    if plan.status == "optimal":
        return f"optimal {of}"
    needed = f"at least {seconds_text(plan.bound)} is needed, gap {plan.gap:.2%}"
    if plan.status == "checked":
        return f"as given; {needed}"
    return f"{needed}, {of}"


def mesh_words(plan: MeshPlan) -> str:
    """The axes and the schedule of a mesh in a line."""
    mesh = plan.mesh
    shared = (
        "nothing sharded" if mesh.sharded == "nothing" else f"{mesh.sharded} sharded"
    )
    schedule = "" if mesh.schedule is None else f", {mesh.schedule}"
    if mesh.rounds > 1:
        schedule += f" with {mesh.rounds} stages on each rank"
    many = "micro-batch" if mesh.microbatches == 1 else "micro-batches"
    waiting = f", {plan.waiting:.1%} waiting" if mesh.pipeline > 1 else ""
    return (
        f"data {mesh.data} x tensor {mesh.tensor} x pipeline {mesh.pipeline}, {shared}, "
        f"{mesh.microbatches} {many}{schedule}{waiting}"
    )


def _cells(stage: StageUse) -> list[str]:
    first, last = stage.devices or ("", "")
    return [
        str(stage.stage),
        first if first == last else f"{first} - {last}",
        seconds_text(stage.load),
        seconds_text(stage.synchronising),
        bytes_text(round(stage.memory)),
        "-" if stage.usable is None else bytes_text(int(stage.usable)),
        shortened(", ".join(folded(stage.operators))),
    ]


# ---- over time ---------------------------------------------------------------------------


def mesh_picture(plan: MeshPlan, name: str) -> str:
    """A step as SVG: what the devices of each rank of the pipeline do, and the memory in use."""
    rows = list(mesh_rows(plan))
    most = max(1, MOST_SPANS // max(len(row.spans) for row in rows))
    title = f"{name} on {plan.cluster}: a step in {seconds_text(plan.value)}"
    shown = rows[: min(MOST_ROWS, most)]
    return timeline(shown, title, plan.value, mesh_words(plan))


def mesh_rows(plan: MeshPlan) -> Iterator[Row]:
    """A row for each rank of the pipeline, whose devices all do the same."""
    table = _timetable(plan)
    for rank, device in enumerate(_of_ranks(plan)):
        mine = [stage for stage in plan.stages if stage.rank == rank]
        spans = list(_spans(table, rank, mine[0].stage))
        end = table.ends[rank]
        last = end + sum(stage.synchronising for stage in mine)
        spans.append(
            Span(end, last, "synchronising, optimizer's step", "synchronising")
        )
        yield Row(_row_name(plan, rank), spans, device.memory, device.usable)


def _of_ranks(plan: MeshPlan) -> Iterator[MeshDevice]:
    """The first device of each rank."""
    yield from plan.devices[:: plan.mesh.data * plan.mesh.tensor]


def _row_name(plan: MeshPlan, rank: int) -> str:
    width = plan.mesh.data * plan.mesh.tensor
    if width == 1:
        return plan.devices[rank].name
    return "all devices" if plan.mesh.pipeline == 1 else f"rank {rank}"


def _timetable(plan: MeshPlan) -> Timetable:
    mesh = plan.mesh
    times = [
        StageTimes(each.forward, each.backward, each.inputs, each.weights)
        for each in plan.stages
    ]
    order = orders(mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)
    return Timetable(order, times, mesh.microbatches)


def _spans(table: Timetable, rank: int, first: int) -> Iterator[Span]:
    for action, (start, end) in zip(table.orders[rank], table.spans[rank], strict=True):
        kind, number = _KINDS[action.part], str(action.microbatch)
        name = f"{KINDS[kind]}, stage {action.stage}, micro-batch {number}"
        yield Span(start, end, name, kind, number, action.stage != first)


def _timelines(plan: MeshPlan) -> Iterable[str]:
    """For each rank what it does, and below it the memory as a share of what it has."""
    rows = list(mesh_rows(plan))
    signs = _signs(rows)
    width = max(len(row.name) for row in rows)
    for row in rows[:SHOWN_ROWS]:
        yield f"{visible(row.name):<{width}}  {drawn_row(row, plan.value, signs)}\n"
        yield f"{'':<{width}}  {_memory_line(row, plan.value)}\n"
    if len(rows) > SHOWN_ROWS:
        yield f"and {len(rows) - SHOWN_ROWS} ranks\n"
    last = seconds_text(plan.value)
    yield f"{'':<{width}}  0 s{last:>{CELLS - 3}}\n"
    told = [f"{sign} {KINDS[kind]}" for kind, sign in signs.items()]
    levels = _levels()
    told.append(f"{levels[1]} to {levels[-1]} memory in use")
    yield f"{'':<{width}}  {', '.join(told)}\n"


def _signs(rows: Sequence[Row]) -> dict[Kind, str]:
    kinds: tuple[Kind, ...] = (
        "forward",
        "backward",
        "inputs",
        "weights",
        "synchronising",
    )
    present = {s.kind for row in rows for s in row.spans if s.end > s.start}
    signs = shown_as("█▓▓▒░", "#==-.")
    return {k: s for k, s in zip(kinds, signs, strict=True) if k in present}


def _levels() -> str:
    return shown_as(" ▁▂▃▄▅▆▇█", " 12345678")


def _memory_line(row: Row, end: float) -> str:
    """The most memory in use in each cell of time, in eighths of what there is, or of the peak."""
    peak = max(amount for _, amount in row.memory)
    room = row.usable if row.usable and row.usable <= MAGNIFIED * peak else peak
    most = [0.0] * CELLS
    moments = [moment for moment, _ in row.memory[1:]]
    for (start, amount), stop in zip(row.memory, [*moments, end], strict=True):
        first = min(CELLS - 1, int(start / end * CELLS)) if end else 0
        last = min(CELLS - 1, int(stop / end * CELLS)) if end else 0
        for cell in range(first, last + 1):
            most[cell] = max(most[cell], amount)
    levels = _levels()
    line = "".join(levels[_eighths(amount, room)] for amount in most)
    return f"{line}  {bytes_text(round(peak))}"


def _eighths(amount: float, room: float) -> int:
    return min(8, max(1, round(8 * amount / room))) if amount and room else 0
