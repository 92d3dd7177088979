"""A machine that runs PyTorch programs on sizes alone: storages come and go, nothing is computed.

Its tensors have a shape, strides, a storage and a place in the graph of gradients, as PyTorch's have.
A storage lives for as long as something refers to it: a variable, an expression that is being
evaluated, or an operation that keeps it for its backward pass. That is Python's own counting of
references, here as in the program that is described, so the rules of `operations` read like the
operations themselves, and what lives when follows by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from nnspec.analysis.memory.known import Ones
from nnspec.analysis.memory.layout import (
    Sizes,
    contiguous,
    is_contiguous,
    volume,
    volume_in_bytes,
)
from nnspec.analysis.memory.ledger import Ledger, Owner, Pass
from nnspec.analysis.memory.peaks import Peaks
from nnspec.analysis.memory.rolling import Rolling
from nnspec.analysis.memory.taken import TakenGradients
from nnspec.ir.dims import ZERO, Dim, total
from nnspec.ir.types import DType, TensorType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Changing
    from nnspec.analysis.generic.memory.laid import Laid

    Crossed: TypeAlias = Rolling | Changing


class Storage:
    """Bytes that live from its making until nothing refers to it.

    One that lies `outside` (a parameter, an argument of a function) is counted by whoever made it. If
    it is then left to this machine alone (`released`), its end is counted here. `kept` tells whether an
    operation keeps it for its backward pass.
    """

    __slots__ = (
        "__weakref__",
        "counted",
        "kept",
        "machine",
        "outside",
        "size",
        "state",
        "turn",
    )

    def __init__(
        self,
        machine: Machine,
        size: Dim,
        *,
        outside: int | None = None,
        state: bool = False,
    ) -> None:
        self.machine = machine
        self.size = size if machine.ledger is None else machine.ledger.owned(size)
        self.outside = outside
        self.state = state
        self.kept = False
        # The turn that stands for many in which it was made.
        self.turn = machine.turn
        self.counted = outside is None and not state
        if self.counted:
            machine.allocate(self.size)

    def resize(self, size: Dim) -> None:
        """Says its bytes in other names: as they are in a turn of a loop, or outside of it."""
        self.machine.taken.resized(self, size)
        self.size = size

    def __del__(self) -> None:
        if self.counted:
            self.machine.free(self.size)


def living(machine: Machine, size: Dim) -> Storage:
    """Bytes that live already, whose end is that of what is given here."""
    storage = Storage(machine, size, outside=-1)
    storage.counted = True
    return storage


@dataclass(eq=False, slots=True)
class Record:
    """One operation that has a backward pass: what it keeps, and where its gradients go.

    `backward` takes the gradients of the results and the tensors that are kept. The call of a function
    has `call` instead, which takes the gradients over, together with those that its arguments have
    already and with whether each waits elsewhere too, and gives the sums. `lump` is what is kept besides tensors at hand, `owner` who made it.
    """

    number: int
    edges: tuple[Edge | None, ...]
    shapes: tuple[Sizes, ...]
    saved: tuple[Tensor, ...]
    backward: Backward | None
    results: int
    lump: Storage | None = None
    call: CallBackward | None = None
    owner: Owner | None = None


@dataclass(eq=False, slots=True)
class Leaf:
    """Where gradients end: a parameter, or an argument of the function that is run."""

    key: tuple[Any, ...]
    is_parameter: bool
    shape: Sizes
    strides: Sizes
    gradient: Tensor | None = None


@dataclass(eq=False, slots=True)
class Tensor:
    """A tensor without values. `source` is where its gradient goes; None where it needs none."""

    storage: Storage
    shape: Sizes
    strides: Sizes
    dtype: DType
    source: Edge | None = None

    @property
    def machine(self) -> Machine:
        return self.storage.machine

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> Dim:
        return volume(self.shape)

    @property
    def placed(self) -> tuple[Sizes, Sizes]:
        """Its shape and strides."""
        return self.shape, self.strides

    @property
    def is_contiguous(self) -> bool:
        return is_contiguous(self.shape, self.strides)

    def detached(self) -> Tensor:
        """The same tensor, for which no gradient is asked; what operations keep."""
        return Tensor(self.storage, self.shape, self.strides, self.dtype)

    def alias(self, shape: Sizes, strides: Sizes) -> Tensor:
        """The same storage, seen in another shape."""
        return Tensor(self.storage, shape, strides, self.dtype)


Edge: TypeAlias = tuple[Record, int] | Leaf
Gradients: TypeAlias = Sequence[Tensor | None]
Backward: TypeAlias = (
    Callable[[Tensor], Gradients]
    | Callable[[Tensor, Tensor], Gradients]
    | Callable[..., Gradients]
)
CallBackward: TypeAlias = Callable[
    [Record, list[Tensor | None], list[Tensor | None], list[bool]],
    list[Tensor | None],
]
Element: TypeAlias = Callable[[DType], int]


@dataclass(eq=False)
class Machine:
    """What lives (in bytes, relative to the beginning), the most that lived, and the gradients of parameters.

    `element` gives the bytes of an element type. `training` is the mode of the modules; with `recording`
    off no graph is built (`torch.no_grad`). With a `ledger` amounts know whose they are. `ones` puts in which symbols are
    known to be 1.
    """

    element: Element
    peaks: Peaks
    training: bool = False
    recording: bool = False
    fused: bool = True
    onednn: bool = True
    drops: bool = True
    mask: DType = DType.FLOAT
    ones: Ones = field(default_factory=lambda: Ones(()))
    ledger: Ledger | None = None
    expected: tuple[TensorType, ...] = ()
    # Whether a list is put together that loops grew, and the loops of which one turn stands for
    # many that have made what a gradient of one goes to.
    joins: bool = False
    delivered: dict[tuple[int, int], Changing] = field(
        default_factory=dict[tuple[int, int], "Changing"]
    )
    live: Dim = ZERO
    taken: TakenGradients = field(default_factory=TakenGradients)
    again: bool = False
    # The loops that stand for more turns than are run: where their turns begin, and what the rest leaves.
    rolling: list[Rolling] = field(default_factory=list[Rolling])
    crossings: list[tuple[int, Crossed, int]] = field(
        default_factory=list[tuple[int, "Crossed", int]]
    )
    # Those whose sizes change from turn to turn, and the one whose turn that stands for many is run.
    changing: list[Changing] = field(default_factory=list["Changing"])
    turn: Changing | None = None
    kept_besides: Dim = ZERO
    gradients_besides: Dim = ZERO
    # The amounts up to the last operation that keeps something: what is computed again stops there.
    needed: list[Dim] = field(default_factory=list[Dim])
    # How many turns loops must have for it, and whether it cannot be said.
    turns_needed: list[tuple[Dim, int]] = field(default_factory=list[tuple[Dim, int]])
    needs_unknown: bool = False
    # Told of each operation that keeps something: whether it keeps what it has made, and not only what it was given.
    watch: Callable[[bool], None] | None = None
    _numbers: int = 0
    _rising: bool = False

    @property
    def operations(self) -> int:
        """How many operations have been recorded."""
        return self._numbers

    # ---- bytes ----

    def allocate(self, size: Dim) -> None:
        """Bytes come to life."""
        self.live = self.live + size
        self._rising = True

    def free(self, size: Dim) -> None:
        """Bytes are given back."""
        self.mark()
        self.live = self.live - size

    def mark(self) -> None:
        """Notes a peak, if what lives has grown since the last one."""
        if self._rising:
            self.peaks.add(self.live)
            self._rising = False

    def amounts(
        self, results: Sequence[Tensor] = (), inputs: Sequence[Tensor | None] = ()
    ) -> list[Dim]:
        """All amounts up to now, as they were before an operation made its `results` of its `inputs`."""
        given = [each.storage for each in inputs if each is not None]
        made = {id(each.storage): each.storage for each in results}
        own = [each for each in made.values() if all(each is not one for one in given)]
        return [*self.peaks.amounts, self.live - total(each.size for each in own)]

    def restart(self) -> None:
        """Counts from here on."""
        self.live, self.peaks, self._rising = ZERO, Peaks(), False

    def bytes(self, shape: Sizes, dtype: DType) -> Dim:
        """The bytes of a dense tensor."""
        return volume_in_bytes(shape, self.element(dtype))

    def made_by(self, node: int) -> None:
        """What is made from here on is made by a node of the function that is run."""
        if self.ledger is not None:
            self.ledger.owner = Owner((*self.ledger.place, node))

    def made_behind(self, owner: Owner | None) -> None:
        """What is made from here on is made by the backward pass of an operation."""
        if self.ledger is not None and owner is not None:
            self.ledger.owner = Owner(owner.place, Pass.BACKWARD)

    @property
    def precise(self) -> DType:
        """The float in which kernels add up: float32 for narrower ones."""
        return DType.F32 if self.element(DType.FLOAT) < 4 else DType.FLOAT

    # ---- tensors ----

    def of_many(self, tensor: Tensor) -> tuple[Changing, Laid] | None:
        """The loop whose turns each made a tensor of which this one stands for many, and how it lies in any of them."""
        for loop in self.changing:
            found = loop.made_in_any_turn(tensor)
            if found is not None:
                return loop, found
        return None

    def sized(self, kind: TensorType) -> TensorType:
        """A type with what is known to be 1 put in."""
        return self.ones.type(kind)

    def empty(self, shape: Sizes, dtype: DType, strides: Sizes | None = None) -> Tensor:
        """A new tensor, contiguous unless strides without gaps are given."""
        storage = Storage(self, self.bytes(shape, dtype))
        return Tensor(storage, shape, strides or contiguous(shape), dtype)

    def record(
        self,
        inputs: Sequence[Tensor | None],
        results: Sequence[Tensor],
        saved: Sequence[Tensor],
        backward: Backward | None,
        lump: Storage | None = None,
        call: CallBackward | None = None,
        always: bool = False,
        needed: list[Dim] | None = None,
    ) -> None:
        """Enters an operation into the graph, if one is built and an input needs a gradient.

        `needed` are the amounts until it has kept all that it keeps, where that is neither before it runs nor behind it.
        """
        edges = tuple(None if each is None else each.source for each in inputs)
        if not self.recording or (not always and all(edge is None for edge in edges)):
            return
        if saved or lump is not None:
            makes = lump is not None or _is_made(saved, inputs)
            self.needed = needed or self.amounts(() if makes else results, inputs)
            if self.watch is not None:
                self.watch(makes)
        for each in saved:
            each.storage.kept = True
            for loop in self.rolling:
                loop.keeps_of(each.storage)
        self._numbers += 1
        shapes = tuple(() if each is None else each.shape for each in inputs)
        kept = tuple(each.detached() for each in saved)
        made = Record(
            self._numbers, edges, shapes, kept, backward, len(results), lump, call
        )
        made.owner = self.ledger.owner if self.ledger is not None else None
        for place, result in enumerate(results):
            if result.dtype.is_float:
                result.source = (made, place)


def _is_made(saved: Sequence[Tensor], inputs: Sequence[Tensor | None]) -> bool:
    """Whether something is among what is kept that an operation was not given."""
    given = [each.storage for each in inputs if each is not None]
    return any(all(each.storage is not one for one in given) for each in saved)


def filling(machine: Machine, *shapes: Sizes) -> Backward:
    """A backward pass that makes a new gradient for each input, of its shape."""

    def backward(grad: Tensor, *_: Tensor) -> Gradients:
        return [machine.empty(shape, grad.dtype) for shape in shapes]

    return backward


def through(function: Callable[[Tensor], Tensor]) -> Backward:
    """A backward pass of one input that keeps nothing, from a function of the gradient."""

    def backward(grad: Tensor) -> Gradients:
        return (function(grad),)

    return backward


def needs(*tensors: Tensor | None) -> bool:
    """Whether a gradient will be asked of any of them."""
    return any(each is not None and each.source is not None for each in tensors)


def reached(roots: Sequence[Edge | None]) -> list[Record]:
    """The operations that some gradients pass through, the latest first."""
    found: dict[int, Record] = {}
    waiting = list(roots)
    while waiting:
        edge = waiting.pop()
        if not isinstance(edge, tuple) or id(edge[0]) in found:
            continue
        found[id(edge[0])] = edge[0]
        waiting.extend(edge[0].edges)
    return sorted(found.values(), key=lambda record: -record.number)


def kept_storages(records: Sequence[Record]) -> Iterator[Storage]:
    """The storages that operations keep, each once; parameters and buffers are not counted."""
    seen: set[int] = set()
    for record in records:
        kept = [tensor.storage for tensor in record.saved]
        for storage in kept if record.lump is None else [*kept, record.lump]:
            if id(storage) not in seen and not storage.state:
                seen.add(id(storage))
                yield storage
