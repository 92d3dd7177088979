"""How each function of a program is used: what is trained in it, and which values need gradients.

A function is looked at once for each way in which it is used (`Use`), however often it is called like
that. `Site` is a node in such a use: everything that a rule of costs may ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from nnspec.analysis.reached import Reached, Weights
from nnspec.ir.graph import (
    Function,
    Node,
    Path,
    Program,
    dotted,
    spread,
    values_of,
)
from nnspec.ir.types import TensorType
from nnspec.ops.base import Weight
from nnspec.records import dataclass

Place: TypeAlias = tuple[int, ...]
"""A node of the whole program: the numbers of the calls that lead to it, and its own. Of the model itself: ()."""

if TYPE_CHECKING:
    from nnspec.analysis.recomputation import Extent, Recomputation
    from nnspec.analysis.setting import Setting


@dataclass(frozen=True)
class Use:
    """A function, whether its weights are frozen, which inputs need gradients, which results reach the loss.

    `needs` follows the values of the inputs and `reached` those of the outputs, lists spread out. `again`
    says how often the backward pass computes it again to its end, and `ends` whether it does so once more
    and stops where all is there that was kept (see `recomputation`). `elsewhere` are the weights inside that have
    gradients by other uses of the same instance alone (see `reached`).
    """

    key: str
    frozen: bool
    needs: tuple[bool, ...]
    reached: tuple[bool, ...]
    again: int = 0
    ends: bool = False
    elsewhere: Weights = frozenset()

    @property
    def once(self) -> Use:
        """The same, computed once."""
        return replace(self, again=0, ends=False, elsewhere=frozenset())

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Every call of every loop's turn looks its use up.
        return hash((self.key, self.needs, self.reached, self.again, self.ends))


class Inside:
    """The values of a function in one use."""

    def __init__(self, program: Program, uses: Uses, use: Use) -> None:
        self.program = program
        self.use = use
        self.function = program.functions[use.key]
        self.uses = uses
        self.left_out = program.left_out.get(use.key, frozenset[int]())
        self.needed = self._needed()
        self.reached = self._reached()

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """The nodes, in the order in which they run."""
        seen: set[Path] = set()
        found: list[Site] = []
        for node in self.function.nodes:
            found.append(Site(self, node, node.owns and node.path not in seen))
            if node.owns:
                seen.add(node.path)
        return tuple(found)

    @cached_property
    def weights(self) -> Reached:
        """Which weights have gradients."""
        return Reached(self)

    @cached_property
    def counted(self) -> tuple[tuple[Site, int], ...]:
        """The nodes, and how often each stands here: of calls that come to the same, only the first."""
        counts: dict[object, int] = {}
        firsts: dict[object, Site] = {}
        for site in self.sites:
            called = site.node.callee is not None
            key = (site.use, site.is_first, site.is_left_out) if called else site
            firsts.setdefault(key, site)
            counts[key] = counts.get(key, 0) + 1
        return tuple((site, counts[key]) for key, site in firsts.items())

    @cached_property
    def names(self) -> Mapping[int, str]:
        """Where each value comes from: an input's name, or the path of the node that gives it."""
        found = {
            value: port.name
            for port in self.function.inputs
            for value in spread(port.values)
        }
        for node in self.function.nodes:
            found.update((value, dotted(node.path)) for value in node.outputs)
        return found

    @property
    def needs(self) -> tuple[bool, ...]:
        """Which results need gradients."""
        return tuple(value in self.needed for value in values_of(self.function.outputs))

    def is_frozen(self, node: Node) -> bool:
        """Whether the weights of a node are not trained."""
        return self.use.frozen or self.program.is_frozen(node)

    def callee(self, node: Node) -> Use:
        """The use of the function that a node calls."""
        found = self.called(node)
        elsewhere = self.weights.elsewhere(node)
        if elsewhere:
            found = replace(found, elsewhere=elsewhere)
        return self.uses.known(found)

    def called(self, node: Node) -> Use:
        """The same, without what is known of the weights by other uses of the instance."""
        assert node.callee is not None
        needs = tuple(value in self.needed for value in node.values())
        reached = tuple(value in self.reached for value in node.outputs)
        found = Use(node.callee, self.is_frozen(node), needs, reached)
        again, ends = self.again(node), self.ends_in(node)
        if self.program.recomputes(node):
            ends = self.uses.extent(found).is_needed
        if again or ends:
            found = replace(found, again=again, ends=ends)
        return self.uses.known(found)

    def again(self, node: Node) -> int:
        """How often the backward pass computes a node again to its end."""
        if not self.use.ends:
            return self.use.again
        return self.use.again + (node.id in self.uses.extent(self.use).whole)

    def ends_in(self, node: Node) -> bool:
        """Whether computing the function again stops within a node."""
        return self.use.ends and self.uses.extent(self.use).part == node.id

    def stops_at(self, node: Node) -> bool:
        """Whether computing the function again stops at an operator of which some kernels may run."""
        return self.use.ends and self.uses.extent(self.use).within == node.id

    def _needed(self) -> frozenset[int]:
        """The values that need a gradient: what depends on a trained weight or on such an input."""
        inputs = values_of(self.function.inputs)
        found = {v for v, needs in zip(inputs, self.use.needs, strict=True) if needs}
        frozen = self.program.frozen_paths(self.function)
        for node in self.function.nodes:
            found.update(self._needed_results(node, found, frozen))
        return frozenset(found)

    def _needed_results(
        self, node: Node, found: set[int], frozen: frozenset[Path]
    ) -> Iterator[int]:
        floats = [v for v in node.outputs if self.function.types[v].dtype.is_float]
        if node.weight is not None:
            if node.path not in frozen and not self.use.frozen:
                yield from floats
        elif node.callee is not None:
            needs = tuple(value in found for value in node.values())
            every = (True,) * len(node.outputs)
            use = Use(node.callee, self.is_frozen(node), needs, every)
            results = self.uses.inside(self.uses.known(use)).needs
            yield from (v for v, n in zip(node.outputs, results, strict=True) if n)
        elif self._trains(node) or self._passes(node, found):
            yield from floats

    def _passes(self, node: Node, found: set[int]) -> bool:
        """Whether an operator has results that change with a value that needs a gradient."""
        assert node.op is not None
        return node.op.reads_values and not found.isdisjoint(node.values())

    def _trains(self, node: Node) -> bool:
        weights = self.function.node_weights(node).values()
        return not self.is_frozen(node) and any(each.trainable for each in weights)

    def _reached(self) -> frozenset[int]:
        """The values through which the loss depends on what needs a gradient."""
        outputs = values_of(self.function.outputs)
        reached = zip(outputs, self.use.reached, strict=True)
        found = {value for value, is_reached in reached if is_reached}
        found &= self.needed
        for node in reversed(self.function.nodes):
            if not found.isdisjoint(node.outputs):
                found.update(value for value in node.values() if value in self.needed)
        return frozenset(found)


@dataclass(frozen=True, eq=False)
class Site:
    """A node in one use of its function. `is_first`: its instance is met here for the first time."""

    inside: Inside
    node: Node
    is_first: bool

    @property
    def function(self) -> Function:
        return self.inside.function

    @cached_property
    def types(self) -> tuple[Any, ...]:
        """The types of the inputs: tuples for lists, None where missing."""
        return self.function.node_types(self.node)

    @cached_property
    def results(self) -> tuple[TensorType, ...]:
        """The types of the results."""
        return self.function.results(self.node)

    @cached_property
    def weights(self) -> Mapping[str, Weight]:
        """The weights of the operator, whether met here first or not."""
        return self.function.node_weights(self.node)

    @property
    def is_frozen(self) -> bool:
        """Whether its weights are not trained."""
        return self.inside.is_frozen(self.node)

    def has_gradient(self, name: str) -> bool:
        """Whether a weight has a gradient, by this use of the instance or another one; frozen ones have none."""
        return self.needs(name) and self.inside.weights.has_gradient(self.node, name)

    @property
    def is_left_out(self) -> bool:
        """Whether programs do not compute it, since nothing reads what it gives."""
        return self.node.id in self.inside.left_out

    @property
    def is_reached(self) -> bool:
        """Whether the backward pass comes through here."""
        return not self.inside.reached.isdisjoint(self.node.outputs)

    @property
    def again(self) -> int:
        """How often the backward pass computes it again to its end."""
        return self.inside.again(self.node)

    @property
    def ends(self) -> bool:
        """Whether it is begun again once more, and not ended."""
        return self.inside.ends_in(self.node)

    @cached_property
    def use(self) -> Use:
        """The use of the function that it calls."""
        return self.inside.callee(self.node)

    def needs(self, name: str) -> bool:
        """Whether an input (`x`, or `xs.1` of a list) or a weight needs a gradient, by its name."""
        if name in self.weights:
            return self.weights[name].trainable and not self.is_frozen
        value = self._value(name)
        return value is not None and value in self.inside.needed

    def _value(self, name: str) -> int | None:
        assert self.node.op is not None
        port, _, place = name.partition(".")
        names = type(self.node.op).inputs
        if port not in names or names.index(port) >= len(self.node.inputs):
            return None
        argument = self.node.inputs[names.index(port)]
        if isinstance(argument, tuple):
            return argument[int(place)]
        return argument


class Uses:
    """All uses of the functions of a program under a setting, each worked out once."""

    def __init__(self, program: Program, setting: Setting | None = None) -> None:
        self.program = program
        self._setting = setting
        self._inside: dict[Use, Inside] = {}
        self._known: dict[Use, Use] = {}

    def known(self, use: Use) -> Use:
        """One object for equal uses: tables then find it without comparing."""
        return self._known.setdefault(use, use)

    @property
    def main(self) -> Use:
        """The program itself: no input needs a gradient, and every result enters the loss."""
        main = self.program.main
        inputs, outputs = values_of(main.inputs), values_of(main.outputs)
        floats = tuple(main.types[value].dtype.is_float for value in outputs)
        return Use(main.key, main.marks.frozen, (False,) * len(inputs), floats)

    def inside(self, use: Use) -> Inside:
        """What a use is made of."""
        if use not in self._inside:
            self._inside[use] = Inside(self.program, self, use)
        return self._inside[use]

    def reachable(self) -> Iterator[Inside]:
        """The program and all that it calls, each use once."""
        waiting, seen = [self.main], {self.main}
        while waiting:
            inside = self.inside(waiting.pop())
            yield inside
            called = [
                site for site, _ in inside.counted if site.node.callee is not None
            ]
            new = dict.fromkeys(site.use for site in called if site.use not in seen)
            seen.update(new)
            waiting.extend(new)

    def extent(self, use: Use) -> Extent:
        """How far a function is computed again."""
        return self._recomputation.extent(use.once)

    @cached_property
    def _recomputation(self) -> Recomputation:
        from nnspec.analysis.recomputation import Recomputation

        return Recomputation(self, self._setting)
