"""How an outline is made: the cards of a function, with followers put into them and loops folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from nnspec.ir.dims import Size
from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Loop,
    Node,
    Path,
    Port,
    Program,
    dotted,
    spread,
    values_of,
)
from nnspec.ir.types import TensorType
from nnspec.picture.cards import (
    Family,
    Row,
    family_of,
    follows,
    row_of,
    sign_of,
)
from nnspec.picture.outline import Card, Level, Outlet, Outline, Wire
from nnspec.picture.turns import Folding, Part, Repeat, fold
from nnspec.records import dataclass


def outline(program: Program, symbols: Mapping[str, Size] | None = None) -> Outline:
    """What of a program is drawn, with what is known of its symbols put in.

    Takes time in proportion to the nodes of its distinct functions.
    """
    found = Outline(program, program.entry, {})
    for function in _reachable(program):
        _Levels(found, function, symbols or {}).build()
    return found


def _reachable(program: Program) -> Iterator[Function]:
    seen: set[str] = {program.entry}
    waiting = [program.main]
    while waiting:
        function = waiting.pop()
        yield function
        for callee in program.callees(function):
            if callee.key not in seen:
                seen.add(callee.key)
                waiting.append(callee)


# ---- one function -----------------------------------------------------------------------------------


@dataclass
class _Draft:
    """A card while what belongs to it is being found."""

    family: Family
    rows: list[Row]
    label: str = ""
    count: int = 1
    inside: str | None = None
    path: Path = ()
    nodes: list[int] = field(default_factory=list[int])
    sign: str = ""
    reads: list[int] = field(default_factory=list[int])
    gives: list[int] = field(default_factory=list[int])
    grows: bool = False


class _Levels:
    """The levels of one function: its own, and those of its loops."""

    def __init__(
        self, outline: Outline, function: Function, symbols: Mapping[str, Size]
    ) -> None:
        self.outline = outline
        self.symbols = symbols
        self.program = outline.program
        self.function = function
        self.folding: Folding = fold(function)
        self.readers = self._readers()
        self.names = dict(_names(function))
        self.uses = Counter(node.path for node in function.nodes if node.owns)

    def build(self) -> None:
        function = self.function
        inside = self._drafts(self.folding.parts)
        drafts = [
            *(self._port(port) for port in function.inputs if _given(port)),
            *inside,
        ]
        ends = [self._end(port) for port in function.outputs if port.values is not None]
        self._add(function.key, [*drafts, *ends])

    def _readers(self) -> dict[int, set[int]]:
        """By each drawn value the nodes that read it, by their places; -1 for an output."""
        found: dict[int, set[int]] = {}
        for place, node in enumerate(self.function.nodes):
            for value in node.values():
                found.setdefault(self.folding.value(value), set()).add(place)
        for value in values_of(self.function.outputs):
            found.setdefault(self.folding.value(value), set()).add(-1)
        return found

    def _shared(self, draft: _Draft) -> int:
        """How many uses there are of a layer of a card, if they share its weights."""
        if draft.family is Family.LOOP:
            return 0
        nodes = (self.function.nodes[place] for place in draft.nodes)
        uses = [
            self.uses[node.path]
            for node in nodes
            if node.owns
            and self.uses[node.path] > 1
            and self.program.has_weights(self.function, node)
        ]
        return max(uses, default=0)

    # ---- cards --------------------------------------------------------------------------------

    def _drafts(self, parts: Sequence[Part]) -> list[_Draft]:
        """The cards of some parts, with what only follows a card put into it."""
        drafts: list[_Draft] = []
        tails: dict[int, _Draft] = {}
        for part in parts:
            if isinstance(part, Repeat):
                drafts.append(self._repeat(part))
                continue
            node = self.function.nodes[part]
            host = self._host(part, node, tails)
            if host is None:
                host = self._draft(part, node)
                drafts.append(host)
            else:
                self._extend(host, part, node)
            tails.update((value, host) for value in node.outputs if host.grows)
        return drafts

    def _host(self, place: int, node: Node, tails: dict[int, _Draft]) -> _Draft | None:
        """The card that a node only continues, if there is one."""
        read = {self.folding.value(value) for value in node.values()}
        if len(read) != 1 or node.op is None or not follows(self.function, node):
            return None
        (value,) = read
        host = tails.get(value)
        alone = self.readers[value] <= set(self.folding.nodes[place])
        return host if host is not None and host.gives == [value] and alone else None

    def _extend(self, host: _Draft, place: int, node: Node) -> None:
        assert node.op is not None
        host.rows.append(row_of(node.op, self.symbols, lead=False))
        host.nodes += self.folding.nodes[place]
        host.gives = list(node.outputs)
        host.sign = ""

    def _draft(self, place: int, node: Node) -> _Draft:
        if node.callee is not None:
            found = self._block(node, self.program.functions[node.callee])
        elif node.weight is not None:
            name = f"{dotted(node.path)}.{node.weight}"
            found = _Draft(Family.WEIGHT, [Row(name)], grows=True)
        else:
            found = self._operation(node)
        found.nodes = list(self.folding.nodes[place])
        found.reads = self._read(node)
        found.gives = list(node.outputs)
        return found

    def _block(self, node: Node, callee: Function) -> _Draft:
        label = dotted(node.path)
        rows = [Row(callee.name)]
        return _Draft(Family.BLOCK, rows, label, inside=callee.key, path=node.path)

    def _operation(self, node: Node) -> _Draft:
        assert node.op is not None
        return _Draft(
            family_of(self.function, node),
            [row_of(node.op, self.symbols, lead=True)],
            label=dotted(node.path) if node.owns else "",
            path=node.path if node.owns else (),
            sign=sign_of(node, len(self._read(node))),
            grows=True,
        )

    def _read(self, node: Node) -> list[int]:
        """The values that a node reads, each once."""
        return list(dict.fromkeys(self.folding.value(each) for each in node.values()))

    def _repeat(self, repeat: Repeat) -> _Draft:
        """A loop: its one card with a count, or a frame around several."""
        inside = self._drafts(repeat.parts)
        if len(inside) == 1:
            only = inside[0]
            only.count *= repeat.count
            only.label = self._range(only)
            only.grows = False
            return only
        for draft in inside:
            draft.label = self._range(draft)
        made = {value for draft in inside for value in draft.gives}
        reads = dict.fromkeys(
            value for draft in inside for value in draft.reads if value not in made
        )
        inner = {node for turn in repeat.turns for node in turn}
        carried = sorted(value for value in made if self._leaves(value, inner))
        entries = [self._entry(value) for value in reads]
        exits = [_Draft(Family.OUTPUT, [Row("")], reads=[value]) for value in carried]
        key = f"{self.function.key}/loop {repeat.number}"
        self._add(key, [*entries, *inside, *exits])
        return _Draft(
            Family.LOOP,
            [Row(f"{repeat.count} turns")],
            count=repeat.count,
            inside=key,
            path=(f"loop{repeat.number}",),
            nodes=[node for draft in inside for node in draft.nodes],
            reads=list(reads),
            gives=carried,
        )

    def _range(self, draft: _Draft) -> str:
        """The label of turns that are alike: `blocks.0-11`."""
        if not draft.label:
            return ""
        paths = [self.function.nodes[node].path for node in draft.nodes]
        first = paths[0]
        last = next(path for path in reversed(paths) if _same_but_turns(path, first))
        return ".".join(
            str(a) if a == b else f"{a}-{b}" for a, b in zip(first, last, strict=True)
        )

    def _leaves(self, value: int, inner: set[int]) -> bool:
        """Whether something outside of a loop's nodes reads a value."""
        return not self.readers.get(value, set()) <= inner

    def _entry(self, value: int) -> _Draft:
        return _Draft(Family.INPUT, [Row(self.names.get(value, ""))], gives=[value])

    def _port(self, port: Port) -> _Draft:
        return _Draft(Family.INPUT, [Row(port.name)], gives=list(spread(port.values)))

    def _end(self, port: Port) -> _Draft:
        values = [self.folding.value(value) for value in spread(port.values)]
        name = "" if port.name.startswith("result_") else port.name
        return _Draft(Family.OUTPUT, [Row(name)], reads=list(dict.fromkeys(values)))

    # ---- levels -------------------------------------------------------------------------------

    def _add(self, key: str, drafts: Sequence[_Draft]) -> None:
        outlets, wires = self._wires(drafts)
        cards = tuple(
            Card(
                draft.family,
                tuple(draft.rows),
                draft.label,
                draft.count,
                draft.inside,
                draft.path,
                tuple(draft.nodes),
                draft.sign,
                tuple(outlets[place]),
                self._shared(draft),
            )
            for place, draft in enumerate(drafts)
        )
        level = Level(key, self.function.key, cards, tuple(wires))
        self.outline.levels[key] = level

    def _wires(
        self, drafts: Sequence[_Draft]
    ) -> tuple[dict[int, list[Outlet]], list[Wire]]:
        """Values of one type that the same cards read share an outlet."""
        readers: dict[int, list[int]] = {}
        for place, draft in enumerate(drafts):
            for value in draft.reads:
                readers.setdefault(value, []).append(place)
        outlets: dict[int, list[Outlet]] = {}
        wires: list[Wire] = []
        for place, draft in enumerate(drafts):
            groups: dict[tuple[TensorType, tuple[int, ...]], list[int]] = {}
            for value in draft.gives:
                targets = tuple(t for t in readers.get(value, ()) if t != place)
                if targets:
                    kind = self._type(value)
                    groups.setdefault((kind, targets), []).append(value)
            outlets[place] = [Outlet(tuple(v), kind) for (kind, _), v in groups.items()]
            for number, (_, targets) in enumerate(groups):
                wires += [Wire(place, number, target) for target in targets]
        return outlets, wires

    def _type(self, value: int) -> TensorType:
        kind = self.function.types[value]
        shape = tuple(size.value.at(self.symbols) for size in kind.shape)
        return TensorType(shape, kind.dtype)


def _same_but_turns(one: Path, other: Path) -> bool:
    """Whether two paths are those of turns of the same loops."""
    return len(one) == len(other) and all(
        a == b or (isinstance(a, int) and isinstance(b, int))
        for a, b in zip(one, other, strict=True)
    )


def _given(port: Port) -> bool:
    return port.values is not None


def _names(function: Function) -> Iterator[tuple[int, str]]:
    """What the spec calls values: by later names, those of inputs last."""
    waiting: list[Item] = list(function.structure)
    while waiting:
        match waiting.pop():
            case Binding(name=name, value=value):
                yield value, name
            case Branch(body=body):
                waiting += body
            case Loop(iterations=iterations):
                waiting += iterations[0].body if iterations else ()
            case _:
                pass
    for port in function.inputs:
        yield from ((value, port.name) for value in spread(port.values))
