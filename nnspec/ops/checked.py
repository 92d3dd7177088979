"""Frozen objects whose fields are checked: what operators are made of.

The annotation of a field says what it takes. Nothing is converted in silence: an integer is a `Dim`, true is
no number. `Before(f)` and `After(f)` in an `Annotated` kind call `f` on the value before and after the check;
`f` returns the value to go on with, or raises `ValueError`. Kinds are a class, `None`, `Any`, `Literal[...]`,
tuples, `dict[..., ...]`, and unions of them; they are read when the first object of a class is made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, field
from functools import cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NoReturn,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)

from nnspec.ir.dims import Dim
from nnspec.ir.types import DType
from nnspec.records import dataclass

Check: TypeAlias = Callable[[Any], Any]
_C = TypeVar("_C", bound="Checked")


class FieldError(ValueError):
    """A field is missing, unknown, or not what it takes: `reason` is a phrase, such as "must be a number"."""

    def __init__(self, name: str, reason: str, *, missing: bool = False) -> None:
        super().__init__(f"`{name}` {reason}")
        self.name, self.reason, self.missing = name, reason, missing


@dataclass(frozen=True, slots=True)
class Before:
    """Calls a function on a value before it is checked."""

    function: Check


@dataclass(frozen=True, slots=True)
class After:
    """Calls a function on a value that has been checked."""

    function: Check


@dataclass(frozen=True, slots=True)
class FieldKind:
    """A field of a class: how its values are checked, and what it is unless given."""

    check: Check
    default: Any  # MISSING if there is none
    factory: Any

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING and self.factory is MISSING

    def unless_given(self) -> Any:
        """The default."""
        return self.default if self.factory is MISSING else self.factory()


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(field,)
)
class Checked:
    """Base of classes with checked fields; all are given by name. Raises `FieldError`."""

    __slots__ = ("__dict__", "__weakref__", "given")
    given: frozenset[str]  # the names of the fields that were given

    def __init__(self, **given: Any) -> None:
        kinds = fields_of(type(self))
        values: dict[str, Any] = {}
        for name, kind in kinds.items():
            if name in given:
                values[name] = _checked(name, kind, given[name])
            elif kind.is_required:
                raise FieldError(name, "is missing", missing=True)
            else:
                values[name] = kind.unless_given()
        for name in given:
            if name not in kinds:
                raise FieldError(name, "is no field")
        self.__setstate__((values, frozenset(given)))

    def __getstate__(self) -> tuple[dict[str, Any], frozenset[str]]:
        return self.__dict__, self.given

    def __setstate__(self, state: tuple[dict[str, Any], frozenset[str]]) -> None:
        self.__dict__.update(state[0])
        object.__setattr__(self, "given", state[1])

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={each!r}" for name, each in self.__dict__.items())
        return f"{type(self).__name__}({shown})"

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


def with_fields(made: _C, **changed: Any) -> _C:
    """The same object with other values of some fields, which are not checked again."""
    copied = object.__new__(type(made))
    copied.__setstate__(({**made.__dict__, **changed}, made.given | set(changed)))
    return copied


@cache
def fields_of(cls: type[Checked]) -> Mapping[str, FieldKind]:
    """The fields of a class by name, those of its bases first."""
    found: dict[str, FieldKind] = {}
    for base in reversed(cls.__mro__):
        module = sys.modules[base.__module__]
        if not issubclass(base, Checked) or base is Checked:
            continue
        for name, written in get_annotations(base).items():
            if not _is_of_class(written):
                kind: Any = (
                    eval(written, vars(module)) if isinstance(written, str) else written
                )
                found[name] = _field_kind(base, name, kind)
    return found


def _is_of_class(written: Any) -> bool:
    shown = written if isinstance(written, str) else repr(written)
    return shown.removeprefix("typing.").startswith("ClassVar")


def _field_kind(cls: type, name: str, kind: Any) -> FieldKind:
    default = cls.__dict__.get(name, MISSING)
    if isinstance(default, Field):
        specified = cast("Field[Any]", default)
        return FieldKind(checker(kind), specified.default, specified.default_factory)
    return FieldKind(checker(kind), default, MISSING)


def _checked(name: str, kind: FieldKind, value: Any) -> Any:
    try:
        return kind.check(value)
    except ValueError as error:
        raise FieldError(name, str(error)) from None


# ---- kinds ------------------------------------------------------------------------------------------

_WANTED = {
    Dim: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    tuple: "a list",
    dict: "names with values",
    NoneType: "none",
    DType: "a dtype such as `f32`",
}


@cache
def checker(kind: Any) -> Check:
    """What checks values of a kind: it returns the value, or raises `ValueError`."""
    if kind is Any:
        return lambda value: value
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(checker(inner[0]), inner[1:])
    if origin in (Union, UnionType):
        return _any_of([checker(each) for each in inner])
    if origin is Literal:
        return _literal(inner)
    if origin is tuple:
        return _tuple(inner)
    if origin is dict:
        return _dict(*map(checker, inner))
    return _instance(NoneType if kind is None else kind)


def _instance(kind: type) -> Check:
    wanted = _WANTED.get(kind) or _described(kind)

    def check(value: Any) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"must be {wanted}")
        return value

    return check


def _described(kind: type) -> str:
    name = kind.__name__.lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _annotated(check: Check, notes: tuple[Any, ...]) -> Check:
    steps = [each.function for each in reversed(notes) if isinstance(each, Before)]
    steps += [check, *(each.function for each in notes if isinstance(each, After))]

    def check_all(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return check_all


def _any_of(checks: list[Check]) -> Check:
    """What one of several kinds takes; if none does, the first one says what is wanted."""

    def check(value: Any) -> Any:
        first: ValueError | None = None
        for each in checks:
            try:
                return each(value)
            except ValueError as error:
                first = first or error
        raise first or ValueError("is never right")

    return check


def _literal(allowed: tuple[Any, ...]) -> Check:
    *some, last = [
        f'"{each}"' if isinstance(each, str) else str(each) for each in allowed
    ]
    wanted = f"{', '.join(some)} or {last}" if some else last

    def check(value: Any) -> Any:
        if not any(type(value) is type(each) and value == each for each in allowed):
            raise ValueError(f"must be {wanted}")
        return value

    return check


def _tuple(inner: tuple[Any, ...]) -> Check:
    is_list = inner[1:] == (...,)
    checks = [checker(each) for each in inner if each is not ...]
    is_tuple = _instance(tuple)

    def check(value: Any) -> Any:
        items = is_tuple(value)
        if not is_list and len(items) != len(checks):
            raise ValueError(f"must be a list of {len(checks)}")
        each = checks * len(items) if is_list else checks
        return tuple(check(item) for check, item in zip(each, items, strict=True))

    return check


def _dict(key: Check, item: Check) -> Check:
    is_dict = _instance(dict)
    return lambda value: {
        key(name): item(each) for name, each in is_dict(value).items()
    }
