"""The one entry: any weighted graph, any cluster, an objective; out comes a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf

from nnspec.diagnostics import Diagnostic, SpecErrors
from nnspec.placement.alive import Reserve, overflow, within_memory
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import TOLERANCE, loads, plan_of, share_in_use, value_of
from nnspec.placement.free.assign import best_assignment
from nnspec.placement.graph import WeightedGraph, check_graph
from nnspec.placement.latency.search import Known, best_latency
from nnspec.placement.lines.contiguous import Candidate, best_in_line
from nnspec.placement.lines.roomy import emptiest_divisions, roomy_divisions
from nnspec.placement.lines.serial import MOST_UNITS
from nnspec.placement.links import has_links
from nnspec.placement.peaks import share_bound
from nnspec.placement.plan import Objective, Plan
from nnspec.placement.problem import Line, Problem, check_placeable, problem_of
from nnspec.placement.room import does_not_fit
from nnspec.placement.tried import Tried, every_pair
from nnspec.records import dataclass

ROOMY = "division of a line, with room for values"
AGAIN = 10
"""The effort of each of several attempts is so much smaller than that of one."""
FEW_OPERATORS = 10
"""So few are placed without the loads of a line to start from."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to look for a plan.

    `contiguous` asks for devices in a line. `effort` bounds the work of CP-SAT and of
    local search, in their own deterministic units of about a second.
    """

    contiguous: bool = False
    effort: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The device of each operator, their order, what they give, a proven bound of that,
    and the method.
    """

    placed: list[int]
    order: list[int]
    value: float
    bound: float
    method: str


def place(
    graph: WeightedGraph,
    cluster: Cluster,
    objective: Objective = "throughput",
    options: Options | None = None,
) -> Plan:
    """The best plan that is found, with a bound that is proven. Deterministic.

    Raises SpecErrors and SpecError: E1006 and E1007 (the graph), E1008 to E1010 (pins,
    and operators that nothing can run), E1011 (memory, with what would do), E1013 (no
    backward pass to train).
    """
    options = options or Options()
    check_graph(graph)
    check_placeable(graph, cluster)
    if objective == "train" and not any(each.backward for each in graph.operators):
        raise SpecErrors([_NO_BACKWARD])
    answer = _answer(graph, cluster, objective, options)
    plan = _planned(graph, cluster, objective, options, answer)
    return _within_memory(graph, cluster, plan, options)


_NO_BACKWARD = Diagnostic(
    "E1013",
    "the graph has no backward pass to train",
    hint="mark its operators as `backward`, or place for `throughput`",
)


def _planned(
    graph: WeightedGraph,
    cluster: Cluster,
    objective: Objective,
    options: Options,
    answer: Answer,
) -> Plan:
    return plan_of(
        graph,
        cluster,
        objective,
        answer.placed,
        answer.order,
        contiguous=options.contiguous,
        bound=answer.bound,
        method=answer.method,
    )


def _within_memory(
    graph: WeightedGraph, cluster: Cluster, plan: Plan, options: Options
) -> Plan:
    """A plan whose values in flight fit as well.

    The bound, of a problem with fewer limits, still holds of it. Each time that all is placed
    again, less effort is made.
    """
    options = replace(options, effort=options.effort / AGAIN)

    def again(reserve: Reserve) -> Plan | None:
        tight = _with_reserve(cluster, reserve)
        answer = _best(graph, tight, plan.objective, options, plan)
        if answer is None:
            return None
        answer = replace(answer, bound=plan.bound)
        return _planned(graph, cluster, plan.objective, options, answer)

    if not overflow(plan):
        return plan
    tried = every_pair(graph, cluster, options.contiguous)
    if tried is not None:
        return _best_tried(graph, cluster, plan, options, tried)
    found = [within_memory(plan, again), *_roomy(graph, cluster, plan, options)]
    fit = [each for each in found if each is not None and not overflow(each)]
    if not fit:
        raise _does_not_fit(graph, cluster, options, alive=True)
    return min(fit, key=lambda each: each.value)


def _best_tried(
    graph: WeightedGraph,
    cluster: Cluster,
    plan: Plan,
    options: Options,
    tried: Sequence[Tried],
) -> Plan:
    """The best of all in which every device has room."""
    fit = [
        (value_of(graph, cluster, plan.objective, placed, order), placed, order)
        for share, placed, order in tried
        if share <= 1 + TOLERANCE
    ]
    if not fit:
        raise _does_not_fit(graph, cluster, options, alive=True)
    value, placed, order = min(fit)
    answer = Answer(placed, order, value, value, "exhaustive search")
    return _planned(graph, cluster, plan.objective, options, answer)


def _roomy(
    graph: WeightedGraph, cluster: Cluster, plan: Plan, options: Options
) -> Iterator[Plan]:
    """Plans that go by what devices have in use, as fast as can be and as empty as can be."""
    divided = [*roomy_divisions(graph, cluster, plan.objective)]
    fit = _best(graph, cluster, "fit", options)
    for placed in [*divided, *([] if fit is None else [fit.placed])]:
        answer = Answer(placed, graph.order, plan.value, plan.bound, ROOMY)
        yield _planned(graph, cluster, plan.objective, options, answer)


def _with_reserve(cluster: Cluster, more: Reserve) -> Cluster:
    kinds = {
        name: kind.model_copy(update={"reserved": kind.reserved + more.get(name, 0)})
        for name, kind in cluster.kinds.items()
    }
    return replace(cluster, kinds=kinds)


def _answer(
    graph: WeightedGraph, cluster: Cluster, objective: Objective, options: Options
) -> Answer:
    found = _best(graph, cluster, objective, options)
    if found is None or _holds_too_much(graph, cluster, found.placed):
        raise _does_not_fit(graph, cluster, options, alive=False)
    return found


def _holds_too_much(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int]
) -> bool:
    held = loads(graph, cluster, placed).held
    return share_in_use(cluster, held) > 1 + TOLERANCE


def _does_not_fit(
    graph: WeightedGraph, cluster: Cluster, options: Options, *, alive: bool
) -> SpecErrors:
    def share(other: Cluster) -> tuple[float, float]:
        found = _best(graph, other, "fit", options)
        return (inf, inf) if found is None else (found.value, found.bound)

    return does_not_fit(graph, cluster, share, alive=alive)


def _best(
    graph: WeightedGraph,
    cluster: Cluster,
    objective: Objective,
    options: Options,
    easier: Plan | None = None,
) -> Answer | None:
    """The best answer; the time of a sample is looked at less if a plan is known.

    That is one of the same graph with fewer limits.
    """
    if not graph.operators:
        return Answer([], [], 0.0, 0.0, "nothing to place")
    asked = graph, cluster, objective
    exact = options.contiguous and objective != "latency"
    few = MOST_UNITS if objective == "latency" else FEW_OPERATORS
    in_line: Candidates = []
    if exact:
        in_line = [*_exact_lines(graph, cluster, objective, options.effort)]
    elif len(graph.operators) > few:
        in_line = [(each, best_in_line(each, 0.0)) for _, each in _lines(*asked)]
    if objective == "latency":
        return _fastest(graph, cluster, in_line, options, easier)
    if options.contiguous:
        problem, best = min(in_line, key=lambda each: each[1].value)
        bound = min(candidate.bound for _, candidate in in_line)
    else:
        problem = problem_of(graph, cluster, objective, linked=True)
        best = best_assignment(problem, _starts(problem, in_line), options.effort)
        bound = best.bound
    if best.devices is None:
        return None
    placed = problem.placed(best.devices)
    found = Answer(placed, graph.order, best.value, bound, best.method)
    if objective != "fit" or not any(value.held for value in graph.values):
        return found
    return _emptiest(graph, cluster, options, found)


def _emptiest(
    graph: WeightedGraph, cluster: Cluster, options: Options, found: Answer
) -> Answer:
    """The best by what devices have in use: values beside what operators hold."""
    tried = every_pair(graph, cluster, options.contiguous)
    if tried:
        share, placed, order = min(tried)
        return Answer(placed, order, share, share, "exhaustive search")
    divided = [*emptiest_divisions(graph, cluster)]
    bound = max(found.bound, share_bound(graph, cluster))
    if options.contiguous:
        bound = max(bound, min((least for _, least in divided), default=0.0))
    answers = [(found.placed, found.method)]
    answers += [(placed, ROOMY) for placed, _ in divided if placed is not None]
    share, (placed, method) = min(
        (value_of(graph, cluster, "fit", each[0], graph.order), each)
        for each in answers
    )
    return Answer(placed, graph.order, share, min(bound, share), method)


def _lines(
    graph: WeightedGraph, cluster: Cluster, objective: Objective
) -> Iterator[tuple[Line, Problem]]:
    """The problems with the devices in a line: the backward pass may go either way."""
    yield "returns", problem_of(graph, cluster, objective, "returns")
    if any(operator.backward for operator in graph.operators):
        yield "repeats", problem_of(graph, cluster, objective, "repeats")


def _exact_lines(
    graph: WeightedGraph, cluster: Cluster, objective: Objective, effort: float
) -> Iterator[tuple[Problem, Candidate]]:
    """The best of each line; links are looked at where one is busier than the devices."""
    for line, problem in _lines(graph, cluster, objective):
        best = best_in_line(problem, effort)
        if objective != "fit" and _is_slowed(graph, cluster, problem, best):
            problem = problem_of(graph, cluster, objective, line, linked=True)
            starts = [] if best.devices is None else [best.devices]
            best = best_assignment(problem, starts, effort, best.bound)
        yield problem, best


def _is_slowed(
    graph: WeightedGraph, cluster: Cluster, problem: Problem, best: Candidate
) -> bool:
    """Whether a link is busier than the busiest device has to be."""
    if not has_links(cluster) or best.devices is None:
        return False
    found = loads(graph, cluster, problem.placed(best.devices)).links
    return max(found.values(), default=0.0) > best.bound * (1 + TOLERANCE)


Candidates = list[tuple[Problem, Candidate]]


def _starts(problem: Problem, candidates: Candidates) -> list[list[int]]:
    """The assignments of other problems of the same graph, unit by unit of this one."""
    first = {unit: place for place, unit in reversed([*enumerate(problem.unit_of)])}
    found: list[list[int]] = []
    for other, candidate in candidates:
        if candidate.devices is not None:
            placed = other.placed(candidate.devices)
            found.append([placed[first[unit]] for unit in range(problem.count)])
    return found


def _fastest(
    graph: WeightedGraph,
    cluster: Cluster,
    in_line: Candidates,
    options: Options,
    easier: Plan | None,
) -> Answer | None:
    known = Known(easier.value, easier.bound) if easier else None
    starts = [
        problem.placed(candidate.devices)
        for problem, candidate in in_line
        if candidate.devices is not None
    ]
    found = best_latency(
        graph, cluster, starts, options.contiguous, options.effort, known
    )
    if found is None:
        return None
    return Answer(found.placed, found.order, found.value, found.bound, found.method)
