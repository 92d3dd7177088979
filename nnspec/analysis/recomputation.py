"""How far a function is computed again in the backward pass, where `@checkpoint` keeps its arguments alone.

PyTorch computes it again when the backward pass first asks for something that it kept, and stops as soon as
as much has been kept again as before (`early_stop` of `torch.utils.checkpoint`). Some operations keep what
they are given and do so before they run: a function that ends in a linear layer is computed up to that layer
and not with it. Which operation is the last one depends on the order in which the emitted program runs, and
that is the frame's of `memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.frame import Frame
from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.machine import Leaf, Machine, Storage, Tensor
from nnspec.analysis.memory.measures import modes
from nnspec.analysis.setting import Setting
from nnspec.ir.graph import Function, Node, values_of
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.uses import Use, Uses

Keeps = Literal["nothing", "given", "inside", "made"]
"""What a node keeps last.

Nothing; what it was given, before it ran; something inside, its last kernel not run; or what it has made.
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a function runs until all that it keeps is there again.

    The nodes `whole` run to their end. `part` is the one that stops inside: a call, or an operator whose last
    product is left out. `within` is the operator that it stops at, if that has several kernels, of which
    it may run some. `keeps` says whether anything is kept, `is_needed` whether the backward pass asks for it.
    """

    whole: frozenset[int] = frozenset()
    part: int | None = None
    within: int | None = None
    keeps: bool = False
    is_needed: bool = False


class Recomputation:
    """The extents of a program's functions, each worked out once."""

    def __init__(self, uses: Uses, setting: Setting | None) -> None:
        assumed = modes(setting or Setting(), training=True)
        self._uses = uses
        self._calls = Calls(uses.program, assumed)
        self._extents: dict[Use, Extent] = {}

    def extent(self, use: Use) -> Extent:
        """How far a function is computed again that is used like this."""
        if use not in self._extents:
            self._extents[use] = self._extent(use)
        return self._extents[use]

    def _extent(self, use: Use) -> Extent:
        ran: list[tuple[Node, Keeps]] = [
            (node, self._keeps(use, node, own)) for node, own in self._ran(use)
        ]
        keeping = [place for place, (_, keeps) in enumerate(ran) if keeps != "nothing"]
        if not keeping:
            return Extent()
        last = keeping[-1]
        node, keeps = ran[last]
        whole = frozenset(each.id for each, _ in ran[: last + (keeps == "made")])
        part = node.id if keeps == "inside" else None
        within = node.id if self._has_several_kernels(use, node, keeps) else None
        asked = any(self._is_asked_for(use, ran[place][0]) for place in keeping)
        return Extent(whole, part, within, keeps=True, is_needed=asked)

    def _has_several_kernels(self, use: Use, node: Node, keeps: Keeps) -> bool:
        if node.op is None:
            return False
        body = self._calls.bodies.of(self._uses.program.functions[use.key])
        return keeps == "inside" or body.lowered(node).operations > 1

    def _keeps(self, use: Use, node: Node, own: Keeps) -> Keeps:
        """Of a call: its arguments, if it is computed again itself, else what the function keeps."""
        if node.callee is None:
            return own
        if self._uses.program.recomputes(node):
            return "given" if node.values() else "nothing"
        return "inside" if self.extent(self._callee(use, node)).keeps else "nothing"

    def _is_asked_for(self, use: Use, node: Node) -> bool:
        """Whether the backward pass comes through a node and asks for what it kept."""
        if self._uses.inside(use).reached.isdisjoint(node.outputs):
            return False
        return node.callee is None or self.extent(self._callee(use, node)).is_needed

    def _callee(self, use: Use, node: Node) -> Use:
        return self._uses.inside(use).callee(node).once

    def _ran(self, use: Use) -> list[tuple[Node, Keeps]]:
        """The nodes in the order in which they run, with what each operator keeps."""
        function = self._uses.program.functions[use.key]
        machine = self._calls.machine(recording=True)
        every = (True,) * len(use.reached)
        walk = _Walk(self._calls, machine, function, use.frozen, every)
        walk.run(_arguments(machine, function, use.needs))
        return walk.ran


class _Walk(Frame):
    """A run that notes the order of the nodes, and what each operator keeps."""

    def __init__(
        self,
        calls: Calls,
        machine: Machine,
        function: Function,
        frozen: bool,
        used: tuple[bool, ...],
    ) -> None:
        super().__init__(calls, machine, function, frozen, used)
        self.ran: list[tuple[Node, Keeps]] = []
        self._kept: list[bool] = []
        machine.watch = self._kept.append

    def _call(self, node: Node, callee: Function, given: list[Tensor]) -> list[Tensor]:
        results = super()._call(node, callee, given)
        self.ran.append((node, "nothing"))
        return results

    def _operation(self, node: Node, given: list[Tensor]) -> list[Tensor]:
        self._kept.clear()
        results = super()._operation(node, given)
        assert node.op is not None
        products = node.op.products(*self.function.node_types(node))
        self.ran.append((node, _last(len(products), self._kept)))
        return results


def _last(products: int, kept: Sequence[bool]) -> Keeps:
    """What an operator keeps last; `kept` says of its kernels that keep something whether they made it."""
    if not kept:
        return "nothing"
    if kept[-1]:
        return "made"
    return "given" if len(kept) == 1 and products < 2 else "inside"


def _arguments(
    machine: Machine, function: Function, needs: Sequence[bool]
) -> list[Tensor]:
    """The arguments of a function as it is called, each with a storage of its own."""
    found: list[Tensor] = []
    values = values_of(function.inputs)
    for place, (value, needed) in enumerate(zip(values, needs, strict=True)):
        kind = function.types[value]
        shape = tuple(size.value for size in kind.shape)
        strides = contiguous(shape)
        storage = Storage(machine, machine.bytes(shape, kind.dtype), outside=place)
        leaf = Leaf(("argument", place), False, shape, strides) if needed else None
        found.append(Tensor(storage, shape, strides, kind.dtype, leaf))
    return found
