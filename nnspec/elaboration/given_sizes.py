"""Sizes that are given for the symbols of a program: each by itself, and what becomes of them behind the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Function, Node, Program
from nnspec.ir.values import Traced, Value, kind_of

# Floats below are written out where an integer is wanted.
_LONGEST = 10**15
# So much more than a size is looked for one that is large enough.
_FURTHEST = 1024


def sizes_of(program: Program, given: Mapping[str, Value]) -> dict[str, int]:
    """The symbols that were set. Raises `SpecError` for a name that is none, or a size that is wrong."""
    found: dict[str, int] = {}
    for name, value in given.items():
        check_size(program, name, value)
        if not isinstance(value, Dim) or not value.is_constant:
            raise _no_size(name, value)
        found[name] = int(value)
    check_sizes(program, found)
    return found


def check_size(program: Program, name: str, value: Value | int) -> None:
    """Raises `SpecError` for a symbol that is none of the program, or a size that it cannot have."""
    if name not in program.symbols:
        known = [*program.symbols, *(p.name for p in program.main.parameters)]
        raise SpecError(
            "E0302",
            f"`{program.name}` has no constant or size named `{name}`",
            hint=did_you_mean(name, known) or f"it has: {', '.join(known) or 'none'}",
        )
    if isinstance(value, Dim) and not value.is_constant:
        return
    if isinstance(value, bool) or not isinstance(value, int | Dim) or int(value) < 1:
        raise _no_size(name, value)
    _check_assumed(program, name, int(value))


def _no_size(name: str, value: Value | int) -> SpecError:
    found, example = kind_of(value) if not isinstance(value, int) else str(value), "8"
    if isinstance(value, Dim):
        found = str(value)
    elif isinstance(value, Traced) and isinstance(value.value, float):
        found = str(value.value)
        is_whole = 1 <= value.value < _LONGEST and value.value.is_integer()
        example = str(int(value.value)) if is_whole else example
    return SpecError(
        "E0705",
        f"the size `{name}` must be an integer of at least 1, not {found}",
        hint=f"write a number, such as `{name}={example}`",
    )


def _check_assumed(program: Program, name: str, value: int) -> None:
    wrong = program.assumptions.fault(name, value)
    if wrong:
        raise SpecError(
            "E0503", f"`{name}` {wrong} by a requirement of the model, not {value}"
        )


# ---- behind the inputs --------------------------------------------------------------------------------


def check_sizes(program: Program, sizes: Mapping[str, Size]) -> None:
    """Raises `SpecError` where some axis would be empty at these sizes: a window that does not fit, a slice of nothing.

    What hangs on a size that is not given stays open.
    """
    for _, size in program.requirements:
        found = size.at(sizes)
        if found.falls_below(1):
            raise _empty(program, size, int(found), sizes)


def _empty(
    program: Program, size: Dim, found: int, sizes: Mapping[str, Size]
) -> SpecError:
    names = sorted(size.symbols() & sizes.keys())
    where = ", ".join(f"{name}={sizes[name]}" for name in names)
    node = _first_with(program, size)
    what = "the model" if node is None else f"`{_name(program, node)}`"
    return SpecError(
        "E0408",
        f"at {where} {what} needs `{size}` to be at least 1, and it is {found}",
        None if node is None else node.location,
        hint=f"{_larger(size, names, sizes)}: an axis has at least 1 element",
    )


def _larger(size: Dim, names: Sequence[str], sizes: Mapping[str, Size]) -> str:
    """What to give instead: the least that does, where one size decides and it is not far."""
    if len(names) == 1:
        (name,) = names
        first = int(sizes[name]) + 1
        for more in range(first, first + _FURTHEST):
            if not size.at({**sizes, name: more}).falls_below(1):
                return f"give `{name}` at least {more}"
    return f"give a larger {' or '.join(f'`{name}`' for name in names)}"


def _first_with(program: Program, size: Dim) -> Node | None:
    """The first operator whose result has a size, or which needs it otherwise; callees come first."""
    for function in program.functions.values():
        for node in function.nodes:
            if node.callee is None and size in _sizes(function, node):
                return node
    return None


def _sizes(function: Function, node: Node) -> list[Dim]:
    assert node.op is not None or node.weight is not None
    found = [size for kind in function.results(node) for size in kind.shape]
    if node.op is not None:
        found += node.op.implied(*function.node_types(node))
    return [size.value for size in found]


def _name(program: Program, node: Node) -> str:
    return node.op.op_name() if node.op is not None else program.name
