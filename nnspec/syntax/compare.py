"""Trees as text: what a tree says, without where it was written.

Nodes compare by identity; two trees say the same if their dumps are equal.
"""

from __future__ import annotations

from dataclasses import fields
from typing import cast

from nnspec.source import Source, Span
from nnspec.syntax.ast import Node

_INDENT = "  "


def dump(node: object, depth: int = 0) -> str:
    """One line for each node, indented under its parent; spans and sources are left out."""
    margin = _INDENT * depth
    if isinstance(node, Node):
        lines = [margin + type(node).__name__]
        for field in fields(node):
            value = cast(object, getattr(node, field.name))
            if not isinstance(value, (Span, Source)) and field.name not in _PLACES:
                lines.append(
                    f"{margin}{_INDENT}{field.name}:{_value(value, depth + 2)}"
                )
        return "\n".join(lines)
    return margin + repr(node)


_PLACES = frozenset(("name_span", "label_span", "path_span", "model_span"))


def _value(value: object, depth: int) -> str:
    if isinstance(value, Node):
        return "\n" + dump(value, depth)
    if isinstance(value, tuple) and not isinstance(value, Span):
        items = cast("tuple[object, ...]", value)
        if not items:
            return " ()"
        return "".join(
            "\n" + _INDENT * depth + "-" + _value(item, depth) for item in items
        )
    return " <place>" if isinstance(value, Span) else f" {value!r}"


def same(first: Node, second: Node) -> bool:
    """Whether two trees say the same."""
    return dump(first) == dump(second)
