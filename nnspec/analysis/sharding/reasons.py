"""Why tensor parallelism leaves layers whole: a reason for each that is not split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.analysis.sharding.parts import Part
from nnspec.analysis.sharding.plan import TensorPlan, everywhere
from nnspec.ir.graph import Function, Node, dotted, values_of
from nnspec.ops.linear import Embedding, Linear

NOT_A_KIND = "only linear layers, embeddings of tokens and tables of biases are split"
OF_STAGES = "several stages of the pipeline have it"
LOOKS_UP_OTHERS = "it looks up what the model computes, and not what it is given"
READ_OTHERWISE = "its weight is read otherwise than by a last layer"


def reasons_of(plan: TensorPlan) -> Mapping[str, str]:
    """For each layer that is whole on every device the reason, by its path, in the order of the model."""
    if plan.devices == 1:
        return {}
    return {
        path: _reason(plan, function, node)
        for prefix, function in everywhere(plan.program)
        for path, node in _layers(function, prefix)
        if path not in plan.styles and path not in plan.tables
    }


def _layers(function: Function, prefix: str) -> Iterator[tuple[str, Node]]:
    """The layers of a function with weights of their own, by path."""
    for node in function.nodes:
        if node.owns and node.callee is None and function.node_weights(node):
            yield f"{prefix}{dotted(node.path)}", node


def _reason(plan: TensorPlan, function: Function, node: Node) -> str:
    if function.key == plan.program.entry and dotted(node.path) in plan.whole:
        return OF_STAGES
    if isinstance(node.op, Embedding):
        return _of_embedding(plan, function, node, int(node.op.entries))
    own = plan.parts[function.key]
    part = next((each for each in own.parts if node.id in each.nodes), None)
    if part is not None:
        return _of_part(plan, function, part)
    if isinstance(node.op, Linear):
        return own.reasons[node.id]
    return NOT_A_KIND


def _of_part(plan: TensorPlan, function: Function, part: Part) -> str:
    wrong = [width for width in sorted(part.widths) if width % plan.devices]
    if not wrong:
        paths = (dotted(function.nodes[number].path) for number in part.nodes)
        shared = next(path for path in paths if path in plan.whole)
        return f"it belongs to `{shared}`, which several stages of the pipeline have"
    return f"{plan.devices} devices do not divide {_listed(wrong)} heads or features"


def _listed(numbers: Sequence[int]) -> str:
    first, last = ", ".join(map(str, numbers[:-1])), str(numbers[-1])
    return f"{first} and {last}" if first else last


def _of_embedding(
    plan: TensorPlan, function: Function, node: Node, entries: int
) -> str:
    given = set(values_of(function.inputs))
    is_main = function.key == plan.program.entry
    if not is_main or not given.issuperset(node.values()):
        return LOOKS_UP_OTHERS
    if entries % plan.devices:
        return f"{plan.devices} devices do not divide {entries} rows"
    uses = [other for other in function.nodes if other.path == node.path and other.owns]
    return "it is used several times" if len(uses) > 1 else READ_OTHERWISE
