"""What an expression of the spec can mean while it is compiled.

Integers are `Dim`s; other constants are `Traced`; the rest is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

from nnspec.ir.dims import Dim, dim, opaque
from nnspec.ir.graph import Marks, Path
from nnspec.ir.terms import Term, Traced
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator
from nnspec.records import dataclass
from nnspec.source import Location
from nnspec.syntax import ast


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A run-time value: its number in the function that is being built, its type, where it was made."""

    id: int
    type: TensorType
    origin: Location


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list or a group of values.

    `made` says of a list of tensors that loops grow how it was made (see `elaboration.grown`). `extent` is how many
    values it has, all levels counted; who knows it need not have it counted.
    """

    items: tuple[Value, ...]
    term: Term | None = None
    is_group: bool = False
    made: Term | None = None
    extent: int = -1
    # Whether no element has a term; None until somebody asks.
    plain: bool | None = None

    def __post_init__(self) -> None:
        if self.extent >= 0:
            return
        # Lists share their elements: what is small in memory may be endless when spread out.
        inner = sum(item.extent for item in self.items if isinstance(item, Sequence))
        object.__setattr__(self, "extent", len(self.items) + inner)

    @property
    def is_plain(self) -> bool:
        """Whether no element has a term."""
        if self.plain is None:
            plain = all(term_of(item) is None for item in self.items)
            object.__setattr__(self, "plain", plain)
        return bool(self.plain)

    @property
    def holds_tensors(self) -> bool:
        """Whether any element, however deep, is a tensor."""
        return any(
            isinstance(item, Tensor)
            or (isinstance(item, Sequence) and item.holds_tensors)
            for item in self.items
        )


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """`range(...)`, not yet spread out."""

    start: Dim
    stop: Dim
    step: Dim
    term: Term | None = None

    def __len__(self) -> int:
        return self.count

    @property
    def count(self) -> int:
        """The number of elements; `len` cannot tell more than 2^63."""
        return max(0, -((int(self.start) - int(self.stop)) // int(self.step)))


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """The declarations of one file, and the names that they see."""

    file: ast.File
    names: dict[str, Declared] = field(default_factory=dict)  # pyright: ignore[reportUnknownVariableType]


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """A block, model, fn, variant or constant of a file."""

    node: ast.Block | ast.Fn | ast.Model | ast.Variant | ast.Constant
    module: Module


@dataclass(frozen=True, slots=True, eq=False)
class OperatorName:
    """An operator, by name."""

    name: str
    cls: type[Operator]


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """A function of constants that the compiler evaluates, or a question about a tensor."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """A layer or function with some arguments given: `F(k=1, ...)`."""

    callee: Declared | OperatorName
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]


@dataclass(eq=False)
class Settled:
    """What the first use of a layer settles for all: its operator, and the shapes of its weights."""

    operator: Operator | None = None
    terms: Mapping[str, Term] = field(default_factory=dict[str, Term])
    weights: Mapping[str, TensorType] | None = None


@dataclass(frozen=True, eq=False)
class Instance:
    """A layer whose every use shares its weights; one by `settled`, however it was come by.

    `loops` are those whose turns its path counts (see `graph.Node`).
    """

    callee: Declared | OperatorName
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]
    path: Path
    loops: tuple[int | None, ...]
    location: Location
    marks: Marks = Marks()
    settled: Settled = field(default_factory=Settled)


@dataclass(frozen=True, slots=True, eq=False)
class Namespace:
    """`init` or `ops`: names behind a dot."""

    name: str


class Unknown:
    """The value of something that failed: silences what follows from it."""


UNKNOWN = Unknown()

Value: TypeAlias = (
    Dim
    | Traced
    | Tensor
    | Sequence
    | Range
    | Declared
    | OperatorName
    | Builtin
    | Recipe
    | Instance
    | Namespace
    | Unknown
)

NONE = Traced(None)


class Poisoned(Exception):
    """A value that has already been complained about was used."""


def is_constant(value: Value) -> bool:
    """Whether a value is known while compiling, all of it."""
    if isinstance(value, Sequence):
        return all(is_constant(item) for item in value.items)
    return isinstance(value, Dim | Traced | Range)


def term_of(value: Value) -> Term | None:
    """The term that a constant came from, or None where the spec wrote it as a literal."""
    if isinstance(value, Dim):
        return None if value.generic is value else Term("dim", (value.generic,))
    if isinstance(value, Traced | Sequence | Range):
        return value.term
    return None


def as_term(value: Value) -> Term | None:
    """A constant as a term: the one that it came from, else its literal; None where there is none."""
    found = term_of(value)
    if found is not None:
        return found
    if isinstance(value, Dim):
        return Term("dim", (value,))
    if isinstance(value, Traced):
        return Term("literal", (value.value,))
    if isinstance(value, Sequence):
        items = [as_term(item) for item in value.items]
        if all(item is not None for item in items):
            return Term("tuple" if value.is_group else "list", tuple(items))
    return None


def call_term(name: str, arguments: list[Value]) -> Term | None:
    """The term of a function of constants; None where no argument has one, or one is no constant."""
    if all(term_of(value) is None for value in arguments):
        return None
    terms = [as_term(value) for value in arguments]
    return None if any(term is None for term in terms) else Term("call", (name, *terms))


def renamed(value: Value, term: Term) -> Value:
    """A constant with another term."""
    if isinstance(value, Dim):
        return value.value.named(opaque(term))
    if isinstance(value, Traced):
        return Traced(value.value, term)
    if isinstance(value, Sequence):
        items = tuple(
            renamed(item, Term("index", (term, Term("dim", (dim(i),)))))
            for i, item in enumerate(value.items)
        )
        return Sequence(items, term, value.is_group)
    return value


def plain(value: Value) -> Any:
    """A constant as plain Python data, for keys and for JSON (dims stay dims)."""
    if isinstance(value, Dim):
        return value.value
    if isinstance(value, Traced):
        return value.value
    if isinstance(value, Sequence):
        return tuple(plain(item) for item in value.items)
    if isinstance(value, Range):
        return ("range", value.start.value, value.stop.value, value.step.value)
    return value


def kind_of(value: Value) -> str:
    """What a value is, for messages."""
    match value:
        case Dim():
            return "an integer"
        case Tensor():
            return f"a tensor {value.type}"
        case Sequence():
            return "a list" if not value.is_group else "several values"
        case Range():
            return "a range"
        case Instance():
            return "a layer"
        case Recipe() | OperatorName() | Declared():
            return "a recipe of a layer" if _is_layer(value) else "a function"
        case Builtin():
            return "a function"
        case Traced():
            return _kind_of_constant(value.value)
        case _:
            return "a name space"


def _kind_of_constant(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, float):
        return "a float"
    if isinstance(value, str):
        return "a string"
    from nnspec.ops.initializers import Initializer

    if isinstance(value, Initializer):
        return "an initializer"
    return f"a {type(value).__name__.lower()}"


def _is_layer(value: Recipe | OperatorName | Declared) -> bool:
    callee = value.callee if isinstance(value, Recipe) else value
    name = callee.name if isinstance(callee, OperatorName) else callee.node.name
    return name[:1].isupper()
