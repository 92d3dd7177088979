"""Plans for people: a table of the devices, and what they do over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nnspec.cli.render import shown_as, table
from nnspec.cli.shown.amounts import bytes_text
from nnspec.cli.shown.text import visible
from nnspec.picture.timeline import Kind, Row, Span, seconds_text, timeline
from nnspec.placement.labels import folded
from nnspec.placement.latency.schedule import Schedule, scheduled
from nnspec.placement.model import BACKWARD

if TYPE_CHECKING:
    from nnspec.placement.model import ModelGraph
    from nnspec.placement.plan import DeviceUse, Plan

MOST_ROWS = 64
MOST_LIMITS = 8
MOST_SPANS = 20_000
CELLS = 72
HELD_WIDTH = 60
HEADINGS = ("device", "load", "computing", "moving", "peak memory", "of", "holds")


def plan_text(plan: Plan, graph: ModelGraph, name: str) -> str:
    """The value, the table of devices in use, and the timeline of one pass."""
    used = [use for use in plan.devices if use.load or use.peak]
    rows = rows_of(plan, graph)
    shown = rows[:MOST_ROWS]
    parts = [
        f"{visible(name)} on {visible(plan.cluster)}: {_verdict(plan)}\n",
        *limits_text(plan.limits),
        "\n",
        table(
            HEADINGS,
            [_cells(use, plan) for use in used[:MOST_ROWS]],
            numeric=(1, 2, 3, 4, 5),
        ),
        _rest(len(used) - MOST_ROWS, "in use"),
        _rest(len(plan.devices) - len(used), "not needed"),
        "\n",
        *_drawn(shown, _end(rows)),
    ]
    return "".join(parts)


def limits_text(limits: Sequence[str]) -> Iterator[str]:
    """What limits a plan, line by line: of hundreds of equal devices the first ones."""
    shown = limits if len(limits) <= MOST_LIMITS + 1 else limits[:MOST_LIMITS]
    for limit in shown:
        yield f"limited by {visible(limit)}\n"
    if len(shown) < len(limits):
        yield f"and by {len(limits) - len(shown)} more\n"


def _verdict(plan: Plan) -> str:
    value, bound = _amount(plan, plan.value), _amount(plan, plan.bound)
    shape = ", devices in a line" if plan.contiguous else ""
    if plan.status == "checked":
        return f"{plan.objective} {value}, as given{shape}"
    proof = "optimal" if plan.status == "optimal" else f"at least {bound} is needed"
    gap = "" if plan.status == "optimal" else f", gap {plan.gap:.2%}"
    return f"{plan.objective} {value} ({proof}{gap}){shape}"


def _amount(plan: Plan, amount: float) -> str:
    return f"{amount:.1%}" if plan.objective == "fit" else seconds_text(amount)


def _cells(use: DeviceUse, plan: Plan) -> list[str]:
    held = [
        name
        for name, device in plan.assignment.items()
        if device == use.name and not name.endswith(BACKWARD)
    ]
    return [
        use.name,
        seconds_text(use.load),
        seconds_text(use.computing),
        seconds_text(use.sending + use.receiving),
        bytes_text(round(use.peak)),
        "-" if use.usable is None else bytes_text(int(use.usable)),
        shortened(", ".join(folded(held))),
    ]


def shortened(text: str) -> str:
    """A list that is cut off where it gets long."""
    return text if len(text) <= HELD_WIDTH else f"{text[: HELD_WIDTH - 4]} ..."


def _rest(count: int, what: str) -> str:
    devices = "device" if count == 1 else "devices"
    return f"and {count} {devices} {what}\n" if count > 0 else ""


# ---- the timeline -----------------------------------------------------------------------------------


def picture_of(plan: Plan, graph: ModelGraph, name: str) -> str:
    """The timeline of one pass as SVG."""
    rows = rows_of(plan, graph)
    title = f"{name} on {plan.cluster}: {_verdict(plan)}"
    return timeline(rows[:MOST_ROWS], title, _end(rows))


def rows_of(plan: Plan, graph: ModelGraph) -> list[Row]:
    """What each device in use does, from the schedule of one pass."""
    operators = graph.graph
    index, cluster = operators.index, graph.cluster
    placed = [cluster.place(plan.assignment[each.name]) for each in operators.operators]
    run = scheduled(operators, cluster, placed, [index[name] for name in plan.order])
    spans: list[list[Span]] = [[] for _ in cluster.devices]
    for place, (start, end) in enumerate(run.spans):
        operator = operators.operators[place]
        kind = "backward" if operator.backward else "forward"
        spans[placed[place]].append(Span(start, end, operator.name, kind))
    for device, span in _moves(run, graph, placed):
        spans[device].append(span)
    return [
        Row(use.name, sorted(each, key=lambda span: span.start), use.memory, use.usable)
        for use, each in zip(plan.devices, spans, strict=True)
        if each
    ]


def _moves(
    run: Schedule, graph: ModelGraph, placed: Sequence[int]
) -> Iterable[tuple[int, Span]]:
    values, operators = graph.graph.values, graph.graph.operators
    for value, (start, end) in run.sent.items():
        source = values[value].source
        name = f"send the result of {operators[source].name}"
        yield placed[source], Span(start, end, name, "moving")
    for (value, device), (start, end) in run.received.items():
        name = f"receive the result of {operators[values[value].source].name}"
        yield device, Span(start, end, name, "moving")


def _end(rows: Iterable[Row]) -> float:
    return max((span.end for row in rows for span in row.spans), default=0.0)


def _drawn(rows: Sequence[Row], end: float) -> Iterable[str]:
    kinds: tuple[Kind, ...] = ("forward", "backward", "moving")
    signs: dict[Kind, str] = dict(zip(kinds, shown_as("█▓░", "#=."), strict=True))
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        yield f"{visible(row.name):<{width}}  {drawn_row(row, end, signs)}\n"
    if end:
        last = seconds_text(end)
        yield f"{'':<{width}}  0 s{last:>{CELLS - 3}}\n"
        told = ", ".join(f"{sign} {kind}" for kind, sign in signs.items())
        yield f"{'':<{width}}  {told}\n"


def drawn_row(row: Row, end: float, signs: Mapping[Kind, str]) -> str:
    """What a device does over time. Each cell shows what takes most of its time; less than half of it is a blank."""
    busy = [dict.fromkeys(signs, 0.0) for _ in range(CELLS)]
    scale = CELLS / end if end else 0.0
    for span in row.spans:
        first, last = span.start * scale, span.end * scale
        for cell in range(int(first), min(CELLS, int(last) + 1)):
            busy[cell][span.kind] += max(0.0, min(last, cell + 1) - max(first, cell))
    return "".join(_sign(cell, signs) for cell in busy).rstrip()


def _sign(cell: Mapping[Kind, float], signs: Mapping[Kind, str]) -> str:
    if sum(cell.values()) < 0.5:
        return " "
    return signs[max(cell, key=lambda kind: cell[kind])]
