"""Layers whose names would fall together in a target: refused, since one would replace the other."""

from __future__ import annotations

from nnspec.diagnostics import Label, SpecError
from nnspec.ir.graph import Function, Node, Path
from nnspec.targets.names import safe_name


def require_distinct(function: Function, target: str) -> None:
    """Raises `SpecError` if two layers of a function would have one name in the target.

    In PyTorch the labels are the attributes; in Keras whole paths are names (`layers_0_3`).
    """
    seen: dict[tuple[str, str], Node] = {}
    for node in function.nodes:
        for key in _names(node, target) if node.owns else ():
            known = seen.setdefault(key, node)
            if _own_path(known, target) != _own_path(node, target):
                raise _clash(known, node, key[1], target)


def _clash(one: Node, other: Node, name: str, target: str) -> SpecError:
    first, second = (".".join(map(str, node.path)) for node in (one, other))
    return SpecError(
        "E0604",
        f"`{first}` and `{second}` would both be named `{name}` in the {target} program",
        other.location,
        labels=[Label(one.location, "the other one")],
        hint="give one of them another label",
    )


def _own_path(node: Node, target: str) -> Path:
    return node.path[:1] if target == "torch" else node.path


def _names(node: Node, target: str) -> list[tuple[str, str]]:
    """As an attribute; and in Keras as a layer, whose name is no attribute."""
    first, *rest = map(str, _own_path(node, target))
    found = [("attribute", "_".join([safe_name(first, target), *rest]))]
    if target == "keras":
        found.append(("layer", "_".join([first, *rest])))
    return found
