"""The JSON form of a program: what `nnspec ir --json` writes, as pydantic models.

Expressions (dims, their atoms, terms) lie in one flat table in which each refers only to earlier ones;
everything else refers to them by place. Nodes name values by number, locations name source texts by
place. Numbers that JSON cannot write, and kinds that it cannot tell apart, are tagged.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

FORMAT = "nnspec-program"
VERSION = 1

Index: TypeAlias = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """Base of all parts of the document: strict, complete, unchangeable."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


# ---- constants --------------------------------------------------------------------------------------


class FloatValue(Part):
    """A floating-point number; infinities and nan are spelled."""

    kind: Literal["float"] = "float"
    value: Annotated[float, Field(allow_inf_nan=False)] | Literal["inf", "-inf", "nan"]


class FractionValue(Part):
    """An exact decimal number of the spec."""

    kind: Literal["fraction"] = "fraction"
    numerator: int
    denominator: Annotated[int, Field(ge=1)]


class DimValue(Part):
    """An integer expression, by its place in the table."""

    kind: Literal["dim"] = "dim"
    index: Index


class TermValue(Part):
    """A constant as the spec computed it, by its place in the table."""

    kind: Literal["term"] = "term"
    index: Index


class DtypeValue(Part):
    """An element type."""

    kind: Literal["dtype"] = "dtype"
    name: str


class TupleValue(Part):
    """Several values."""

    kind: Literal["tuple"] = "tuple"
    items: list[Value]


class MapValue(Part):
    """Values by name, in order."""

    kind: Literal["map"] = "map"
    items: dict[str, Value]


class RecordValue(Part):
    """A value of a class of nnspec (an initializer, a slice, a traced constant) by its fields."""

    kind: Literal["record"] = "record"
    type: str
    fields: dict[str, Value]


class OperatorValue(Part):
    """An operator or a function of constants, by name."""

    kind: Literal["operator", "builtin"]
    name: str


class DeclaredValue(Part):
    """A block, model or fn of one of the source texts."""

    kind: Literal["declared"] = "declared"
    source: Index
    name: str


class RecipeValue(Part):
    """A layer or function with some arguments given."""

    kind: Literal["recipe"] = "recipe"
    callee: OperatorValue | DeclaredValue
    arguments: list[Value]
    keywords: dict[str, Value]


Value: TypeAlias = (
    bool
    | int
    | str
    | Annotated[
        FloatValue
        | FractionValue
        | DimValue
        | TermValue
        | DtypeValue
        | TupleValue
        | MapValue
        | RecordValue
        | OperatorValue
        | DeclaredValue
        | RecipeValue,
        Field(discriminator="kind"),
    ]
    | None
)

# ---- expressions ------------------------------------------------------------------------------------


class SymbolExpression(Part):
    """An atom: a named size, known to be a multiple of `scale`; stands for size / scale."""

    kind: Literal["symbol"] = "symbol"
    name: str
    scale: Annotated[int, Field(ge=1)] = 1


class OperationExpression(Part):
    """An atom: an operation on dims that a polynomial cannot say."""

    kind: Literal["//", "%", "^", "min", "max"]
    arguments: Annotated[list[Index], Field(min_length=1)]


class TurnsExpression(Part):
    """An atom: the largest of a value over the turns `first <= turn < stop` of a loop, or the sum; 0 where there are none.

    `turn` is the name of a symbol that stands for a turn in the value, and for nothing elsewhere.
    """

    kind: Literal["greatest", "sum"]
    turn: Annotated[str, Field(min_length=1)]
    value: Index
    first: Index
    stop: Index


class OpaqueExpression(Part):
    """An atom: an integer that only a term describes."""

    kind: Literal["opaque"] = "opaque"
    term: Index


class Factor(Part):
    """An atom (by place) to a power."""

    atom: Index
    power: Annotated[int, Field(ge=1)] = 1


class MonomialPart(Part):
    """A coefficient times a product of atoms."""

    coefficient: int
    factors: list[Factor] = []


class DimExpression(Part):
    """A sum of monomials; the same in the names of its block where that says more."""

    kind: Literal["dim"] = "dim"
    terms: list[MonomialPart]
    generic: Index | None = None


class TermExpression(Part):
    """An operator on constants, and its arguments."""

    kind: Literal["term"] = "term"
    operator: str
    arguments: list[Value]


Expression: TypeAlias = Annotated[
    SymbolExpression
    | OperationExpression
    | TurnsExpression
    | OpaqueExpression
    | DimExpression
    | TermExpression,
    Field(discriminator="kind"),
]

# ---- functions --------------------------------------------------------------------------------------

ArgumentPart: TypeAlias = Index | list[Index] | None


class LocationPart(Part):
    """A half-open range of character offsets in a source text."""

    source: Index
    start: Index
    end: Index


class MarksPart(Part):
    """What annotations say."""

    frozen: bool = False
    checkpoint: bool = False
    device: str | None = None


class TypePart(Part):
    """The type of a value: element type and the dims of its shape."""

    id: Index
    dtype: str
    shape: list[Index]


class OperatorPart(Part):
    """An operator with the arguments that it was given."""

    name: str
    fields: dict[str, Value]


class NodePart(Part):
    """One application of an operator, one call, or one read of a weight.

    `loops` has an entry for each number in the path: the `uid` of the loop around the node whose turn it
    is, whatever the constants are, or null. `lists` says of list inputs, by their names, how loops grew them.
    """

    id: Index
    inputs: list[ArgumentPart]
    outputs: list[Index]
    path: list[str | int]
    loops: list[int | None]
    location: LocationPart
    op: OperatorPart | None = None
    callee: str | None = None
    weight: str | None = None
    owns: bool = False
    terms: dict[str, Index] = {}
    arguments: dict[str, Value] = {}
    marks: MarksPart = MarksPart()
    lists: dict[str, Index] = {}


class StepItem(Part):
    """A node runs."""

    kind: Literal["step"] = "step"
    node: Index


class BindingItem(Part):
    """A name comes to mean a value."""

    kind: Literal["binding"] = "binding"
    name: str
    value: Index


class BranchItem(Part):
    """An `if`, and what was done there."""

    kind: Literal["branch"] = "branch"
    condition: Index
    taken: bool
    body: list[Item]


class IterationPart(Part):
    """One turn of a loop."""

    values: dict[str, Value]
    body: list[Item]
    taken: list[TakenPart] = []


class TakenPart(Part):
    """An element of a list of tensors that loops grew."""

    uid: int
    value: Index
    elements: Index
    place: Index


class PatternPart(Part):
    """Several loop variables side by side."""

    items: list[str | PatternPart]


class LoopItem(Part):
    """A `for`, turn by turn."""

    kind: Literal["loop"] = "loop"
    uid: int
    pattern: str | PatternPart
    variables: list[str]
    iterable: Index | None
    iterations: list[IterationPart]
    carried: dict[str, list[Index]]
    lists: dict[str, list[Index]] = {}
    elements: Index | None = None
    constants: dict[str, list[Index]] = {}


class RequirementItem(Part):
    """A `require`."""

    kind: Literal["requirement"] = "requirement"
    condition: Index
    message: str | None
    symbols: list[str]


class ResultItem(Part):
    """The end: the values of the outputs."""

    kind: Literal["result"] = "result"
    values: list[ArgumentPart]


Item: TypeAlias = Annotated[
    StepItem | BindingItem | BranchItem | LoopItem | RequirementItem | ResultItem,
    Field(discriminator="kind"),
]


class PortPart(Part):
    """An input or output of a function."""

    name: str
    values: ArgumentPart
    listed: bool = False


class ParameterPart(Part):
    """A constant that a block was specialised for."""

    name: str
    value: Value
    default: Value = None
    has_default: bool = False
    kind: str


class RunningPart(Part):
    """A size that a loop carries."""

    symbol: str
    name: str
    axis: Index | None
    initial: Index
    update: Index
    constant: bool
    same: str | None = None


class FunctionPart(Part):
    """A block or model, specialised."""

    key: str
    name: str
    kind: Literal["block", "model"]
    doc: str | None
    parameters: list[ParameterPart]
    inputs: list[PortPart]
    outputs: list[PortPart]
    nodes: list[NodePart]
    types: list[TypePart]
    structure: list[Item]
    running: dict[str, RunningPart]
    dims: dict[str, Index]
    location: LocationPart
    marks: MarksPart = MarksPart()


class SourcePart(Part):
    """A text that locations point into."""

    name: str
    text: str


class BoundsPart(Part):
    """The least and the greatest that a symbol can be, both inclusive."""

    low: int
    high: int | None


class AssumptionsPart(Part):
    """What is known of the symbols."""

    bounds: dict[str, BoundsPart]
    multiples: dict[str, Annotated[int, Field(ge=1)]]


class RequirementPart(Part):
    """A size that must be at least 1."""

    text: str
    size: Index


class BudgetPart(Part):
    """What the model may cost: a figure at some sizes and assumptions, and its bound."""

    figure: str
    sizes: dict[str, int]
    assumes: dict[str, str]
    operator: Literal["<", "<=", ">", ">="]
    numerator: int
    denominator: Annotated[int, Field(ge=1)]
    unit: Literal["", "B", "FLOPs", "MACs"]
    location: LocationPart
    message: str | None


class Document(Part):
    """A whole program."""

    format: Literal["nnspec-program"]
    version: Literal[1]
    name: str
    entry: str
    source_name: str
    doc: str | None
    symbols: list[str]
    assumptions: AssumptionsPart
    requirements: list[RequirementPart]
    budgets: list[BudgetPart]
    sources: list[SourcePart]
    expressions: list[Expression]
    functions: list[FunctionPart]
