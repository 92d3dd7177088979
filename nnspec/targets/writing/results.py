"""What the result of a step is written as: its operator's expression with inputs, layers and sizes put in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.inlining import (
    MOST_NESTED_CALLS,
    WIDEST,
    nested_calls,
    times_read,
)
from nnspec.records import dataclass
from nnspec.targets.contents import keyed_in, loops_of, steps_of
from nnspec.targets.lowering import Anchor, RunTimeSize, moved_once, transposed
from nnspec.targets.names import safe_local, safe_name, size_name
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.scope import spelled
from nnspec.targets.writing.turns import element, turn_numbers
from nnspec.targets.writing.variables import Variables, expression_width


@dataclass(eq=False)
class Results(Variables):
    """The expressions of a forward pass."""

    def _inputs(self, step: merged.Step) -> list[Expr]:
        """The expressions that a step reads; long ones are given a variable first."""
        listed = {i for start, end, _ in step.listed for i in range(start, end)}
        for place, reference in enumerate(step.inputs):
            if place in listed:
                continue
            pending = self._pending.get(reference)
            if pending is None:
                continue
            if times_read(step.results, place) > 1 or self._too_long(step, pending):
                self._settle(reference)
        found: list[Expr] = []
        for place, reference in enumerate(step.inputs):
            if place in listed:
                found.append(Literal(None))
                continue
            want = step.wanted[place] if place < len(step.wanted) else None
            value = self._read(reference)
            found.append(
                value if want is None else transposed(value, reference.order, want)
            )
        return found

    def _too_long(self, step: merged.Step, pending: Expr) -> bool:
        adds = any(
            isinstance(part, tree.Call)
            for result in step.results
            for part in tree.walk(result)
        )
        if adds and nested_calls(pending) >= MOST_NESTED_CALLS:
            return True
        widest = max((expression_width(result) for result in step.results), default=0)
        return expression_width(pending) + widest > WIDEST

    def _results(self, step: merged.Step, inputs: list[Expr]) -> list[Expr]:
        """A step's results, each of which tells what it is."""
        found = [self._filled(step, result, inputs) for result in step.results]
        whole = len(found) != len(step.outputs)
        return [
            result.coming_from(merged.Origin(step, None if whole else place))
            for place, result in enumerate(found)
        ]

    def _filled(self, step: merged.Step, result: Expr, inputs: list[Expr]) -> Expr:
        """A step's result with its inputs, submodules and sizes put in."""

        def change(part: Expr) -> Expr | None:
            match part:
                case tree.Input(index=index):
                    return inputs[index]
                case tree.Module(suffix=suffix):
                    return self._module(step, suffix)
                case Anchor():
                    return self._anchor(part)
                case RunTimeSize():
                    return self._run_time_size(part, change)
                case tree.Shape():
                    tensor = tree.transform(part.input, change)
                    return self.dialect.shape(tensor)[part.axis]
                case tree.Size() | tree.Constant() | tree.Helper():
                    return self._spelled(part)
                case tree.Display(items=items) if _is_listed(step, items):
                    return self._listed_name(step, items)
                case _:
                    return None

        return tree.transform(tree.transform(result, change), moved_once)

    def _listed_name(self, step: merged.Step, items: tuple[Expr, ...]) -> Expr:
        first = items[0]
        assert isinstance(first, tree.Input)
        name = next(name for start, _, name in step.listed if start == first.index)
        return Name(safe_local(name, self.dialect.target))

    def _run_time_size(
        self, part: RunTimeSize, change: Callable[[Expr], Expr | None]
    ) -> Expr:
        try:
            return self._spelled(tree.Size(part.dim))
        except Unspellable:
            tensor = tree.transform(part.input, change)
            return self.dialect.shape(tensor)[part.axis]

    def _module(self, step: merged.Step, suffix: str) -> Expr:
        key = step.label + suffix
        if key in self._elements:
            return self._element(step, self._elements[key])
        found: Expr = tree.Attribute(Name("self"), safe_name(key, self.dialect.target))
        numbers = tuple(turn.index for turn in step.turns)
        if None in numbers:
            for turn in step.turns:
                index = self._counts.get(turn.loop or 0, Name("i"))
                if key in self._keyed:
                    index = Name("str")(index)
                found = found[Literal(turn.index) if turn.index is not None else index]
            return found
        return element(found, turn_numbers(step), self._every(key))

    def _element(self, step: merged.Step, found: Expr) -> Expr:
        """The layer in what a loop goes through: inner turns that are written out have numbers."""
        if not self.dialect.nested_lists:
            return found
        loops = [place for place, turn in enumerate(step.turns) if turn.index is None]
        for turn in step.turns[max(loops, default=-1) + 1 :]:
            assert turn.index is not None
            found = found[turn.index]
        return found

    def _every(self, key: str) -> list[tuple[int, ...]]:
        """The turns in which the layers of a label are made."""
        return [
            turn_numbers(step)
            for step in steps_of(self.plan.items)
            for construct in step.constructs
            if step.label + construct.suffix == key
        ]

    def _anchor(self, part: Anchor) -> Expr:
        for value, name in self._input_names.items():
            if value.type.dtype.is_float or not part.floating:
                return name
        for step in steps_of(self.plan.items):
            for construct in step.constructs:
                if step.turns or not _has_weight(construct.value):
                    continue
                attribute = tree.Attribute(
                    Name("self"), safe_name(step.label + construct.suffix, "torch")
                )
                return (
                    attribute
                    if construct.is_parameter
                    else attribute.attribute("weight")
                )
        return ANCHOR

    @cached_property
    def _keyed(self) -> set[str]:
        """Layers that only some turns of a loop make."""
        return {key for loop in loops_of(self.plan.items) for key in keyed_in(loop)}

    def _keys(self, step: merged.Step) -> list[str]:
        suffixes = {construct.suffix for construct in step.constructs}
        for result in step.results:
            suffixes |= {
                p.suffix for p in tree.walk(result) if isinstance(p, tree.Module)
            }
        return [step.label + suffix for suffix in sorted(suffixes)]

    def _spelled(self, expression: Expr) -> Expr:
        return spelled(expression, self._resolve)

    def _resolve(self, key: str) -> Expr | None:
        """A constant or size of the spec, as the forward pass knows it."""
        if key in self._loop_names:
            return self._loop_names[key]
        if key in self._sizes:
            self._used_sizes.setdefault(key)
            return self._sizes[key]
        if any(
            symbol_of(size) == key
            for value in self.plan.inputs
            for size in value.type.shape
        ):
            self._sizes[key] = Name(self.names.free(size_name(key)))
            self._used_sizes.setdefault(key)
            return self._sizes[key]
        parameter = self.plan.parameter(key)
        if parameter is not None and not parameter.is_size:
            self._used_attributes.setdefault(key)
            return tree.Attribute(
                Name("self"), self.plan.attribute(parameter, self.dialect.target)
            )
        running = self.plan.running.get(key)
        if running is not None:
            return self._carried_size(running)
        return None

    def _carried_size(self, running: merged.Running) -> Expr | None:
        entry = self._entries.get(f"{running.name}@{running.uid}")
        name = self._held.get(entry) if entry is not None else None
        if entry is None or not isinstance(name, Name):
            return None
        if entry not in self._holders.get(name.id, ()):
            return None  # the variable has moved on
        return self.dialect.shape(name)[entry.order.index(running.axis)]


def symbol_of(size: Dim) -> str | None:
    """The name of a size that is just a symbol."""
    twin = size.generic
    names = twin.symbols()
    if len(twin.terms) != 1 or len(names) != 1:
        return None
    (monomial, coefficient) = twin.terms[0]
    if len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return atom.symbol if atom.kind == "symbol" and coefficient == atom.scale else None


def _is_listed(step: merged.Step, items: tuple[Expr, ...]) -> bool:
    if not items or not all(isinstance(item, tree.Input) for item in items):
        return False
    first = items[0]
    assert isinstance(first, tree.Input)
    return any(
        (first.index, first.index + len(items)) == (start, end)
        for start, end, _ in step.listed
    )


ANCHOR = Name("self").attribute("_anchor")
"""A buffer without elements, for the device and float type of a program that has nothing else of them."""


def _has_weight(value: Expr) -> bool:
    for part in tree.walk(value):
        if isinstance(part, tree.Attribute) and part.name in [
            "Linear",
            "Embedding",
            "Conv1d",
            "Conv2d",
            "Conv3d",
            "LayerNorm",
            "RMSNorm",
            "BatchNorm1d",
            "BatchNorm2d",
            "Parameter",
        ]:
            return True
    return False
