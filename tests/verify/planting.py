"""Mistakes planted in operators: each changes how one target says an operator, or where a weight lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec.compiler import load_source
from nnspec.ops import OPS
from nnspec.ops.base import KerasWeight, Operator, replaced
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Namespace, expression
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets.lowering import Construct, NodeIo

ops = Namespace("ops")

Change = Callable[[Operator, NodeIo, Callable[[Any], Any]], Any]


@dataclass(frozen=True)
class Mistake:
    """A one-layer model, the operator that is wrong in it, and what is wrong with it."""

    name: str
    text: str
    operator: str
    target: str
    change: Any

    def spec(self, wrong: bool = True) -> Spec:
        """The model, with the mistake or without."""
        table: Mapping[str, type[Operator]] = OPS
        if wrong:
            table = OPS | {self.operator: planted(self)}
        (spec,) = load_source(Source("planted.nns", self.text), None, {}, table)
        return spec


def planted(mistake: Mistake) -> type[Operator]:
    """The operator's class with the mistake in it."""
    cls = OPS[mistake.operator]
    if mistake.target == "weights":
        return subclass(cls, keras_weights=mistake.change(cls))

    def lowering(self: Operator, io: Any) -> Any:
        return mistake.change(self, io, getattr(super(made, self), mistake.target))

    made = subclass(cls, **{mistake.target: lowering})
    return made


def subclass(cls: type[Operator], **members: Any) -> type[Operator]:
    # The class's own name is what the language calls a layer.
    return type(cls.__name__, (cls,), {"__module__": __name__, **members})


# ---- kinds of mistakes ----------------------------------------------------------------------------


def fields(**changed: Any) -> Change:
    """The lowering of an operator with other arguments."""

    def change(op: Operator, io: NodeIo, lowering: Any) -> Any:
        other = replaced(op, **changed)
        io._op = other
        original = getattr(OPS[type(op).op_name()], io.target)
        return original(other, io)

    return change


def keywords(**changed: Any) -> Change:
    """A submodule that is made with other keywords."""

    def change(op: Operator, io: NodeIo, lowering: Any) -> Any:
        result = lowering(io)
        made = io.constructs[""]
        call = made.value
        assert isinstance(call, tree.Call)
        kept = tuple(pair for pair in call.keywords if pair[0] not in changed)
        new = tuple((name, expression(value)) for name, value in changed.items())
        value = tree.Call(call.function, call.arguments, (*new, *kept))
        io.constructs[""] = Construct("", value, made.is_parameter, made.resets)
        return result

    return change


def result(function: Callable[[NodeIo, Any], Any]) -> Change:
    """Something else is made of the right result."""

    def change(op: Operator, io: NodeIo, lowering: Any) -> Any:
        return function(io, lowering(io))

    return change


def steps(
    function: Callable[[tuple[Any, ...]], tuple[Any, ...]],
) -> Callable[[Any], Any]:
    """Weights that reach Keras by other steps."""

    def change(cls: type[Operator]) -> Any:
        def keras_weights(self: Operator, *inputs: Any) -> tuple[KerasWeight, ...]:
            right = cls.keras_weights(self, *inputs)
            return tuple(
                KerasWeight(w.variable, w.sources, function(w.steps), w.suffix)
                for w in right
            )

        return keras_weights

    return change
