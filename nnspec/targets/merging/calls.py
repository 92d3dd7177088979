"""Calls of blocks: what makes the layer of a callee's class, and what the layer is applied to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Function, Node
from nnspec.ir.terms import Traced
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.inlining import call_of, tensors_of
from nnspec.targets.lowering import Construct, LayerName, Lowered, Ways
from nnspec.targets.merging.agreement import localised
from nnspec.targets.merging.returned import goes_one_way
from nnspec.targets.merging.traces import Track, Unlike
from nnspec.targets.plan import ClassParameter, ClassPlan, sizes_in
from nnspec.targets.spelling import Unspellable, spell_literal


def lower_call(
    track: Track,
    node: Node,
    callee: Function,
    plan: ClassPlan,
    target: str,
    *,
    recomputes: bool,
) -> Lowered:
    """A call as its target says it; `plan` is the class of the callee.

    With `recomputes`, its values are computed again in the backward pass: by the call in PyTorch, by the layer
    in Keras. Raises `Unlike`.
    """
    unsaid = _mentioned(track, node, callee, plan.built_in)
    deciding = _mentioned(track, node, callee, plan.deciding)
    goes = Ways(deciding, goes_one_way(track, node, callee, plan))
    made = _made(track, node, callee, plan, target, recomputes)
    construct = Construct("", made)
    if target == "torch":
        call = call_of(node, recomputes=recomputes)
        return Lowered((construct,), (call,), len(node.outputs), unsaid, goes)
    given = tensors_of(node)
    if plan.is_entry and len(given) > 1:
        # A Keras model takes its inputs as one.
        given = (tree.Display("list", given),)
    call = tree.Call(tree.Module(""), given)
    return Lowered((construct,), (call,), len(node.outputs), unsaid, goes)


def _made(
    track: Track,
    node: Node,
    callee: Function,
    plan: ClassPlan,
    target: str,
    recomputes: bool,
) -> Expr:
    """The call of the class's constructor."""
    arguments: list[Expr] = []
    keywords: list[tuple[str, Expr]] = []
    for parameter in plan.parameters:
        value = _argument(track, node, callee, parameter)
        if parameter.has_default:
            default = _default_of(parameter)
            keywords.append((parameter.name, tree.Default(value, default)))
        else:
            arguments.append(value)
    if target == "torch":
        arguments.append(tree.Star(Name("options"), double=True))
    else:
        keywords += [("recompute", Literal(True))] if recomputes else []
        keywords.append(("name", LayerName()))
    return tree.Call(Name(plan.name), tuple(arguments), tuple(keywords))


def _argument(
    track: Track, node: Node, callee: Function, parameter: ClassParameter
) -> Expr:
    """What a call hands to a parameter of the callee's class."""
    if not parameter.is_size:
        return _constant(node, parameter)
    found = sizes_in(callee, track.given_types(node)).get(parameter.symbol)
    if found is None:
        raise Unlike
    return tree.Size(found)


def _constant(node: Node, parameter: ClassParameter) -> Expr:
    from nnspec.ir.values import Sequence as Listed
    from nnspec.ir.values import as_term, plain, term_of

    value = node.arguments[parameter.symbol]
    if isinstance(value, Dim):
        if value.symbols():
            raise SpecError(
                "E0603",
                f"`{parameter.symbol}` is given `{value}`, which is known only at run time",
                node.location,
                hint="blocks take constants: let it follow from the shape of an input",
            )
        return tree.Size(value)
    term = term_of(value)
    if term is None and isinstance(value, Listed):
        term = as_term(value)
    if term is not None:
        return tree.Constant(Traced(plain(value), term))
    try:
        return spell_literal(plain(value))
    except Unspellable:
        raise Unlike from None


def _mentioned(
    track: Track, node: Node, callee: Function, names: Collection[str]
) -> frozenset[str]:
    """The names of the caller that constants and sizes of inputs of the callee are computed from."""
    from nnspec.ir.values import as_term

    found: set[str] = set()
    given_sizes = sizes_in(callee, track.given_types(node)) if names else {}
    for name in names:
        given = node.arguments.get(name, given_sizes.get(name))
        term = None if given is None else as_term(given)
        if term is not None:
            found |= localised(track, term).mentioned()
    return frozenset(found)


def _default_of(parameter: ClassParameter) -> Any:
    value = parameter.default
    return int(value) if isinstance(value, Dim) and value.is_constant else value
