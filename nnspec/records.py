"""Dataclasses whose methods are written when they are first needed.

`dataclasses.dataclass` compiles up to six methods for each class while its module is loaded: with hundreds
of classes, a third of what a short command costs. The `dataclass` of this module takes the options `frozen`,
`eq` and `slots` of that one, and makes dataclasses to type checkers and to `dataclasses` itself, but does so
when the first object is made or when somebody asks for the fields. It then compiles the constructor only.
"""

from __future__ import annotations

import dataclasses
from _thread import RLock  # the module `threading` is not needed for it
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import MISSING, Field, FrozenInstanceError, field
from functools import cache
from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]

_LOCK = RLock()
_PLACES = ("__dataclass_fields__", "__dataclass_params__", "__match_args__")


def _dataclass(
    cls: type | None = None,
    /,
    *,
    frozen: bool = False,
    eq: bool = True,
    slots: bool = False,
) -> Any:
    def decorated(written: type) -> type:
        deferred = _Deferred(written, frozen, eq)
        return deferred.slotted() if slots else deferred.filled()

    return decorated if cls is None else decorated(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass


class _Deferred:
    """A class that will be a dataclass: `origin` as it was written, `made` the same or, with slots, anew."""

    def __init__(self, origin: type, frozen: bool, eq: bool) -> None:
        self.origin = origin
        self.made: Any = origin
        self.frozen = frozen
        self.is_complete = False
        written = origin.__dict__
        compared = ("__eq__", "__hash__") if eq else ()
        methods = ("__init__", "__repr__", *compared)
        self.wanted = [name for name in methods if written.get(name) is None]

    def filled(self) -> type:
        """The class with what it needs until it is complete."""
        for name, value in self._provisional().items():
            setattr(self.origin, name, value)
        return self.origin

    def slotted(self) -> type:
        """The same, made again: slots cannot be added to a class that exists."""
        old, kinds = self.origin, self.origin.__annotations__
        names = [name for name in kinds if not kinds[name].startswith("ClassVar")]
        left_out = {"__dict__", "__weakref__", *names}
        body = {k: value for k, value in old.__dict__.items() if k not in left_out}
        inherited = {slot for base in old.__mro__[1:] for slot in _slots(base)}
        body["__slots__"] = tuple(name for name in names if name not in inherited)
        body |= self._provisional()
        body |= {"__getstate__": _state, "__setstate__": _restore}
        self.made = type(old)(old.__name__, old.__bases__, body)
        self.made.__qualname__ = old.__qualname__
        return self.made

    def _provisional(self) -> dict[str, Any]:
        added: dict[str, Any] = {name: _Place(self, name) for name in _PLACES}
        added |= {name: self._first_call(name) for name in self.wanted}
        if "__repr__" in added:
            added["__repr__"] = _shown
        if self.frozen:
            added |= {"__setattr__": _refuse_setting, "__delattr__": _refuse_deleting}
        elif "__hash__" in added:
            added["__hash__"] = None
        return added

    def _first_call(self, name: str) -> Callable[..., Any]:
        def method(instance: Any, /, *arguments: Any, **named: Any) -> Any:
            self.complete()
            setattr(self.made, name, self._method(name))
            return getattr(self.made, name)(instance, *arguments, **named)

        return method

    def _method(self, name: str) -> Callable[..., Any]:
        fields = dataclasses.fields(self.made)
        if name == "__init__":
            return _constructor(self.made, fields, self.frozen)
        values = _values([each.name for each in fields if each.compare])
        return _equality(values) if name == "__eq__" else _hash(values)

    def complete(self) -> None:
        """Makes the class a dataclass, if it is not one yet."""
        with _LOCK:
            if not self.is_complete:
                self._find_fields()
                self.is_complete = True

    def _find_fields(self) -> None:
        own = _own_fields(self.origin)
        fields: dict[str, Field[Any]] = {}
        for base in reversed(self.made.__mro__[1:]):
            fields |= getattr(base, "__dataclass_fields__", {})
        fields |= own
        for name, each in own.items():
            if isinstance(self.made.__dict__.get(name), Field):
                _settle_default(self.made, each)
        self.made.__dataclass_params__ = _params(self.frozen)
        self.made.__dataclass_fields__ = fields
        self.made.__match_args__ = tuple(
            each.name for each in fields.values() if each.init and not each.kw_only
        )


class _Place:
    """Stands for an attribute that a class has once it is complete."""

    def __init__(self, deferred: _Deferred, name: str) -> None:
        self._deferred, self._name = deferred, name

    def __get__(self, instance: object, owner: type) -> Any:
        self._deferred.complete()
        return getattr(owner, self._name)


@dataclasses.dataclass(init=False, repr=False, eq=False)
class _Pattern:
    """What the standard library makes of one field."""

    field: int


_KIND = attrgetter("_field_type")(dataclasses.fields(_Pattern)[0])


@cache
def _params(frozen: bool) -> Any:
    found = copy(attrgetter("__dataclass_params__")(_Pattern))
    found.frozen = frozen
    return found


def _own_fields(origin: type) -> dict[str, Field[Any]]:
    """The fields that a class adds to those of its bases, as the standard library makes them."""
    found: dict[str, Field[Any]] = {}
    for name, kind in origin.__annotations__.items():
        if kind.startswith("ClassVar"):
            continue
        written = origin.__dict__.get(name, MISSING)
        found[name] = _named(
            written if isinstance(written, Field) else field(default=written),
            name,
            kind,
        )
    return found


def _named(made: Any, name: str, kind: str) -> Field[Any]:
    made.name, made.type, made._field_type = name, kind, _KIND
    made.kw_only = made.kw_only is True
    return made


def _settle_default(cls: Any, field: Field[Any]) -> None:
    """Puts the default of a field where `field(...)` stands in the text of the class."""
    if field.default is MISSING:
        delattr(cls, field.name)
    else:
        setattr(cls, field.name, field.default)


def _slots(base: type) -> Sequence[str]:
    return base.__dict__.get("__slots__", ())


# ---- the constructor --------------------------------------------------------------------------------


def _constructor(
    cls: Any, fields: Sequence[Field[Any]], frozen: bool
) -> Callable[..., None]:
    """`__init__` of a class with these fields, compiled."""
    known: dict[str, Any] = {"MISSING": MISSING}
    order = sorted((each for each in fields if each.init), key=_is_named)
    parameters = ", ".join(["self", *_parameters(order, known)])
    lines = list(_assignments(cls, fields, frozen, known))
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({parameters}):\n  {'; '.join(lines) or 'pass'}", known)
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    return known["__init__"]


def _is_named(field: Field[Any]) -> bool:
    return bool(field.kw_only)


def _parameters(order: Iterable[Field[Any]], known: dict[str, Any]) -> Iterator[str]:
    """The parameters as text; their defaults go to `known`."""
    starred = False
    for each in order:
        if each.kw_only and not starred:
            starred = True
            yield "*"
        yield each.name + _default(each, known)


def _default(field: Field[Any], known: dict[str, Any]) -> str:
    if field.default is not MISSING:
        known[f"default_{field.name}"] = field.default
        return f"=default_{field.name}"
    return "=MISSING" if field.default_factory is not MISSING else ""


def _assignments(
    cls: Any, fields: Sequence[Field[Any]], frozen: bool, known: dict[str, Any]
) -> Iterator[str]:
    """The statements that set the fields, past the refusal of frozen classes to set any."""
    unslotted: list[str] = []
    for each in fields:
        name, slot = each.name, getattr(cls, each.name, None)
        value = _value(each, known)
        if value is None:
            continue
        if not frozen:
            yield f"self.{name} = {value}"
        elif isinstance(slot, MemberDescriptorType):
            known[f"put_{name}"] = slot.__set__
            yield f"put_{name}(self, {value})"
        else:
            unslotted.append(f"{name}={value}")
    if unslotted:
        yield f"self.__dict__.update({', '.join(unslotted)})"


def _value(field: Field[Any], known: dict[str, Any]) -> str | None:
    """What a field is set to, as text; None where it stays as the class has it."""
    name = field.name
    if field.default_factory is MISSING:
        return name if field.init else None
    known[f"make_{name}"] = field.default_factory
    given = name if field.init else "MISSING"
    return f"make_{name}() if {given} is MISSING else {given}"


# ---- what needs no compiling ------------------------------------------------------------------------


def _values(names: Sequence[str]) -> Callable[[Any], Any]:
    """What gives the values of an object that others are compared by."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda each: tuple(getattr(each, name) for name in names)


def _equality(values: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def equal(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return equal


def _hash(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    return lambda self: hash(values(self))


def _shown(self: Any) -> str:
    shown = [each.name for each in dataclasses.fields(self) if each.repr]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{type(self).__qualname__}({values})"


def _state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def _restore(self: Any, state: Sequence[Any]) -> None:
    for each, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


def _refuse_setting(self: Any, name: str, value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
