"""Matching the types that were written against the types that are: names bind, claims are proven."""

from __future__ import annotations

from dataclasses import replace

from nnspec.diagnostics import Label, SpecError, did_you_mean
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration import parameter_kinds
from nnspec.elaboration.complaints import counted
from nnspec.elaboration.foreign import foreign_dtype
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim, equal_if, symbol
from nnspec.ir.predefined import DTYPES
from nnspec.ir.types import DType, TensorType
from nnspec.ir.values import Sequence, Tensor, Value, kind_of
from nnspec.source import Span
from nnspec.syntax import ast


def written_dtype(frame: Frame, node: ast.ShapeType) -> DType:
    """The element type that a type says; the policy's float where it says none."""
    if node.dtype is None:
        return DType.FLOAT
    found = DTYPES.get(node.dtype)
    if found is None:
        ours = foreign_dtype(node.dtype)
        known = f"the types are: {', '.join(DTYPES)}"
        span = Span(node.span.start, node.span.start + len(node.dtype))
        hint = (
            f"here this is {ours}"
            if ours
            else did_you_mean(node.dtype, DTYPES) or known
        )
        raise frame.error(
            "E0204", f"there is no element type `{node.dtype}`", span, hint=hint
        )
    return found


def match_input(
    frame: Frame, name: str, node: ast.ShapeType, given: Tensor
) -> TensorType:
    """Binds the names of an input's type; gives the type in the names of this body.

    Raises `SpecError` where the given tensor does not fit.
    """
    _check_dtype(frame, name, node, given)
    sizes = given.type.shape
    patterns = _spread(frame, name, node, given)
    shape: list[Dim] = []
    for axis, (pattern, size) in enumerate(zip(patterns, sizes, strict=True)):
        shape.append(_match_size(frame, name, axis, pattern, size, given, binds=True))
    return TensorType(tuple(shape), given.type.dtype)


def check_claim(
    frame: Frame, name: str, node: ast.TypeExpr | None, value: Value
) -> Value:
    """Proves that a value has the type that is claimed of it; unbound names bind.

    Gives the value with its sizes known by the names that were claimed.
    """
    if node is None:
        return value
    if not isinstance(node, ast.ShapeType) or _is_list_of_constants(node):
        parameter_kinds.check_claim(frame, _subject(name), node, value)
        return value
    if node.element is not None:
        return _check_list(frame, name, node.element, value)
    if not isinstance(value, Tensor):
        raise frame.error(
            "E0308",
            f"{_subject(name)} is claimed to be a tensor, and is {kind_of(value)}",
            node,
            hint="a constant takes no type: leave it out",
        )
    _check_dtype(frame, name, node, value)
    patterns = _spread(frame, name, node, value)
    shape: list[Dim] = []
    for axis, (pattern, size) in enumerate(
        zip(patterns, value.type.shape, strict=True)
    ):
        matched = _match_size(frame, name, axis, pattern, size, value, binds=False)
        shape.append(size if matched.generic is matched else matched)
    claimed = TensorType(tuple(shape), value.type.dtype)
    # A size that is known by a turn of a loop has that name only there.
    if not any("@" in symbol for size in shape for symbol in size.generic.symbols()):
        frame.builder.types[value.id] = claimed
    return Tensor(value.id, claimed, value.origin)


def _is_list_of_constants(node: ast.TypeExpr) -> bool:
    while isinstance(node, ast.ShapeType) and node.element is not None:
        node = node.element
    return isinstance(node, ast.ScalarType)


def _check_list(frame: Frame, name: str, element: ast.TypeExpr, value: Value) -> Value:
    """Proves what is claimed of each tensor of a list."""
    if not isinstance(value, Sequence):
        message = f"{_subject(name)} is claimed to be a list, and is {kind_of(value)}"
        raise frame.error("E0305", message, element)
    items = [check_claim(frame, name, element, item) for item in value.items]
    return replace(value, items=tuple(items))


def introduce(frame: Frame, name: str, node: ast.ShapeType) -> TensorType:
    """The type of a model's input, where unbound names become symbols."""
    shape: list[Dim] = []
    for item in node.items:
        if isinstance(item, ast.Spread):
            raise frame.error(
                "E0205",
                "an input of a model needs a fixed number of axes",
                item,
                hint="write out the axes: `[B, T, D]`",
            )
        if isinstance(item, ast.Name) and item.id == "_":
            raise frame.error(
                "E0205",
                "an input of a model names every size",
                item,
                hint="write a name, such as `T`: it stands for a size known at run time",
            )
        shape.append(_introduced(frame, item))
    return TensorType(tuple(shape), written_dtype(frame, node))


def _introduced(frame: Frame, item: ast.Expr) -> Dim:
    if isinstance(item, ast.Name) and _is_new(frame, item.id):
        found = frame.elaboration.free_symbol(item.id)
        frame.names[item.id] = found
        return found
    size = evaluation.integer(frame, item)
    if size.is_constant and int(size) < 1:
        raise frame.error(
            "E0205",
            f"a size must be at least 1, and this is {size}",
            item,
            hint="write a number of at least 1, or a name for a size known at run time",
        )
    return size


def _is_new(frame: Frame, name: str) -> bool:
    return name not in frame.names and not _is_file_constant(frame, name)


def _is_file_constant(frame: Frame, name: str) -> bool:
    """Whether a name is bound by the file: blocks and models are no sizes."""
    known = frame.module.names.get(name)
    return known is not None and isinstance(known.node, ast.Constant)


def _check_dtype(frame: Frame, name: str, node: ast.ShapeType, given: Tensor) -> None:
    wanted = written_dtype(frame, node)
    if wanted is given.type.dtype or {wanted, given.type.dtype} == {
        DType.FLOAT,
        DType.F32,
    }:
        return
    raise SpecError(
        "E0404",
        f"{_subject(name)} is declared to hold {wanted.value}, and {given.type}"
        f" holds {given.type.dtype.value}",
        frame.at(node.span),
        labels=[Label(given.origin, f"this is {given.type}")],
        hint=f"convert it first, `cast(x, {wanted.value})`, or declare the type {_declared(given)}",
    )


def _declared(given: Tensor) -> str:
    dtype = given.type.dtype
    return "without a dtype" if dtype is DType.FLOAT else f"`{dtype.value}[...]`"


def _spread(
    frame: Frame, name: str, node: ast.ShapeType, given: Tensor
) -> list[ast.Expr | None]:
    """One pattern for each axis; None for those that a `*S` takes (its name is bound here)."""
    rank = given.type.rank
    places = [i for i, item in enumerate(node.items) if isinstance(item, ast.Spread)]
    if len(places) > 1:
        raise frame.error(
            "E0205",
            "a shape has one `*` at the most",
            node.items[places[1]],
            hint="write out the axes of one of the two",
        )
    fixed = len(node.items) - len(places)
    if rank < fixed or (rank > fixed and not places):
        raise SpecError(
            "E0403",
            f"{_subject(name)} is written with {counted(fixed, 'axis')}{' or more' if places else ''},"
            f" {_text(frame, node)}, and {given.type} has {rank}",
            frame.at(node.span),
            labels=[Label(given.origin, f"this is {given.type}")],
            hint="write one name or size for each axis; `_` takes any size, `*S` any number of axes",
        )
    if not places:
        return list(node.items)
    (place,) = places
    count = rank - fixed
    spread = node.items[place]
    assert isinstance(spread, ast.Spread)
    sizes = given.type.shape[place : place + count]
    named = [size.named(symbol(f"{name}@{place + i}")) for i, size in enumerate(sizes)]
    if spread.name != "_":
        frame.names[spread.name] = Sequence(tuple(named))
    rest: list[ast.Expr | None] = [None] * count
    return [*node.items[:place], *rest, *node.items[place + 1 :]]


def _subject(name: str) -> str:
    return f"`{name}`" if name else "the result"


def _text(frame: Frame, node: ast.TypeExpr) -> str:
    return f"`{frame.module.file.source.text[node.span.start : node.span.end]}`"


def _match_size(
    frame: Frame,
    name: str,
    axis: int,
    pattern: ast.Expr | None,
    size: Dim,
    given: Tensor,
    *,
    binds: bool,
) -> Dim:
    if pattern is None or (isinstance(pattern, ast.Name) and pattern.id == "_"):
        return size.named(symbol(f"{name}@{axis}")) if binds else size
    unbound = isinstance(pattern, ast.Name) and pattern.id not in frame.names
    if (
        isinstance(pattern, ast.Name)
        and unbound
        and not _is_file_constant(frame, pattern.id)
    ):
        found = size.value.named(symbol(pattern.id)) if binds else size
        frame.names[pattern.id] = found
        if binds:
            frame.builder.dims[pattern.id] = found.value
        return found
    wanted = evaluation.integer(frame, pattern)
    if wanted == size:
        return wanted
    raise SpecError(
        "E0505" if not binds else "E0406",
        f"axis {axis} of {_subject(name)} {'must' if binds else 'is claimed to'} be"
        f" {_claimed(wanted, pattern)}, and is {size}",
        frame.at(pattern.span),
        labels=[Label(given.origin, f"this is {given.type}")],
        hint=_claim_hint(wanted, size, binds=binds),
    )


def _claimed(wanted: Dim, pattern: ast.Expr) -> str:
    if isinstance(pattern, ast.Name) and str(wanted) != pattern.id:
        return f"{wanted} (`{pattern.id}`)"
    return str(wanted)


def _claim_hint(wanted: Dim, size: Dim, *, binds: bool) -> str | None:
    unknown = sorted((wanted - size).symbols())
    if not unknown and binds:
        return (
            f"give it a tensor of size {wanted} there, or write a name to take any size"
        )
    if not unknown:
        return f"if {size} is right, correct the claim"
    return (
        equal_if(wanted, size)
        or f"they are not equal for every {', '.join(unknown)}: add a `require` that makes them so"
    )
