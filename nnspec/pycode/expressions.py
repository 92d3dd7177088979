"""Python expressions as trees, with the sugar that makes lowerings readable.

`F.softmax(x, dim=1)` written in an operator's lowering builds a `Call` tree: names come from
`Namespace` objects (`F = Namespace("F")`), and calling, indexing and arithmetic on an expression give
larger expressions. Python values become literals; a `Dim` becomes a `Size`, which a code generator
later spells in the names that are in scope; a `Traced` constant becomes a `Constant`, likewise.

Spec text reaches a tree only as a checked identifier or inside a `Literal`, never as code.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from typing import Any, Self, cast

from nnspec.ir.dims import Dim
from nnspec.ir.terms import Term, Traced
from nnspec.records import dataclass


@dataclass(frozen=True, eq=True)
class Expr:
    """Any expression.

    `origins` tells what its value is, for whoever wants to watch it: two expressions that differ in
    nothing else are equal.
    """

    origins: tuple[Any, ...] = field(
        default=(), kw_only=True, compare=False, repr=False
    )

    def coming_from(self, *origins: Any) -> Self:
        """The same expression, whose value is these things, too."""
        return replace(self, origins=(*self.origins, *origins))

    def __call__(self, *arguments: Any, **keywords: Any) -> Call:
        return Call(
            self,
            tuple(expression(argument) for argument in arguments),
            tuple((key, expression(value)) for key, value in keywords.items()),
        )

    def attribute(self, name: str) -> Attribute:
        """`self.name`"""
        return Attribute(self, name)

    def method(self, name: str, *arguments: Any, **keywords: Any) -> Call:
        """`self.name(arguments)`"""
        return Attribute(self, name)(*arguments, **keywords)

    def __getitem__(self, subscript: Any) -> Subscript:
        return Subscript(self, expression(subscript))

    def __add__(self, other: Any) -> Binary:
        return Binary("+", self, expression(other))

    def __radd__(self, other: Any) -> Binary:
        return Binary("+", expression(other), self)

    def __sub__(self, other: Any) -> Binary:
        return Binary("-", self, expression(other))

    def __rsub__(self, other: Any) -> Binary:
        return Binary("-", expression(other), self)

    def __mul__(self, other: Any) -> Binary:
        return Binary("*", self, expression(other))

    def __rmul__(self, other: Any) -> Binary:
        return Binary("*", expression(other), self)

    def __truediv__(self, other: Any) -> Binary:
        return Binary("/", self, expression(other))

    def __rtruediv__(self, other: Any) -> Binary:
        return Binary("/", expression(other), self)

    def __floordiv__(self, other: Any) -> Binary:
        return Binary("//", self, expression(other))

    def __mod__(self, other: Any) -> Binary:
        return Binary("%", self, expression(other))

    def __pow__(self, other: Any) -> Binary:
        return Binary("**", self, expression(other))

    def __and__(self, other: Any) -> Binary:
        return Binary("&", self, expression(other))

    def __or__(self, other: Any) -> Binary:
        return Binary("|", self, expression(other))

    def __neg__(self) -> Unary:
        return Unary("-", self)

    def __invert__(self) -> Unary:
        return Unary("~", self)

    def compared(self, operator: str, other: Any) -> Binary:
        """`self < other` and the like, as a tree."""
        return Binary(operator, self, expression(other))

    @property
    def children(self) -> tuple[Expr, ...]:
        """The direct parts, in order."""
        return ()

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        """The same expression with other direct parts."""
        return self


@dataclass(frozen=True)
class Name(Expr):
    """A name that is in scope; checked to be a plain ASCII identifier."""

    id: str

    def __post_init__(self) -> None:
        if not (self.id.isascii() and self.id.isidentifier()) or keyword.iskeyword(
            self.id
        ):
            raise ValueError(f"{self.id!r} is no name")


@dataclass(frozen=True)
class Literal(Expr):
    """None, a bool, a number or a string.

    `given` are those that an operator is used with: another use of it may have a name there.
    """

    value: Any
    given: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Size(Expr):
    """An integer known to the compiler; spelled in the names of the place where it is used."""

    dim: Dim


@dataclass(frozen=True)
class Constant(Expr):
    """Another constant known to the compiler, with the term that it came from."""

    traced: Traced


@dataclass(frozen=True)
class Input(Expr):
    """A tensor that an operator takes: the generator puts the variable or expression here.

    `index` counts the operator's tensor inputs in order; a list input is one `Sequence` of them.
    """

    index: int


@dataclass(frozen=True)
class Shape(Expr):
    """The size of one axis of an input, read at run time: `x.shape[axis]`, `ops.shape(x)[axis]`."""

    input: Expr
    axis: int

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.input,)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Shape(children[0], self.axis)


@dataclass(frozen=True)
class Anchor(Expr):
    """A tensor or parameter at hand whose device (and float type) created tensors take."""

    floating: bool = False


@dataclass(frozen=True)
class Module(Expr):
    """A submodule of the operator that is being lowered: `self.conv1`, `self.conv1_pad`."""

    suffix: str = ""


@dataclass(frozen=True)
class Helper(Expr):
    """A helper function that the emitted file must define (see `targets/helpers`)."""

    name: str


@dataclass(frozen=True)
class Attribute(Expr):
    object: Expr
    name: str

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.object,)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Attribute(children[0], self.name)


@dataclass(frozen=True)
class Default(Expr):
    """A keyword's value that is left out wherever it turns out to equal the target's own default."""

    value: Expr
    default: Any

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Default(children[0], self.default)


@dataclass(frozen=True)
class Call(Expr):
    function: Expr
    arguments: tuple[Expr, ...] = ()
    keywords: tuple[tuple[str, Expr], ...] = ()

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.function, *self.arguments, *(value for _, value in self.keywords))

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        count = len(self.arguments)
        values = children[1 + count :]
        names = (key for key, _ in self.keywords)
        return Call(
            children[0],
            tuple(children[1 : 1 + count]),
            tuple(zip(names, values, strict=True)),
        )


@dataclass(frozen=True)
class Star(Expr):
    """`*value`, or `**value` with `double`; in arguments and displays."""

    value: Expr
    double: bool = False

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Star(children[0], self.double)


@dataclass(frozen=True)
class Subscript(Expr):
    object: Expr
    subscript: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.object, self.subscript)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Subscript(children[0], children[1])


@dataclass(frozen=True)
class Slice(Expr):
    """`start:stop:step` inside a subscript; None parts are left out."""

    start: Expr | None = None
    stop: Expr | None = None
    step: Expr | None = None

    @property
    def children(self) -> tuple[Expr, ...]:
        return tuple(
            part for part in (self.start, self.stop, self.step) if part is not None
        )

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        rest = iter(children)
        parts = (self.start, self.stop, self.step)
        return Slice(*(None if part is None else next(rest) for part in parts))


@dataclass(frozen=True)
class Ellipsis_(Expr):  # noqa: N801 -- `Ellipsis` is Python's own
    """`...` inside a subscript."""


@dataclass(frozen=True)
class Display(Expr):
    """A tuple, list or set display; `kind` is "tuple", "list" or "set"."""

    kind: str
    items: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.items

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Display(self.kind, tuple(children))


@dataclass(frozen=True)
class Dict(Expr):
    """`{"key": value}` with string keys; a None key spreads its value."""

    entries: tuple[tuple[str | None, Expr], ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return tuple(value for _, value in self.entries)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        keys = (key for key, _ in self.entries)
        return Dict(tuple(zip(keys, children, strict=True)))


@dataclass(frozen=True)
class Binary(Expr):
    """Arithmetic, comparison, `and`, `or`, `in`, `not in`, `is`, `is not`, `|`, `&`."""

    operator: str
    left: Expr
    right: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Binary(self.operator, children[0], children[1])


@dataclass(frozen=True)
class Unary(Expr):
    """`-x`, `~x`, `not x`."""

    operator: str
    operand: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Unary(self.operator, children[0])


@dataclass(frozen=True)
class Choice(Expr):
    """`then if condition else otherwise`"""

    condition: Expr
    then: Expr
    otherwise: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.condition, self.then, self.otherwise)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Choice(*children)


@dataclass(frozen=True)
class Generator(Expr):
    """`element for target in iterable`, in brackets of `kind`: "list", or "call" as a sole argument."""

    element: Expr
    target: Expr
    iterable: Expr
    kind: str = "list"

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.element, self.target, self.iterable)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        return Generator(children[0], children[1], children[2], self.kind)


@dataclass(frozen=True)
class FString(Expr):
    """Text and expressions in turn: strings are escaped text, expressions stand in braces."""

    parts: tuple[str | Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expr))

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        rest = iter(children)
        return FString(
            tuple(p if isinstance(p, str) else next(rest) for p in self.parts)
        )


@dataclass(frozen=True)
class Namespace:
    """A dotted prefix whose attributes are expressions: `nn.Linear` where `nn = Namespace("nn")`."""

    path: str
    _made: dict[str, Expr] = field(
        default_factory=dict[str, Expr], compare=False, repr=False
    )

    def __getattr__(self, name: str) -> Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._made:
            first, *rest = f"{self.path}.{name}".split(".")
            made: Expr = Name(first)
            for part in rest:
                made = Attribute(made, part)
            self._made[name] = made
        return self._made[name]


def expression(value: Any) -> Expr:
    """A value as an expression: expressions stay, dims and traced constants keep what they came from."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, Dim):
        return Size(value)
    if isinstance(value, Traced):
        return Literal(value.value) if value.term is None else Constant(value)
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        items = cast("Sequence[Any]", value)
        return Display(kind, tuple(expression(item) for item in items))
    if isinstance(value, slice):
        bounds: slice[Any, Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        parts = (bounds.start, bounds.stop, bounds.step)
        return Slice(*(None if part is None else expression(part) for part in parts))
    if value is Ellipsis:
        return Ellipsis_()
    if value is None or isinstance(value, bool | int | float | str):
        return Literal(value)
    raise TypeError(f"no expression for {value!r}")


def argument(value: Any, term: Term | None) -> Expr:
    """What an operator is used with, and the term that it came from."""
    if term is not None and (term.kind != "dim" or isinstance(value, float)):
        return Constant(Traced(value, term))

    def change(part: Expr) -> Expr | None:
        return Literal(part.value, given=True) if isinstance(part, Literal) else None

    return transform(expression(value), change)


def default(value: Any, otherwise: Any) -> Default:
    """A keyword's value that is spelled only where it differs from the target's own default."""
    return Default(expression(value), otherwise)


def walk(root: Expr) -> Iterator[Expr]:
    """The expression and all its parts, outermost first."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def transform(root: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with every part for which `change` gives another replaced by it, outermost first."""
    changed = change(root)
    if changed is not None:
        return changed
    children = root.children
    if not children:
        return root
    rebuilt = [transform(child, change) for child in children]
    if all(new is old for new, old in zip(rebuilt, children, strict=True)):
        return root
    made = root.rebuilt(rebuilt)
    return made.coming_from(*root.origins) if root.origins else made
