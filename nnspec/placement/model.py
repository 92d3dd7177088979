"""The weighted graph of a model: one operator for each node of its main function.

A call of a block is one operator. Its time is that of the kernels in it, one after
another (`nnspec.analysis.timing.kernels`); its memory is that of its weights and, to train it,
of their gradients, of the optimizer's state and of what is kept for the backward pass.
With `train` each operator has a second one for its backward pass, on the same device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.memory.measures import modes
from nnspec.analysis.memory.run import kept_inside
from nnspec.analysis.timing.kernels import Kernel
from nnspec.analysis.timing.latency import Workload, require_sizes, updates
from nnspec.analysis.totals import Totals
from nnspec.analysis.uses import Site
from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors, did_you_mean
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Marks, Node, Path, Program, dotted, values_of
from nnspec.placement.clusters.cluster import Cluster, DeviceKind, countable
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.labels import selects
from nnspec.records import dataclass

BACKWARD = "/backward"
"""What the name of an operator of the backward pass ends with."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What a label names has to be on a device; `origin` says who wants that."""

    label: str
    device: str
    origin: str = "the request"


class ModelGraph:
    """A model at given sizes on a cluster.

    Times and sizes are those of one pass over the batch as given. Raises SpecError while
    a size is open (E1105), and for types that cannot be trained with (E1014).
    """

    def __init__(
        self,
        analysis: Analysis,
        cluster: Cluster,
        sizes: Mapping[str, Size],
        *,
        trains: bool = False,
        pins: Sequence[Pin] = (),
    ) -> None:
        require_sizes(analysis, sizes)
        if trains:
            _check_trainable(analysis)
        self.analysis = analysis
        self.program: Program = analysis.program
        self.main = self.program.main
        self.cluster = cluster
        self.sizes = sizes
        self.trains = trains
        self._requested = pins
        self._forward = Workload(analysis, sizes, "forward")
        self._both = Workload(analysis, sizes, "training")
        self._times: dict[tuple[tuple[Kernel, int], ...], dict[str, float]] = {}

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """The nodes of the main function, in the order in which they run."""
        uses = self.analysis.uses
        return uses.inside(uses.main).sites

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The operator of each node."""
        return operator_names(self.program)

    @cached_property
    def graph(self) -> WeightedGraph:
        """The weighted graph, forward operators first and in the order of the nodes."""
        operators = [self._operator(place) for place in range(len(self.sites))]
        operators += [self._backward_operator(place) for place in self._returning]
        values = [*self._forward_values(), *self._gradients()]
        return WeightedGraph(tuple(operators), tuple(values))

    # ---- operators -----------------------------------------------------------------------

    def _operator(self, place: int) -> Operator:
        site = self.sites[place]
        return Operator(
            self.names[place],
            self._seconds(self._kernels(self._forward, site)),
            self._memory(site),
            self._groups.get(place),
            self._pins.get(place),
        )

    def _backward_operator(self, place: int) -> Operator:
        site = self.sites[place]
        both = self._kernels(self._both, site)
        both.subtract(self._kernels(self._forward, site))
        update = int(self._updates.of_site(site).at(self.sizes))
        if update:
            both[Kernel(0, "", 0, update)] += 1
        return Operator(
            self.names[place] + BACKWARD,
            self._seconds(both),
            group=self._groups[place],
            pin=self._pins.get(place),
            backward=True,
        )

    @cached_property
    def _updates(self) -> Totals:
        return updates(self.analysis)

    def _kernels(self, work: Workload, site: Site) -> Counter[Kernel]:
        if site.node.callee is not None:
            return Counter(work.of_use(site.use))
        return Counter(work.of_site(site))

    def _seconds(self, kernels: Counter[Kernel]) -> dict[str, float]:
        """The time on each kind of devices that has figures for all dtypes."""
        key = tuple((kernel, count) for kernel, count in kernels.items() if count)
        if key not in self._times:
            self._times[key] = self._times_of(key)
        return self._times[key]

    def _times_of(self, kernels: Sequence[tuple[Kernel, int]]) -> dict[str, float]:
        found: dict[str, float] = {}
        missing: SpecError | None = None
        for name, kind in self.cluster.kinds.items():
            try:
                found[name] = sum(
                    kernel_seconds(kind, kernel) * count for kernel, count in kernels
                )
            except SpecError as error:
                missing = error
        if missing is not None and not found:
            raise missing
        return found

    def _memory(self, site: Site) -> int:
        held = self._amount("weight_bytes", site)
        if self.trains:
            held += self._amount("gradient_bytes", site)
            held += self._amount("optimizer_bytes", site)
            held += self.kept_inside(site)
        return countable(held, f"`{dotted(site.node.path)}`")

    def kept_inside(self, site: Site) -> int:
        """What a block keeps for its backward pass beside its inputs and results."""
        if site.node.callee is None or not site.is_reached:
            return 0
        kept = self.kept_formulas.get(site.node.callee)
        return 0 if kept is None else int(kept.at(self.sizes))

    @cached_property
    def kept_formulas(self) -> Mapping[str, Dim]:
        """What a call of each function keeps, by its key, at any sizes."""
        setting = self.analysis.setting
        return kept_inside(self.program, modes(setting, training=True))

    def _amount(self, figure: str, site: Site) -> int:
        return int(self.analysis.totals(figure).of_site(site).at(self.sizes))

    # ---- what belongs together -----------------------------------------------------------

    @cached_property
    def _returning(self) -> list[int]:
        """The nodes with a backward pass, last first."""
        if not self.trains:
            return []
        return [
            place
            for place in reversed(range(len(self.sites)))
            if self.sites[place].is_reached
        ]

    @cached_property
    def _groups(self) -> Mapping[int, str]:
        """Uses of an instance share its device; so do the two passes of a node."""
        users: dict[Path, list[int]] = {}
        for place, node in enumerate(self.main.nodes):
            if node.owns or node.weight is not None:
                users.setdefault(node.path, []).append(place)
        found = {place: self.names[place] for place in self._returning}
        for path, places in users.items():
            if len(places) > 1:
                found.update(dict.fromkeys(places, dotted(path)))
        return found

    @cached_property
    def _pins(self) -> Mapping[int, str]:
        """The device of each pinned node. Raises SpecErrors (E1009, E1015)."""
        wanted: dict[int, Pin] = {}
        faults: list[Diagnostic] = []
        for place, pin in self._all_pins(faults):
            other = wanted.setdefault(place, pin)
            if other.device != pin.device:
                faults.append(_contradiction(self.names[place], other, pin))
        if faults:
            raise SpecErrors(faults)
        return {place: pin.device for place, pin in wanted.items()}

    def _all_pins(self, faults: list[Diagnostic]) -> Iterator[tuple[int, Pin]]:
        for place, node in enumerate(self.main.nodes):
            for device in sorted(self._marked(node)):
                yield place, Pin(self.names[place], device, "the spec")
        for pin in self._requested:
            places = [
                p for p, name in enumerate(self.names) if selects(pin.label, name)
            ]
            if not places:
                faults.append(_unknown_label(pin.label, self.names))
            yield from ((place, pin) for place in places)

    def _marked(self, node: Node) -> set[str]:
        """The devices that a node, the model or anything in a called block is marked with."""
        own = _devices([node.marks])
        if node.callee is not None:
            own |= self._marked_below[node.callee]
        return own or _devices([self.main.marks])

    @cached_property
    def _marked_below(self) -> Mapping[str, set[str]]:
        """The devices that are named in each function, callees first."""
        found: dict[str, set[str]] = {}
        for key, function in self.program.functions.items():
            named = _devices([function.marks, *(n.marks for n in function.nodes)])
            for node in function.nodes:
                named |= found.get(node.callee or "", set())
            found[key] = named
        return found

    # ---- values --------------------------------------------------------------------------

    @cached_property
    def _readers(self) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place, node in enumerate(self.main.nodes):
            for value in dict.fromkeys(node.values()):
                found.setdefault(value, []).append(place)
        return found

    @cached_property
    def _back_place(self) -> Mapping[int, int]:
        """The operator of the backward pass of each node that has one."""
        first = len(self.sites)
        return {place: first + at for at, place in enumerate(self._returning)}

    def _forward_values(self) -> Iterator[Value]:
        """Each value goes to its readers, and again to their backward passes."""
        results = frozenset(values_of(self.main.outputs))
        for place, site in enumerate(self.sites):
            for value in site.node.outputs:
                readers = self._readers.get(value, [])
                again = [*readers, *([place] if value in results else [])]
                back = [self._back_place[r] for r in again if r in self._back_place]
                size = self._bytes(value)
                held = 0 if self._is_view(site) else size
                yield Value(place, (*readers, *back), size, held=held)

    def _gradients(self) -> Iterator[Value]:
        for place in self._returning:
            for value in self.sites[place].node.outputs:
                if value not in self.sites[place].inside.needed:
                    continue
                size = self._gradient_bytes(value)
                for reader in self._readers.get(value, []):
                    if reader in self._back_place:
                        yield Value(
                            self._back_place[reader],
                            (self._back_place[place],),
                            size,
                            held=size,
                        )

    def _is_view(self, site: Site) -> bool:
        if site.node.callee is not None or site.node.weight is not None:
            return False
        return not self._amount("bytes_written", site)

    def _bytes(self, value: int) -> int:
        kind = self.main.types[value]
        width = self.analysis.setting.policy.bytes(kind.dtype)
        return countable(int(kind.elements.at(self.sizes)) * width, "a value")

    def _gradient_bytes(self, value: int) -> int:
        elements = int(self.main.types[value].elements.at(self.sizes))
        width = self.analysis.setting.policy.gradients.bytes
        return countable(elements * width, "a gradient")


def operator_names(program: Program) -> tuple[str, ...]:
    """The operator of each node: its path, numbered where several have the same."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for node in program.main.nodes:
        name = dotted(node.path)
        if node.weight is not None:
            name = f"{name}.{node.weight}"
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(found)


def kernel_seconds(kind: DeviceKind, kernel: Kernel) -> float:
    """The time of a kernel on a kind of devices. Raises SpecError (E1004)."""
    more = (kernel.launches - 1) * kind.launch
    return kind.seconds(kernel.flops, kernel.bytes, kernel.element) + more


def _check_trainable(analysis: Analysis) -> None:
    policy = analysis.setting.policy
    if not policy.trains:
        raise SpecError(
            "E1014",
            f"{policy.name} has no gradients to train with",
            hint="choose mixed_bf16, or another objective",
        )


def _devices(marks: Iterable[Marks]) -> set[str]:
    return {each.device for each in marks if each.device is not None}


def _contradiction(name: str, one: Pin, other: Pin) -> Diagnostic:
    return Diagnostic(
        "E1009",
        f"`{name}` is pinned to {one.device} by {one.origin} (`{one.label}`) and to "
        f"{other.device} by {other.origin} (`{other.label}`)",
        hint="pin it to one device; a block is placed as a whole",
    )


def _unknown_label(label: str, names: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "E1015",
        f"no operator is named `{label}`",
        hint=did_you_mean(label, names)
        or f"some are: {', '.join(f'`{name}`' for name in names[:6])}",
    )
