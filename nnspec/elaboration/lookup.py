"""What a name means: a local, a declaration of the file, an operator, or a function of constants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from nnspec.diagnostics import MOST_DIAGNOSTICS, SpecError, did_you_mean
from nnspec.elaboration.foreign import (
    FOREIGN_ATTRIBUTES,
    FOREIGN_INITIALIZERS,
    foreign_hint,
)
from nnspec.elaboration.frame import Frame
from nnspec.ir.predefined import BUILTINS, DTYPES
from nnspec.ir.terms import Traced
from nnspec.ir.values import (
    Builtin,
    Declared,
    Instance,
    Namespace,
    OperatorName,
    Tensor,
    Unknown,
    Value,
    kind_of,
)
from nnspec.syntax import ast

# What a budget speaks of, in `require cost.parameters <= 26M`; a name only there.
COSTS = "cost"


def name(frame: Frame, node: ast.Name) -> Value:
    """The value of a name."""
    found = find(frame, node.id)
    if found is None:
        raise unknown(frame, node.id, node)
    if isinstance(found, Declared) and isinstance(found.node, ast.Constant):
        return frame.elaboration.file_constant(found, node.id)
    return found


def find(frame: Frame, identifier: str) -> Value | None:
    """The value of a name, or None."""
    if identifier in frame.names:
        return frame.names[identifier]
    if identifier in frame.module.names:
        return frame.module.names[identifier]
    if identifier == "inf":
        return Traced(float("inf"))
    if identifier in ("init", "ops"):
        return Namespace(identifier)
    operators = frame.elaboration.operators
    if identifier in operators and identifier not in BUILTINS:
        return OperatorName(identifier, operators[identifier])
    if identifier in BUILTINS:
        return Builtin(identifier)
    if identifier in DTYPES:
        return Traced(DTYPES[identifier])
    return None


def known_names(frame: Frame) -> Iterator[str]:
    """Every name that would have been found."""
    yield from (n for n, v in frame.names.items() if not isinstance(v, Unknown))
    yield from frame.module.names
    yield from frame.elaboration.operators
    yield from BUILTINS


def is_given(identifier: str, operators: Collection[str]) -> bool:
    """Whether a name means something without being declared."""
    given = identifier in BUILTINS or identifier in DTYPES or identifier in operators
    return given or identifier in ("inf", "init", "ops", "std")


def unknown(frame: Frame, identifier: str, where: ast.Node) -> SpecError:
    """The fault of a name that means nothing here."""
    # The search for near names takes time, and what is past the limit is not shown.
    full = len(frame.elaboration.diagnostics.found) >= MOST_DIAGNOSTICS
    known = () if full else known_names(frame)
    code, message, hint = unknown_text(identifier, known)
    return frame.error(code, message, where, hint=hint)


def unknown_text(identifier: str, known: Iterable[str]) -> tuple[str, str, str | None]:
    """Code, message and hint for a name that means nothing."""
    hint = foreign_hint(identifier) or did_you_mean(identifier, known)
    if identifier[:1].isupper():
        if hint is None and len(identifier) <= 2:
            hint = f"a size is bound by the type of an input: `x: [B, {identifier}]`"
        hint = (
            hint
            or "`nnspec ops` lists the layers; a block of yours must be declared in this file"
        )
        return "E0202", f"there is no layer or size named `{identifier}`", hint
    hint = hint or "bind it first, or declare it as a parameter"
    return "E0201", f"nothing here is named `{identifier}`", hint


def attribute(frame: Frame, node: ast.Attribute, value: Value) -> Value:
    """`object.name`: an operator behind `ops`, an initializer behind `init`, a weight of an instance."""
    from nnspec.elaboration import apply

    if isinstance(value, Instance):
        return apply.weight_of(frame, value, node)
    if isinstance(value, Namespace):
        return _in_namespace(frame, node, value)
    raise frame.error(
        "E0203",
        f"`.{node.name}` means nothing on {kind_of(value)}",
        node.name_span,
        hint=_instead_of_dot(frame, node, value),
    )


def _instead_of_dot(frame: Frame, node: ast.Attribute, value: Value) -> str:
    """What to write for an attribute or a method of a tensor, as other frameworks have them."""
    if isinstance(value, Tensor):
        of = node.object.id if isinstance(node.object, ast.Name) else "x"
        question = FOREIGN_ATTRIBUTES.get(node.name)
        if question is not None:
            return f"a function tells: `{question}({of})`"
        if node.name in frame.elaboration.operators:
            return f"a tensor is fed to it by an arrow: `{of} -> {node.name}`"
        ours = foreign_hint(node.name)
        if ours is not None:
            return ours
    return "only the weights of a layer are reached by a dot, such as `wte.weight`"


def _in_namespace(frame: Frame, node: ast.Attribute, value: Namespace) -> Value:
    from nnspec.ops.initializers import INITIALIZERS, ONES, ZEROS

    if value.name == "init":
        if node.name in ("zeros", "ones"):
            return Traced(ZEROS if node.name == "zeros" else ONES)
        if node.name in INITIALIZERS:
            return Builtin(f"init.{node.name}")
        known = [*INITIALIZERS, "zeros", "ones"]
        what = "initializer"
        ours = FOREIGN_INITIALIZERS.get(node.name)
        hint = f"here this is `init.{ours}`" if ours else None
        rest = f"there are: {', '.join(known)}"
    else:
        operators = frame.elaboration.operators
        if node.name in operators:
            return OperatorName(node.name, operators[node.name])
        known = list(operators)
        what = "operator"
        hint, rest = foreign_hint(node.name), "`nnspec ops` lists all"
    hint = hint or did_you_mean(node.name, known) or rest
    raise frame.error(
        "E0203", f"there is no {what} named `{node.name}`", node.name_span, hint=hint
    )
