"""What a program costs: parameters and FLOPs, exactly, as formulas in its symbols.

Conventions: FLOPs of a forward pass in evaluation mode are 2 x multiply-accumulates of convolutions and
matrix products, attention in full; a shared weight counts once. Each function is counted once, however
often it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnspec.ir.dims import ZERO, Dim, Size, product
from nnspec.ir.graph import Function, Node, Path, Program


@dataclass(frozen=True)
class Figures:
    """Parameters (all, and those that are trained), state that is no parameter, and FLOPs."""

    parameters: Dim = ZERO
    trainable: Dim = ZERO
    state: Dim = ZERO
    flops: Dim = ZERO

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.parameters + other.parameters,
            self.trainable + other.trainable,
            self.state + other.state,
            self.flops + other.flops,
        )

    def at(self, symbols: Mapping[str, Size]) -> Figures:
        """The figures with symbols replaced by sizes."""
        return Figures(
            self.parameters.at(symbols),
            self.trainable.at(symbols),
            self.state.at(symbols),
            self.flops.at(symbols),
        )


@dataclass(frozen=True)
class Cost:
    """The figures of a whole model. A value that depends on a symbol is a `Dim`, else an int."""

    name: str
    parameters: int | Dim
    trainable: int | Dim
    flops: int | Dim
    macs: int | Dim


class Costs:
    """The figures of a program's functions and nodes, each computed once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._flops: dict[str, Dim] = {}
        self._weights: dict[tuple[str, bool], Figures] = {}

    def total(self) -> Figures:
        """The whole program."""
        return self.function(self.program.main, self.program.main.marks.frozen)

    def function(self, function: Function, frozen: bool = False) -> Figures:
        """A function with all that it calls."""
        weights = self.weights(function, frozen)
        return Figures(
            weights.parameters, weights.trainable, weights.state, self.flops(function)
        )

    def flops(self, function: Function) -> Dim:
        """The FLOPs of one call of a function."""
        if function.key not in self._flops:
            counts: dict[Dim, int] = {}
            for node in function.nodes:
                flops = self.node_flops(function, node)
                counts[flops] = counts.get(flops, 0) + 1
            total = ZERO
            for flops, count in counts.items():
                total = total + flops * count
            self._flops[function.key] = total.value
        return self._flops[function.key]

    def node_flops(self, function: Function, node: Node) -> Dim:
        """The FLOPs of one node."""
        if node.callee is not None:
            return self.flops(self.program.functions[node.callee])
        if node.op is None or node.weight is not None:
            return ZERO
        return node.op.flops(*function.node_types(node)).value

    def weights(self, function: Function, frozen: bool) -> Figures:
        """The weights of a function, each instance once."""
        key = (function.key, frozen)
        if key not in self._weights:
            seen: set[Path] = set()
            total = Figures()
            for node in function.nodes:
                if node.owns and node.path not in seen:
                    seen.add(node.path)
                    total = total + self.node_weights(function, node, frozen)
            self._weights[key] = total
        return self._weights[key]

    def node_weights(self, function: Function, node: Node, frozen: bool) -> Figures:
        """The weights of one instance."""
        fixed = frozen or node.marks.frozen
        if node.callee is not None:
            callee = self.program.functions[node.callee]
            return self.weights(callee, fixed or callee.marks.frozen)
        parameters, state = ZERO, ZERO
        for weight in function.node_weights(node).values():
            if weight.trainable:
                parameters = parameters + product(weight.shape)
            else:
                state = state + product(weight.shape)
        return Figures(parameters, ZERO if fixed else parameters, state)


def cost(program: Program, symbols: Mapping[str, Size] | None = None) -> Cost:
    """Parameters, FLOPs and MACs of a program, with what is known of its symbols put in."""
    figures = Costs(program).total().at(symbols or {})
    return Cost(
        program.name,
        _plain(figures.parameters),
        _plain(figures.trainable),
        _plain(figures.flops),
        _plain(figures.flops // 2),
    )


def _plain(value: Dim) -> int | Dim:
    return int(value) if value.is_constant else value
