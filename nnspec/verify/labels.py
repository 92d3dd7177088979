"""Which intermediate values both programs must show: the result of every layer and of every operator.

What is a call of a layer in both programs is seen from outside, in the programs as they were emitted.
Everything else, such as `a: relu` or `y = x + 1`, is seen by probes (`targets/probes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nnspec.ir.graph import Function, Node, Path, Program, dotted, values_of
from nnspec.ir.types import TensorType
from nnspec.ops.creation import Param
from nnspec.pycode.expressions import Call, Module
from nnspec.records import dataclass
from nnspec.targets.layout import FunctionLayout, Permutation, layouts
from nnspec.targets.lowering import lower_operator, only_moves_axes
from nnspec.targets.probes import Probed
from nnspec.targets.weights import keras_path, torch_path
from nnspec.verify.exchange import shown

TARGETS = ("torch", "keras")


@dataclass(frozen=True)
class Expected:
    """A value to compare: its path in the spec, what it is, and the types of its results.

    `keys` says for each target under which name it is recorded, `orders` how the axes of its results lie
    there. What nothing reads is `optional`, and what only names axes otherwise:
    programs leave it out.
    """

    path: str
    what: str
    keys: Mapping[str, str]
    results: tuple[TensorType, ...]
    orders: Mapping[str, tuple[Permutation, ...]]
    by_probe: bool = False
    optional: bool = False


def expected_values(
    program: Program, probed: Mapping[str, Probed]
) -> tuple[Expected, ...]:
    """All of them, in the order in which they are computed; `probed` is by target."""
    return tuple(_Values(program, probed).of(program.main, ()))


def recorded(
    expected: tuple[Expected, ...], target: str, *, by_probe: bool
) -> frozenset[str]:
    """The names under which a program's layers, or else its probes, record any of these values."""
    return frozenset(
        value.keys[target] for value in expected if value.by_probe is by_probe
    )


class _Values:
    def __init__(self, program: Program, probed: Mapping[str, Probed]) -> None:
        self._program = program
        self._plans = {t: layouts(program, moved=t == "keras") for t in TARGETS}
        self._layers: dict[tuple[str, int], bool] = {}
        self._probes = {target: _numbers(probed[target]) for target in TARGETS}
        self._read = {
            key: _read_values(function) for key, function in program.functions.items()
        }

    def of(
        self, function: Function, prefix: tuple[Path, ...], *, unread: bool = False
    ) -> Iterator[Expected]:
        """The values in a function's body, those inside other functions first; `unread` if nothing reads its results."""
        for node in function.nodes:
            paths = (*prefix, node.path)
            optional = unread or self._read[function.key].isdisjoint(node.outputs)
            if node.callee is not None:
                callee = self._program.functions[node.callee]
                yield from self.of(callee, paths, unread=optional)
                yield self._call(function, node, paths, optional)
            elif node.weight is not None or isinstance(node.op, Param):
                continue  # a weight, compared as such
            elif node.owns and self._is_layer(function, node):
                yield self._call(function, node, paths, optional)
            else:
                yield from self._shown(function, node, prefix, unread)

    def _call(
        self, function: Function, node: Node, paths: tuple[Path, ...], optional: bool
    ) -> Expected:
        return Expected(
            path=_dotted(paths),
            what=_what(node, self._program),
            keys={"torch": torch_path(paths), "keras": keras_path(paths)},
            results=function.results(node),
            orders=self._orders(function, node.outputs),
            optional=optional,
        )

    def _shown(
        self, function: Function, node: Node, prefix: tuple[Path, ...], unread: bool
    ) -> Iterator[Expected]:
        """The results of an operator, one by one."""
        paths = {"torch": torch_path(prefix), "keras": keras_path(prefix)}
        for place, value in enumerate(node.outputs):
            yield Expected(
                path=_dotted((*prefix, node.path)),
                what=_what(node, self._program),
                keys={
                    target: self._key(target, paths[target], function, node, place)
                    for target in TARGETS
                },
                results=(function.types[value],),
                orders=self._orders(function, (value,)),
                by_probe=True,
                optional=unread
                or value not in self._read[function.key]
                or self._only_moves_axes(function, node),
            )

    def _key(
        self, target: str, path: str, function: Function, node: Node, place: int
    ) -> str:
        """The name under which a result is recorded; empty where the program does not show it."""
        probes = self._probes[target].get((function.key, node.id), {})
        if place in probes:
            return shown(path, probes[place], 0)
        return shown(path, probes[None], place) if None in probes else ""

    def _orders(
        self, function: Function, values: tuple[int, ...]
    ) -> dict[str, tuple[Permutation, ...]]:
        return {
            target: tuple(plans[function.key].values[value] for value in values)
            for target, plans in self._plans.items()
        }

    def _only_moves_axes(self, function: Function, node: Node) -> bool:
        """Whether a target may compute nothing for the node: its axes lie there already, or are moved with others.

        The result then holds what was compared before, and its readers are compared too.
        """
        return any(
            all(map(only_moves_axes, lowered.results))
            for lowered in (
                lower_operator(
                    function, node, function.node_types(node), plans[function.key], t
                )
                for t, plans in self._plans.items()
            )
        )

    def _is_layer(self, function: Function, node: Node) -> bool:
        """Whether in both targets the node is nothing but a call of its own submodule."""
        key = (function.key, node.id)
        if key not in self._layers:
            self._layers[key] = all(
                _is_call(function, node, plans[function.key], target)
                for target, plans in self._plans.items()
            )
        return self._layers[key]


def _numbers(probed: Probed) -> dict[tuple[str, int], dict[int | None, int]]:
    """The probes of each node, by the place of the result that they show."""
    found: dict[tuple[str, int], dict[int | None, int]] = {}
    for number, entry in enumerate(probed.shown):
        for node in entry.nodes:
            found.setdefault(node, {})[entry.place] = number
    return found


def _read_values(function: Function) -> set[int]:
    """The values that a function's results depend on."""
    found = set(values_of(function.outputs))
    for node in reversed(function.nodes):
        if not found.isdisjoint(node.outputs):
            found |= set(node.values())
    return found


def _is_call(
    function: Function, node: Node, layout: FunctionLayout, target: str
) -> bool:
    lowered = lower_operator(function, node, function.node_types(node), layout, target)
    if len(lowered.results) != 1 or lowered.outputs != 1:
        return False
    result = lowered.results[0]
    return isinstance(result, Call) and result.function == Module("")


def _what(node: Node, program: Program) -> str:
    if node.callee is not None:
        return program.functions[node.callee].name
    assert node.op is not None
    return node.op.op_name()


def _dotted(paths: tuple[Path, ...]) -> str:
    return dotted(tuple(part for path in paths for part in path))
