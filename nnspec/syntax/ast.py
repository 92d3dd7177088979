"""The abstract syntax: what was written, and where.

Nodes are frozen and compare by identity, so they can key tables. Chains of one precedence are flat
(`Chain`, `Pipe`), so that a long sum or pipe is no deep tree; the parser refuses other nesting beyond
`MOST_NESTING`, so recursion over a tree is bounded.
"""

from __future__ import annotations

from fractions import Fraction

from nnspec.records import dataclass
from nnspec.source import Source, Span

MOST_NESTING = 64


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Anything that was written: its place in the source."""

    span: Span


class Expr(Node):
    """An expression."""

    __slots__ = ()


# ---- expressions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Name(Expr):
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Number(Expr):
    """A literal. `value` is exact; `is_int` tells `2` from `2.0`; `unit` is "", "B", "FLOPs", "MACs".

    The multiplier of a suffix (`26M`, `24GiB`) is already in the value, which then counts as an int.
    """

    value: Fraction
    is_int: bool
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class String(Expr):
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Bool(Expr):
    value: bool


@dataclass(frozen=True, slots=True, eq=False)
class NoneLiteral(Expr):
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Rest(Expr):
    """`...`: the last argument of a partial recipe, or the untouched axes of an index."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread(Expr):
    """`*S` inside a list."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class ListExpr(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Group(Expr):
    """`(a, b)`: several values side by side."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comprehension(Expr):
    """`[body for pattern in iterable if condition]`"""

    body: Expr
    pattern: Pattern
    iterable: Expr
    condition: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Ternary(Expr):
    """`(then if condition else otherwise)`"""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Chain(Expr):
    """Operators of one precedence, applied from the left: `a + b - c`, `a * b // c`.

    `operators[i]` stands between `operands[i]` and `operands[i + 1]`; all are of one of the families
    {+ -}, {* / // %}, {and}, {or}.
    """

    operators: tuple[str, ...]
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Compare(Expr):
    """`left operator right` with one of == != < <= > >= in."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Expr):
    """`-operand` or `not operand`."""

    operator: str
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Power(Expr):
    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Argument(Node):
    """An argument of a call; `name` is None for a positional one."""

    name: str | None
    value: Expr
    name_span: Span | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Call(Expr):
    """`callee(arguments)`. `partial` where the last argument was `...`."""

    callee: Expr
    arguments: tuple[Argument, ...]
    partial: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Attribute(Expr):
    object: Expr
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Expr):
    start: Expr | None
    stop: Expr | None
    step: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Index(Expr):
    """`object[subscripts]`; a subscript is an expression, a `Slice` or `Rest`."""

    object: Expr
    subscripts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Stage(Node):
    """One `-> label: callee(arguments)` of a pipe; `arguments` is None where no parentheses stood."""

    label: str | None
    callee: Expr
    arguments: tuple[Argument, ...] | None
    partial: bool = False
    label_span: Span | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pipe(Expr):
    source: Expr
    stages: tuple[Stage, ...]


# ---- patterns, types ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Pattern(Node):
    """The left side of `for`: one name, or names nested in parentheses. A single name has no items."""

    name: str | None
    items: tuple[Pattern, ...] = ()


class TypeExpr(Node):
    """A type as written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class ScalarType(TypeExpr):
    """`int`, `float`, `bool`, `str`, `dtype`, `block`, `fn`."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class ShapeType(TypeExpr):
    """`[B, C, *S]`, `i64[B, T]`; and `list[int]`, `list[[B, _, *S]]` with `dtype` "list".

    Items are dims (expressions, `Name("_")` for any, `Spread`); those of a list type hold one
    `ScalarType` or `ShapeType` in `element` instead.
    """

    dtype: str | None
    items: tuple[Expr, ...]
    element: TypeExpr | None = None


# ---- statements --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Annotation(Node):
    """`@name(arguments)`"""

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Stmt(Node):
    """A statement, with the annotations before it."""

    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Target(Node):
    """A name on the left of `=`, with the type that it claims."""

    name: str
    type: TypeExpr | None


@dataclass(frozen=True, slots=True, eq=False)
class Input(Stmt):
    name: str
    type: TypeExpr


@dataclass(frozen=True, slots=True, eq=False)
class Output(Stmt):
    """`output target = value`; without a value, the bound name is the output."""

    target: Target
    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Bind(Stmt):
    """`a, b = value` or `a, b = x, y`."""

    targets: tuple[Target, ...]
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Body(Node):
    doc: str | None
    statements: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class For(Stmt):
    pattern: Pattern
    iterable: Expr
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class If(Stmt):
    """`else if` is an `otherwise` whose body holds one `If`."""

    condition: Expr
    then: Body
    otherwise: Body | None


@dataclass(frozen=True, slots=True, eq=False)
class Require(Stmt):
    condition: Expr
    message: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Return(Stmt):
    values: tuple[Expr, ...]


# ---- declarations ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Node):
    name: str
    type: TypeExpr
    default: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Declaration(Node):
    """Something that a file names."""

    annotations: tuple[Annotation, ...]
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Block(Declaration):
    parameters: tuple[Parameter, ...]
    results: tuple[TypeExpr, ...]
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Fn(Declaration):
    parameters: tuple[Parameter, ...]
    results: tuple[TypeExpr, ...]
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Model(Declaration):
    parameters: tuple[Parameter, ...]
    body: Body


@dataclass(frozen=True, slots=True, eq=False)
class Variant(Declaration):
    model: str
    model_span: Span
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Declaration):
    """A file-level `name = value`; several targets share one value."""

    bind: Bind


@dataclass(frozen=True, slots=True, eq=False)
class Use(Node):
    """`use std.attention (SelfAttention)`: a module path in dots, or a file's name in quotes."""

    path: str
    is_file: bool
    names: tuple[tuple[str, Span], ...]
    alias: str | None
    path_span: Span


@dataclass(frozen=True, slots=True, eq=False)
class File(Node):
    """A whole spec file. Declarations keep the order in which they were written."""

    source: Source
    doc: str | None
    uses: tuple[Use, ...]
    declarations: tuple[Block | Fn | Model | Variant | Constant, ...]
