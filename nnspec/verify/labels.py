"""Which intermediate values both programs must show: every layer that is one in both, call by call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nnspec.ir.graph import Function, Node, Path, Program, dotted
from nnspec.ir.types import TensorType
from nnspec.pycode.expressions import Call, Module
from nnspec.targets.layout import FunctionLayout, layouts
from nnspec.targets.lowering import lower_operator
from nnspec.targets.weights import keras_path, torch_path


@dataclass(frozen=True)
class Expected:
    """One call of a layer: its paths, what it is, and the types of its results."""

    path: str
    torch: str
    keras: str
    what: str
    results: tuple[TensorType, ...]


def expected_calls(program: Program) -> tuple[Expected, ...]:
    """The calls of layers in the order in which they end."""
    return tuple(_Calls(program).of(program.main, ()))


class _Calls:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._plans = {
            t: layouts(program, moved=t == "keras") for t in ("torch", "keras")
        }
        self._known: dict[tuple[str, int], bool] = {}

    def of(self, function: Function, prefix: tuple[Path, ...]) -> Iterator[Expected]:
        """The calls in a function's body, those inside other functions first."""
        for node in function.nodes:
            if not node.owns:
                continue
            paths = (*prefix, node.path)
            if node.callee is not None:
                yield from self.of(self._program.functions[node.callee], paths)
            elif not self._is_layer(function, node):
                continue
            yield Expected(
                path=dotted(tuple(part for path in paths for part in path)),
                torch=torch_path(paths),
                keras=keras_path(paths),
                what=_what(node, self._program),
                results=function.results(node),
            )

    def _is_layer(self, function: Function, node: Node) -> bool:
        """Whether in both targets the node is nothing but a call of its own submodule."""
        key = (function.key, node.id)
        if key not in self._known:
            self._known[key] = all(
                _is_call(function, node, plans[function.key], target)
                for target, plans in self._plans.items()
            )
        return self._known[key]


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
