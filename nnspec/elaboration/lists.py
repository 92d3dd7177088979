"""Lists and ranges of constants: their elements, by names, by indexes and by slices."""

from __future__ import annotations

from dataclasses import replace

from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration import grown
from nnspec.elaboration.complaints import counted
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim, dim
from nnspec.ir.terms import Term
from nnspec.ir.values import (
    Instance,
    Range,
    Sequence,
    Tensor,
    Value,
    as_term,
    call_term,
    kind_of,
    renamed,
    term_of,
)
from nnspec.syntax import ast

LONGEST_RANGE = 100_000


def elements(frame: Frame, value: Value, node: ast.Node) -> list[Value]:
    """The elements of something that can be iterated over."""
    if isinstance(value, Sequence):
        return list(value.items)
    if isinstance(value, Range):
        bounds = (value.start, value.stop, value.step)
        if not all(bound.is_constant for bound in bounds):
            unknown = next(bound for bound in bounds if not bound.is_constant)
            raise frame.error(
                "E0326",
                f"this range needs `{unknown}`, which is known only at run time",
                node,
                hint="loop over constants, or use an operator over the whole axis",
            )
        if value.step == 0:
            raise frame.error("E0322", "the step of a range cannot be 0", node)
        if value.count > LONGEST_RANGE:
            raise frame.error(
                "E0502",
                f"this range has {_many(value.count)} elements, more than nnspec handles"
                f" ({LONGEST_RANGE:,})",
                node,
                hint="make it shorter",
            )
        return [dim(i) for i in range(*(int(bound) for bound in bounds))]
    hint = (
        "to repeat so many times, write `range(n)`" if isinstance(value, Dim) else None
    )
    raise frame.error(
        "E0327", f"a list is needed here, and this is {kind_of(value)}", node, hint=hint
    )


def _many(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"more than 10^{len(str(count)) - 1}"


def bind_pattern(frame: Frame, pattern: ast.Pattern, value: Value) -> None:
    """Binds the names of a `for` pattern to the parts of a value."""
    if pattern.name is not None:
        if pattern.name != "_":
            frame.names[pattern.name] = value
        return
    if not isinstance(value, Sequence):
        hint = "write one name"
        message = f"this is {kind_of(value)}, and cannot be taken apart"
        raise frame.error("E0324", message, pattern, hint=hint)
    if len(value.items) != len(pattern.items):
        raise frame.error(
            "E0324",
            f"{len(pattern.items)} names for {counted(len(value.items), 'value')}",
            pattern,
            hint="write one name for each, and `_` for a value that is not needed",
        )
    for item, part in zip(pattern.items, value.items, strict=True):
        bind_pattern(frame, item, part)


def indexed(frame: Frame, value: Value, node: ast.Index) -> Value:
    """`list[i]` and `list[a:b]`"""
    items = elements(frame, value, node.object)
    if len(node.subscripts) != 1:
        raise frame.error("E0322", "a list has one axis", node)
    subscript = node.subscripts[0]
    if isinstance(subscript, ast.Slice):
        if isinstance(value, Sequence) and value.made is not None:
            if _is_backwards(frame, subscript):
                return backwards(frame, [value], node)
            value = grown.settled(frame, value)
        return _sliced(frame, value, items, subscript)
    place = evaluation.integer(frame, subscript)
    if not place.is_constant or not -len(items) <= int(place) < len(items):
        raise frame.error(
            "E0322",
            f"index {place} is outside of a list of {counted(len(items), 'element')}",
            subscript,
            hint=f"the first is 0, the last {len(items) - 1}" if items else None,
        )
    found = items[int(place)]
    if isinstance(value, Sequence) and value.made is not None:
        return grown.element(frame, value, found, place, node)
    if isinstance(found, Instance):
        return _layer(frame, items, place, found)
    whole, position = term_of(value), as_term(place)
    if position is None or (whole is None and term_of(place) is None):
        return found
    if whole is None and term_of(found) is not None:
        return found  # it is known by a name of its own, such as a size of a tensor
    whole = whole or as_term(value)
    if whole is None or isinstance(found, Tensor):
        return found
    return renamed(found, Term("index", (whole, position)))


def _is_backwards(frame: Frame, node: ast.Slice) -> bool:
    """Whether a slice is `[::-1]`."""
    if node.start is not None or node.stop is not None or node.step is None:
        return False
    step = evaluation.integer(frame, node.step)
    return step == -1 and step.generic is step


def _layer(frame: Frame, items: list[Value], place: Dim, found: Instance) -> Instance:
    """A layer of a list: that of a turn by the number of this; else what is shared hangs on the index."""
    term = term_of(place)
    if term is None:
        return found
    loop, level = frame.builder.turn_of(place), _counted_level(items)
    if loop is None or level is None:
        frame.builder.decide(term)
        return found
    loops = (*found.loops[:level], loop, *found.loops[level + 1 :])
    return replace(found, loops=loops)


def _counted_level(items: list[Value]) -> int | None:
    """Which number of their paths counts layers from 0, in the order of their list; None if none does."""
    paths = [item.path for item in items if isinstance(item, Instance)]
    if len(paths) < len(items):
        return None
    for level in range(len(paths[0]) - 1):
        before, behind = paths[0][: level + 1], paths[0][level + 2 :]
        if paths == [(*before, place, *behind) for place in range(len(paths))]:
            return level
    return None


def _sliced(frame: Frame, value: Value, items: list[Value], node: ast.Slice) -> Value:
    bounds = [
        None if part is None else evaluation.integer(frame, part)
        for part in (node.start, node.stop, node.step)
    ]
    if bounds[2] == 0:
        raise frame.error("E0322", "the step of a slice cannot be 0", node)
    chosen = items[slice(*(None if bound is None else int(bound) for bound in bounds))]
    whole = as_term(value)
    traced = term_of(value) is not None or any(
        b is not None and term_of(b) for b in bounds
    )
    term = None
    if whole is not None and traced:
        parts = [Term("literal", (None,)) if b is None else as_term(b) for b in bounds]
        term = Term("slice", (whole, *parts))
    return Sequence(tuple(chosen), term)


def backwards(frame: Frame, arguments: list[Value], node: ast.Expr) -> Value:
    """`reversed(list)`, and `list[::-1]`"""
    items = elements(frame, arguments[0], node)
    whole = Sequence(tuple(reversed(items)), call_term("reversed", arguments))
    return grown.computed(frame, "reversed", whole, arguments)
