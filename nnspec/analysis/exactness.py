"""Which figures are not exact, and why: bounds, and assumptions on kernels and devices.

What an operator leaves open it says itself (`Operator.leaves_open`); what a figure leaves open of every program
stands here. A figure without either is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.at_one import possible
from nnspec.ir.dims import Dim
from nnspec.ir.graph import dotted
from nnspec.ir.unread import unread_layers
from nnspec.ops.rules import Caveat, Concern, Direction
from nnspec.records import dataclass

CONCERNS: Mapping[str, Concern] = MappingProxyType(
    {
        "elementwise": "elementwise",
        "recomputed_elementwise": "elementwise",
        "bytes_read": "traffic",
        "bytes_written": "traffic",
        "recomputed_bytes": "traffic",
        "intensity": "traffic",
        "saved_bytes": "memory",
        "spared_bytes": "memory",
        "inference_activations": "memory",
        "inference_peak": "memory",
        "backward_peak": "memory",
        "train_peak": "memory",
        "spared_peak": "memory",
    }
)
"""What the figures that are not exact of every program are about."""

_ONCE = "each kernel reads and writes what it takes and gives once"
_WITHIN = "what kernels take and give back within one operation is not seen"
_STOPS = "of an operator within which computing again stops, all is counted"
_STOPPING = {
    "recomputed_elementwise": Caveat("elementwise", "at most", _STOPS),
    "recomputed_bytes": Caveat("traffic", "at most", _STOPS),
}

_OF_FIGURES: Mapping[str, tuple[Caveat, ...]] = MappingProxyType(
    {
        "bytes_read": (Caveat("traffic", "at least", _ONCE),),
        "bytes_written": (Caveat("traffic", "at least", _ONCE),),
        "intensity": (Caveat("traffic", "at most", _ONCE),),
        "recomputed_bytes": (Caveat("traffic", "about", _ONCE),),
        **dict.fromkeys(
            (
                "inference_activations",
                "inference_peak",
                "backward_peak",
                "train_peak",
                "spared_peak",
            ),
            (Caveat("memory", "about", _WITHIN),),
        ),
        "optimizer_bytes": (
            Caveat(
                "memory",
                "about",
                "as the layout is published, in blocks of 256; tables of codes left out",
                under=("optimizer", "adam8bit"),
            ),
        ),
    }
)

_UNREAD = Caveat(
    "elementwise",
    "at most",
    "nothing reads what it gives, and Keras makes weights where a layer is applied",
)
"""What is said of Keras's parameters."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Why some figures are not exact: `operators` are those that leave it open, none where all do."""

    figures: tuple[str, ...]
    operators: tuple[str, ...]
    direction: Direction
    reason: str


def remarks(analysis: Analysis, figures: tuple[str, ...]) -> list[Remark]:
    """What is to be said of these figures of a program."""
    found: dict[tuple[Direction, str], tuple[list[str], list[str]]] = {}
    operators = _operators(analysis)
    for name in figures:
        for operator, caveat in _caveats(analysis, name, operators):
            if not _applies(caveat, analysis):
                continue
            names, by = found.setdefault((caveat.direction, caveat.reason), ([], []))
            names.extend([name] if name not in names else [])
            by.extend([operator] if operator and operator not in by else [])
    return [
        Remark(tuple(names), tuple(by), direction, reason)
        for (direction, reason), (names, by) in found.items()
    ]


def _caveats(
    analysis: Analysis, name: str, operators: Mapping[str, tuple[Caveat, ...]]
) -> Iterator[tuple[str, Caveat]]:
    """What a figure leaves open, each with the operator that does; with none where every program does."""
    for each in _OF_FIGURES.get(name, ()):
        yield "", each
    concern = CONCERNS.get(name)
    for operator, caveats in operators.items():
        yield from ((operator, each) for each in caveats if each.concern == concern)
    if name == "keras_parameters":
        unread = unread_layers(analysis.program)
        yield from ((dotted(node.path), _UNREAD) for node in unread)
    if name == "gradient_bytes":
        yield from _of_gradients(analysis)
    if name in _STOPPING:
        yield from ((operator, _STOPPING[name]) for operator in _stopped_at(analysis))


def _operators(analysis: Analysis) -> dict[str, tuple[Caveat, ...]]:
    """The caveats of the operators of a program, by their names."""
    found: dict[str, dict[Caveat, None]] = {}
    for function in analysis.program.functions.values():
        for node in function.nodes:
            if node.op is not None:
                caveats = node.op.leaves_open(*function.node_types(node))
                found.setdefault(node.op.op_name(), {}).update(dict.fromkeys(caveats))
    return {name: tuple(caveats) for name, caveats in found.items() if caveats}


def _of_gradients(analysis: Analysis) -> Iterator[tuple[str, Caveat]]:
    """What gradients lie in, where that is not what they are: PyTorch takes views, with all that they show."""
    from nnspec.analysis.memory.measures import gradient_storages

    if not analysis.setting.policy.trains or not _reads_weights(analysis):
        return
    counted = analysis.figure("gradient_bytes")
    for ones in (frozenset[str](), *possible(analysis.program, {})):
        sizes = dict.fromkeys(ones, 1)
        kept = gradient_storages(analysis.where(sizes)).at(sizes)
        more = kept - counted.at(sizes)
        if more == 0:
            continue
        where = "".join(f"where {name} is 1, " for name in sorted(ones))
        reason = f"{where}gradients are views: what they lie in has {_in_bytes(kept)}"
        direction: Direction = "about"
        if more.constant is not None:
            direction = "at least" if more.constant > 0 else "at most"
        yield "", Caveat("memory", direction, reason)
        return


def _in_bytes(amount: Dim) -> str:
    return f"{int(amount):,} bytes" if amount.is_constant else f"{amount} bytes"


def _reads_weights(analysis: Analysis) -> bool:
    """Whether a weight is used as a tensor of its own, and not only in its layer."""
    return any(
        node.weight is not None
        or (node.op is not None and node.op.op_name() == "Param")
        for inside in analysis.uses.reachable()
        for node in inside.function.nodes
    )


def _stopped_at(analysis: Analysis) -> list[str]:
    """The operators of several kernels at which PyTorch stops to compute a block again."""
    found = {
        site.node.op.op_name(): None
        for inside in analysis.uses.reachable()
        for site in inside.sites
        if site.node.op is not None and inside.stops_at(site.node)
    }
    return list(found)


def _applies(caveat: Caveat, analysis: Analysis) -> bool:
    if caveat.under is None:
        return True
    name, value = caveat.under
    return getattr(analysis.setting, name) == value


__all__ = ["CONCERNS", "Remark", "remarks"]
