"""Operators lowered and run on their own, without the compiler's code generators.

`lower` asks an operator what it is in one backend and writes down the answer as the source of a
class, with the plainest of printers: everything is parenthesised. The classes are made by
`torch_side` and `keras_worker`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from nnspec.ir.types import TensorType
from nnspec.ops.base import Io, Operator
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr

LABEL = "node"
HELPERS = Path(__file__).parents[2] / "nnspec" / "targets"


def channels_last(rank: int) -> tuple[int, ...]:
    """The order of axes that moves axis 1 to the end."""
    return (0, *range(2, rank), 1)


@dataclass
class DirectIo(Io):
    """The place of an operator that stands alone; collects the modules and parameters it asks for."""

    operator: Operator
    given: dict[str, Any]
    results: tuple[TensorType, ...]
    target: str
    last: bool = False
    modules: dict[str, Expr] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)

    def type(self, name: str) -> TensorType:
        return self.given[name]

    def types(self, name: str) -> tuple[TensorType, ...]:
        return self.given[name]

    def has(self, name: str) -> bool:
        return self.given[name] is not None

    def __getitem__(self, name: str) -> Expr:
        return tree.Input(self.place(name))

    def list(self, name: str) -> Sequence[Expr]:
        first = self.place(name)
        return [tree.Input(first + i) for i in range(len(self.given[name]))]

    def place(self, name: str) -> int:
        """The number of the first tensor of an input, counting those of lists one by one."""
        count = 0
        for other, given in self.given.items():
            if other == name:
                return count
            count += len(given) if isinstance(given, tuple) else given is not None
        raise KeyError(name)

    def arg(self, field: str) -> Expr:
        return tree.expression(getattr(self.operator, field))

    def module(
        self, function: Expr, *arguments: Any, suffix: str = "", **keywords: Any
    ) -> Expr:
        assert suffix not in self.modules, "two submodules need different suffixes"
        if self.target == "keras":
            keywords["name"] = LABEL + suffix
        elif self.takes_options(function):
            keywords |= {"device": tree.Name("device"), "dtype": tree.Name("dtype")}
        self.modules[suffix] = function(*arguments, **keywords)
        return tree.Module(suffix)

    def takes_options(self, function: Expr) -> bool:
        """Whether a function that makes a PyTorch module takes a device and an element type."""
        made = eval(render(function, self.target), namespace(self.target))
        parameters = inspect.signature(made).parameters.values()
        return any(p.name == "device" or p.kind is p.VAR_KEYWORD for p in parameters)

    def parameter(self, name: str) -> Expr:
        if name not in self.parameters:
            self.parameters.append(name)
        return tree.Attribute(tree.Name("self"), f"{LABEL}_{name}")

    def helper(self, name: str) -> Expr:
        return tree.Helper(name)

    def device(self, *, floating: bool = False) -> Mapping[str, Expr]:
        if self.target == "keras":
            return {}
        flat = flat_types(self.given.values())
        places = [
            i for i, kind in enumerate(flat) if kind.dtype.is_float or not floating
        ]
        anchor = (
            tree.Input(places[0]) if places else tree.Name("self").attribute("anchor")
        )
        found: dict[str, Expr] = {"device": anchor.attribute("device")}
        return found | ({"dtype": anchor.attribute("dtype")} if floating else {})

    def axis(self, axis: int, name: str | None = None) -> int:
        rank = self.tensor(name).rank
        assert 0 <= axis < rank, "Io.axis takes an axis from 0"
        return channels_last(rank).index(axis) if self.moved(rank) else axis

    def size(self, axis: int, name: str | None = None) -> Expr:
        name = name or next(iter(self.given))
        return tree.Shape(self[name], self.axis(axis, name))

    def tensor(self, name: str | None) -> TensorType:
        given = self.given[name] if name else next(iter(self.given.values()))
        return given[0] if isinstance(given, tuple) else given

    def moved(self, rank: int) -> bool:
        """Whether a tensor of this rank comes with its channels last."""
        return self.last and rank > 2


@dataclass(frozen=True)
class Lowered:
    """Source of one backend: submodules (attribute to source), bare weights, results."""

    modules: dict[str, str]
    parameters: list[str]
    results: list[str]
    single: bool
    inputs: int

    def function(self, name: str, extra: str = "") -> str:
        """The forward pass as a function definition."""
        names = "".join(f", x{i}" for i in range(self.inputs))
        return f"def {name}(self{names}{extra}):\n    return ({', '.join(self.results)},)\n"


def flat_types(inputs: Iterable[Any]) -> list[TensorType]:
    """The types of all tensors in a row: missing inputs left out, lists one by one."""
    rows = (
        entry if isinstance(entry, tuple) else (entry,)
        for entry in inputs
        if entry is not None
    )
    return [kind for row in rows for kind in row]


def infer(operator: Operator, inputs: Sequence[Any]) -> tuple[TensorType, ...]:
    """The result types, as a tuple in any case."""
    result = operator.infer(*inputs)
    return result if isinstance(result, tuple) else (result,)


def lower(
    operator: Operator, inputs: Sequence[Any], target: str, last: bool = False
) -> Lowered:
    """An operator applied to inputs of these types, as the source of one backend."""
    given = dict(zip(operator.inputs, inputs, strict=True))
    io = DirectIo(operator, given, infer(operator, inputs), target, last)
    lowering: Callable[[Io], Any] = (
        operator.torch if target == "torch" else operator.keras
    )
    result = lowering(io)
    results = result if isinstance(result, tuple) else (result,)
    if not isinstance(result, tuple) and len(io.results) > 1:
        results = (tree.Star(result),)  # one expression of several results
    else:
        assert len(results) == len(io.results), "as many results as the types say"
    return Lowered(
        {LABEL + suffix: render(call, target) for suffix, call in io.modules.items()},
        io.parameters,
        [render(expr, target) for expr in results],
        not isinstance(result, tuple),
        len(flat_types(inputs)),
    )


@cache
def namespace(target: str) -> dict[str, Any]:
    """The names that emitted code of a backend may use: imports and helper functions."""
    imports = {
        "torch": "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n",
        "keras": "import math\nimport keras\nfrom keras import initializers, layers, ops\n",
    }
    # A real module, since PyTorch's tracer looks functions up by the name of theirs.
    module = ModuleType(f"helpers_{target}")
    sys.modules[module.__name__] = module
    names = vars(module)
    source = (HELPERS / f"helpers_{target}.py").read_text()
    header = "from __future__ import annotations\n"
    exec(
        compile(
            header + imports[target] + source.replace(header, ""),
            f"helpers_{target}.py",
            "exec",
        ),
        names,
    )
    return names


# ---- the printer ------------------------------------------------------------------------------------


def render(expr: Expr, target: str) -> str:
    """Python source of a tree; every compound expression in parentheses."""

    def show(part: Expr) -> str:
        return render(part, target)

    match expr:
        case tree.Name(id):
            return id
        case tree.Literal(value):
            return (
                f'float("{value}")'
                if isinstance(value, float) and abs(value) == float("inf")
                else repr(value)
            )
        case tree.Size(dim):
            assert dim.is_constant, (
                f"{dim} depends on a symbol: use Io.size, or -1 in a shape"
            )
            return repr(int(dim))
        case tree.Constant(traced):
            return repr(traced.value)
        case tree.Input(index):
            return f"x{index}"
        case tree.Shape(input, axis):
            return (
                f"{show(input)}.shape[{axis}]"
                if target == "torch"
                else f"ops.shape({show(input)})[{axis}]"
            )
        case tree.Module(suffix):
            return f"self.{LABEL}{suffix}"
        case tree.Helper(name):
            return name
        case tree.Attribute(object, name):
            return f"({show(object)}).{name}"
        case tree.Default(value, _):
            return show(value)
        case tree.Call(function, arguments, keywords):
            return f"({show(function)})({', '.join([*map(show, arguments), *_keywords(keywords, target)])})"
        case tree.Star(value, double):
            return f"{'**' if double else '*'}{show(value)}"
        case tree.Subscript(object, subscript):
            return f"({show(object)})[{_subscript(subscript, target)}]"
        case tree.Display("tuple", items):
            return f"({''.join(show(item) + ', ' for item in items)})"
        case tree.Display(kind, items):
            inside = ", ".join(map(show, items))
            return f"[{inside}]" if kind == "list" else f"{{{inside}}}"
        case tree.Dict(entries):
            return (
                "{"
                + ", ".join(
                    f"{k!r}: {show(v)}" if k else f"**{show(v)}" for k, v in entries
                )
                + "}"
            )
        case tree.Binary(operator, left, right):
            return f"({show(left)} {operator} {show(right)})"
        case tree.Unary(operator, operand):
            return f"({operator} {show(operand)})"
        case tree.Choice(condition, then, otherwise):
            return f"({show(then)} if {show(condition)} else {show(otherwise)})"
        case tree.Generator(element, name, iterable, kind):
            inside = f"{show(element)} for {show(name)} in {show(iterable)}"
            return f"[{inside}]" if kind == "list" else f"({inside})"
    raise TypeError(f"no source for {expr!r}")


def _keywords(keywords: Sequence[tuple[str, Expr]], target: str) -> list[str]:
    shown: list[str] = []
    for key, value in keywords:
        text = render(value, target)
        if (
            isinstance(value, tree.Default)
            and _is_constant(value)
            and eval(text) == value.default
        ):
            continue
        shown.append(f"{key}={text}")
    return shown


def _is_constant(value: Expr) -> bool:
    kinds = (
        tree.Default,
        tree.Literal,
        tree.Size,
        tree.Constant,
        tree.Display,
        tree.Binary,
        tree.Unary,
    )
    return all(isinstance(part, kinds) for part in tree.walk(value))


def _subscript(subscript: Expr, target: str) -> str:
    match subscript:
        case tree.Slice(start, stop, step):
            parts = [render(part, target) if part else "" for part in (start, stop)]
            return ":".join(parts) + (f":{render(step, target)}" if step else "")
        case tree.Ellipsis_():
            return "..."
        case tree.Display("tuple", items):
            return "".join(_subscript(item, target) + ", " for item in items) or "()"
    return render(subscript, target)
