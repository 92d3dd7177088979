"""What the result of a step is written as: its operator's expression with inputs, layers and sizes put in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.inlining import (
    VARIABLE,
    Extent,
    extent,
    is_too_long,
    times_read,
)
from nnspec.targets.contents import steps_of
from nnspec.targets.lowering import RunTimeSize, moved_once, transposed
from nnspec.targets.names import safe_local, safe_name
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.variables import Variables

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import ForwardDialect, Layers, Scope


class Results:
    """The expressions of the steps of a body."""

    def __init__(
        self,
        plan: ClassPlan,
        dialect: ForwardDialect,
        scope: Scope,
        layers: Layers,
        variables: Variables,
        inputs: Mapping[merged.Value, Expr],
    ) -> None:
        """`inputs` are the values that the body is given, each with what holds it."""
        self._plan = plan
        self._dialect = dialect
        self._scope = scope
        self._layers = layers
        self._variables = variables
        self._inputs = inputs
        # How much is written for values as long as they have no variables.
        self._extents: dict[merged.Value, Extent] = {}

    def of(self, step: merged.Step) -> list[Expr]:
        """A step's results, each of which tells what it is."""
        inputs = self._read(step)
        found = [self._filled(step, result, inputs) for result in step.results]
        whole = len(found) != len(step.outputs)
        return [
            result.coming_from(merged.Origin(step, None if whole else place))
            for place, result in enumerate(found)
        ]

    # ---- inputs ----

    def _read(self, step: merged.Step) -> list[Expr]:
        """The expressions that a step reads; long ones are given a variable first."""
        listed = {i for start, end, _ in step.listed for i in range(start, end)}
        for place, reference in enumerate(step.inputs):
            if place in listed:
                continue
            pending = self._variables.waiting(reference)
            if pending is None:
                continue
            if (
                times_read(step.drafts, place) > 1
                or self._layers.crowds(step, pending)
                or is_too_long(self._extents[reference], step.drafts, step.label)
            ):
                self._variables.settle(reference)
        self._measure(step)
        found: list[Expr] = []
        for place, reference in enumerate(step.inputs):
            if place in listed:
                found.append(Literal(None))
                continue
            want = step.wanted[place] if place < len(step.wanted) else None
            value = self._variables.read(reference)
            found.append(
                value if want is None else transposed(value, reference.order, want)
            )
        return found

    def _measure(self, step: merged.Step) -> None:
        operands = [
            self._extents[each] if self._variables.is_inlined(each) else VARIABLE
            for each in step.inputs
        ]
        found = extent(step.drafts, step.label, operands)
        self._extents |= dict.fromkeys(step.outputs, found)

    # ---- what is put in ----

    def _filled(self, step: merged.Step, result: Expr, inputs: list[Expr]) -> Expr:
        """A step's result with its inputs, layers and sizes put in."""

        def change(part: Expr) -> Expr | None:
            match part:
                case tree.Input(index=index):
                    return inputs[index]
                case tree.Module(suffix=suffix):
                    return self._layers.module(step, suffix)
                case tree.Anchor():
                    return self._anchor(part)
                case RunTimeSize():
                    return self._run_time_size(part, change)
                case tree.Shape():
                    tensor = tree.transform(part.input, change)
                    return self._dialect.shape(tensor)[part.axis]
                case tree.Size() | tree.Constant() | tree.Helper():
                    return self._scope.spelled(part)
                case tree.Display(items=items) if _is_listed(step, items):
                    return self._listed_name(step, items)
                case _:
                    return None

        return tree.transform(tree.transform(result, change), moved_once)

    def _listed_name(self, step: merged.Step, items: tuple[Expr, ...]) -> Expr:
        first = items[0]
        assert isinstance(first, tree.Input)
        name = next(name for start, _, name in step.listed if start == first.index)
        return Name(safe_local(name, self._dialect.target))

    def _run_time_size(
        self, part: RunTimeSize, change: Callable[[Expr], Expr | None]
    ) -> Expr:
        try:
            return self._scope.spelled(tree.Size(part.dim))
        except Unspellable:
            tensor = tree.transform(part.input, change)
            return self._dialect.shape(tensor)[part.axis]

    def _anchor(self, part: tree.Anchor) -> Expr:
        for value, name in self._inputs.items():
            if value.type.dtype.is_float or not part.floating:
                return name
        return self._first_weight

    @cached_property
    def _first_weight(self) -> Expr:
        """The first weight that lies in no list."""
        for step in steps_of(self._plan.items):
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
