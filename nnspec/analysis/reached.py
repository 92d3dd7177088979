"""Which weights have gradients: those on which the loss depends by some use of their instance.

A trained weight of which nothing comes to any output has none. PyTorch leaves its `grad` None, and an optimizer
passes it over: it is not changed and has no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from nnspec.ir.graph import Node, Path, dotted

if TYPE_CHECKING:
    from nnspec.analysis.uses import Inside, Site, Use, Uses

Weights: TypeAlias = frozenset[tuple[Path, str]]
"""Weights inside of a function: the path of the instance that each belongs to, and its name; "" stands for all."""

ALL = ""


class Reached:
    """The weights of a function in one use of it."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def has_gradient(self, node: Node, name: str) -> bool:
        """Whether a weight of an operator has a gradient, by whatever use of its instance."""
        known = (self._own, self._inside.use.elsewhere)
        return any((node.path, each) in w for each in (ALL, name) for w in known)

    def elsewhere(self, node: Node) -> Weights:
        """The weights of a block that have gradients by other uses than this first call alone, as it knows them."""
        if node.id not in self._shared:
            return frozenset()
        others = set(self._below.get(node.path, ()))
        for other in self._calls.get(node.path, ()):
            if other is not node:
                others.update(self._in_call(other))
        depth = len(node.path)
        within = {(path[depth:], name) for path, name in others}
        return frozenset(within - self._behind(node).weights.all)

    @cached_property
    def all(self) -> Weights:
        """Those that have gradients by this use, the weights of called blocks among them."""
        calls = (node for nodes in self._calls.values() for node in nodes)
        called = (each for node in calls for each in self._in_call(node))
        return self._own.union(called)

    @cached_property
    def _own(self) -> Weights:
        """The same of operators, and of blocks whose weights are read here."""
        return frozenset(
            (node.path, node.weight or ALL)
            for node in self._inside.function.nodes
            if node.callee is None
            and (node.owns or node.weight is not None)
            and self._is_reached(node)
        )

    def _is_reached(self, node: Node) -> bool:
        return not self._inside.reached.isdisjoint(node.outputs)

    @cached_property
    def _below(self) -> Mapping[Path, Sequence[tuple[Path, str]]]:
        """Those of operators, and of other uses, by the beginnings of their paths."""
        found: dict[Path, list[tuple[Path, str]]] = {}
        for path, name in self._own | self._inside.use.elsewhere:
            for above in _above(path):
                found.setdefault(above, []).append((path, name))
        return found

    @cached_property
    def _calls(self) -> Mapping[Path, Sequence[Node]]:
        """The calls through which the backward pass comes, by the paths of their instances."""
        found: dict[Path, list[Node]] = {}
        for node in self._inside.function.nodes:
            if node.callee is not None and self._is_reached(node):
                found.setdefault(node.path, []).append(node)
        return found

    def _in_call(self, node: Node) -> Iterator[tuple[Path, str]]:
        for path, name in self._behind(node).weights.all:
            yield (*node.path, *path), name

    def _behind(self, node: Node) -> Inside:
        """The called function."""
        return self._inside.uses.inside(self._inside.called(node))

    @cached_property
    def _shared(self) -> frozenset[int]:
        """The first calls of blocks that are called again, or of which a weight is read outside of them."""
        first: dict[Path, int] = {}
        found: set[int] = set()
        read = {path for path, _ in self._inside.use.elsewhere}
        for node in self._inside.function.nodes:
            if node.weight is not None:
                read.add(node.path)
            elif node.callee is None or not node.owns:
                continue
            elif first.setdefault(node.path, node.id) != node.id:
                found.add(first[node.path])
        for path in read:
            found |= {first[p] for p in _above(path) if p in first}
        return frozenset(found)


def _above(path: Path) -> Iterator[Path]:
    return (path[:length] for length in range(1, len(path) + 1))


class WithoutGradient:
    """The trained weights of a program that have no gradient: of layers, the whole layer if it has none at all."""

    def __init__(self, uses: Uses) -> None:
        self._uses = uses
        self._found: dict[Use, tuple[Path, ...]] = {}

    def paths(self) -> list[str]:
        """Layers and weights by their paths, in the order in which they run."""
        return [dotted(path) for path in self._of_use(self._uses.main)]

    def _of_use(self, use: Use) -> tuple[Path, ...]:
        if use not in self._found:
            sites = self._uses.inside(use).sites
            self._found[use] = tuple(
                (*site.node.path, *path)
                for site in sites
                if site.is_first and not site.is_frozen
                for path in self._of_site(site)
            )
        return self._found[use]

    def _of_site(self, site: Site) -> Iterable[Path]:
        if site.node.callee is not None:
            return self._of_use(site.use)
        trained = [name for name, each in site.weights.items() if each.trainable]
        missing = [(name,) for name in trained if not site.has_gradient(name)]
        whole = bool(missing) and len(missing) == len(trained)
        return [()] if whole else missing
