"""What an operator is applied to: arguments, sorted into its tensor inputs and its fields."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.elaboration import complaints
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim
from nnspec.ir.terms import Term
from nnspec.ir.types import DType
from nnspec.ir.values import (
    Builtin,
    Declared,
    Instance,
    OperatorName,
    Poisoned,
    Range,
    Sequence,
    Tensor,
    Traced,
    Unknown,
    Value,
    is_constant,
    kind_of,
    term_of,
)
from nnspec.ops.checked import fields_of
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.elaboration.apply import Arguments, Site


class Operands:
    """The arguments of one use of an operator, on their way to its inputs and fields."""

    def __init__(
        self, frame: Frame, callee: OperatorName, arguments: Arguments, site: Site
    ) -> None:
        self.frame, self.cls, self.name = frame, callee.cls, callee.name
        self.spans, self.site = arguments.spans, site
        self.inputs: dict[str, Tensor | Sequence] = {}
        self.fields: dict[str, Any] = {}
        self.terms: dict[str, Term] = {}
        hidden = {f"{name}_value" for name in self.cls.scalars} | {self.cls.open}
        self.field_names = [name for name in fields_of(self.cls) if name not in hidden]

    def feed(self, value: Value) -> None:
        """A value that came along an arrow, or stood among the tensors of a call."""
        name = self._next_input()
        if name is None:
            raise self._surplus()
        if isinstance(value, Tensor) or (
            isinstance(value, Sequence) and name in self.cls.listed
        ):
            self._put(name, value)
        elif is_constant(value) and name in self.cls.scalars:
            self._scalar(name, value)
        elif is_constant(value) and not isinstance(self.site.node, ast.Stage):
            self.positional(-1, value)
        else:
            raise self._no_tensor(value, name)

    def positional(self, place: int, value: Value) -> None:
        """An argument without a name."""
        name = self._next_input()
        if isinstance(value, Tensor) or (
            isinstance(value, Sequence) and value.holds_tensors
        ):
            if name is None:
                raise self._surplus(place)
            self._put(name, value, place)
            return
        if name is not None and name in self.cls.scalars:
            self._scalar(name, value)
            return
        if name is not None and name in self.cls.listed and isinstance(value, Sequence):
            raise self._no_tensor(value, name) if value.items else self._empty()
        free = [field for field in self.field_names if field not in self.fields]
        if not free:
            raise self.frame.error(
                "E0303",
                f"`{self.name}` takes no more arguments",
                self.spans.get(place, self.site.span),
                hint=complaints.listed(self.field_names),
            )
        self.spans.setdefault(free[0], self.spans.get(place, self.site.span))
        self._field(free[0], value)

    def keyword(self, name: str, value: Value) -> None:
        """An argument with a name."""
        if name in self.cls.inputs:
            if name in self.inputs:
                raise self._twice(name)
            if (
                isinstance(value, Traced)
                and value.value is None
                and name in self.cls.optional
            ):
                return
            if isinstance(value, Tensor) or (
                isinstance(value, Sequence) and name in self.cls.listed
            ):
                self._put(name, value)
            elif name in self.cls.scalars and is_constant(value):
                self._scalar(name, value)
            else:
                raise self._no_tensor(value, name)
            return
        if name in self.fields:
            raise self._twice(name)
        if name in self.field_names:
            self._field(name, value)
        elif self.cls.open is not None:
            self.fields.setdefault(self.cls.open, {})[name] = self._plain(name, value)
        else:
            raise self._unknown_keyword(name)

    def ordered(self) -> list[Tensor | Sequence | None]:
        """The inputs in the operator's order, None where one is missing."""
        return [self.inputs.get(name) for name in self.cls.inputs]

    def require_inputs(self) -> None:
        """Raises `SpecError` if an input is missing."""
        for name in self.cls.inputs:
            given = name in self.inputs or f"{name}_value" in self.fields
            if not given and name not in self.cls.optional:
                raise self.frame.error(
                    "E0306",
                    f"`{self.name}` needs the tensor `{name}`, and it is not given",
                    self.site.span,
                    hint=self._feeding(),
                )
        if self.cls.scalars and not self.inputs:
            raise self.frame.error(
                "E0306",
                f"`{self.name}` is given constants only, and needs a tensor",
                self.site.span,
                hint="constants are computed by their signs, such as `1 + 2`",
            )

    def _feeding(self) -> str:
        wanted = [name for name in self.cls.inputs if name not in self.cls.optional]
        shown = f"({', '.join(wanted)})" if len(wanted) > 1 else "x"
        return f"feed it: `{shown} -> {self.name}(...)`"

    # ---- one at a time ----

    def _next_input(self) -> str | None:
        for name in self.cls.inputs:
            if name in self.cls.variadic:
                return name
            if name not in self.inputs and f"{name}_value" not in self.fields:
                return name
        return None

    def _put(self, name: str, value: Tensor | Sequence, place: int = -1) -> None:
        if name in self.cls.variadic:
            known = self.inputs.get(name)
            before = known.items if isinstance(known, Sequence) else ()
            more = value.items if isinstance(value, Sequence) else (value,)
            value = Sequence((*before, *more))
        if isinstance(value, Sequence) and name not in self.cls.listed:
            raise self._no_tensor(value, name)
        if isinstance(value, Sequence):
            for item in value.items:
                if isinstance(item, Unknown):
                    raise Poisoned
                if not isinstance(item, Tensor):
                    raise self._no_tensor(item, name)
            if not value.items:
                raise self._empty()
        elif name in self.cls.listed:
            raise self.frame.error(
                "E0308",
                f"`{self.name}` takes a list of tensors, and this is {kind_of(value)}",
                self.spans.get(place, self.site.span),
                hint=f"put the tensors in brackets: `[a, b] -> {self.name}(...)`",
            )
        self.inputs[name] = value

    def _scalar(self, name: str, value: Value) -> None:
        self._field(f"{name}_value", value)

    def _field(self, name: str, value: Value) -> None:
        self.fields[name] = self._plain(name, value)
        term = term_of(value)
        if term is not None:
            self.terms[name] = term

    def _plain(self, name: str, value: Value) -> Any:
        match value:
            case Dim():
                return value
            case Traced():
                if isinstance(value.value, Fraction):
                    return float(value.value)
                return value.value
            case Sequence():
                return tuple(self._plain(name, item) for item in value.items)
            case Range():
                from nnspec.elaboration.lists import elements

                items = elements(self.frame, value, self.site.node)
                return tuple(self._plain(name, item) for item in items)
            case Builtin(name="float"):
                return DType.FLOAT
            case Builtin(name="int"):
                return DType.I64
            case _:
                raise self.frame.error(
                    "E0308",
                    f"`{name}` of `{self.name}` is a constant, and this is {kind_of(value)}",
                    self._span(name),
                    hint=f"call it: `{value.name}(...)`"
                    if isinstance(value, Builtin)
                    else None,
                )

    # ---- what can be wrong ----

    def _span(self, name: str) -> Any:
        return self.spans.get(name, self.site.span)

    def _surplus(self, place: int = -1) -> SpecError:
        names = ", ".join(f"`{name}`" for name in self.cls.inputs)
        count = complaints.counted(len(self.cls.inputs), "tensor")
        message = f"too many tensors: `{self.name}` takes {count}{f' ({names})' if names else ''}"
        return self.frame.error("E0307", message, self.spans.get(place, self.site.span))

    def _empty(self) -> SpecError:
        hint = "give it at least one tensor"
        message = f"`{self.name}` is given an empty list"
        return self.frame.error("E0306", message, self.site.span, hint=hint)

    def _no_tensor(self, value: Value, name: str) -> SpecError:
        return self.frame.error(
            "E0308",
            f"`{name}` of `{self.name}` must be a tensor, and this is {kind_of(value)}",
            self._span(name),
            hint=_no_tensor_hint(value),
        )

    def _twice(self, name: str) -> SpecError:
        message = f"`{name}` of `{self.name}` is given twice"
        hint = "an argument without a name gave it already: delete one of the two"
        return self.frame.error("E0304", message, self._span(name), hint=hint)

    def _unknown_keyword(self, name: str) -> SpecError:
        known = [*self.field_names, *self.cls.inputs]
        hint = complaints.foreign_argument(name, known) or did_you_mean(name, known)
        hint = hint or complaints.listed(self.field_names)
        message = f"`{self.name}` has no argument named `{name}`"
        return self.frame.error("E0302", message, self._span(name), hint=hint)


def _no_tensor_hint(value: Value) -> str | None:
    if is_constant(value):
        return "a number becomes a tensor by `tensor(3.0)`"
    if isinstance(value, Instance | OperatorName | Declared):
        return "apply it to a tensor first"
    return None
