"""Entering a body: what its parameters mean inside of it, and what its names mean where it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnspec.elaboration import binding, shapes
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim, lone_symbol, symbol
from nnspec.ir.graph import Function, Port
from nnspec.ir.rename import Renaming
from nnspec.ir.terms import Term, Traced
from nnspec.ir.terms import name as named_term
from nnspec.ir.values import (
    NONE,
    Declared,
    Sequence,
    Tensor,
    Value,
    as_term,
    kind_of,
    renamed,
)
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.elaboration.apply import Arguments, Site


def enter(frame: Frame, bound: binding.Bound) -> list[Port]:
    """Binds the parameters in the frame of the body, each constant known by its name."""
    for name, value in bound.constants.items():
        frame.names[name] = by_name(name, value)
    if isinstance(bound.declared.node, ast.Model):
        return []
    ports: list[Port] = []
    for name, value in bound.tensors.items():
        ports.append(_enter_tensor(frame, name, bound.written[name], value))
    return ports


def by_name(name: str, value: Value) -> Value:
    """A constant inside the body that takes it: known by its parameter's name."""
    if isinstance(value, Dim):
        return (
            value.value.named(symbol(name))
            if value.is_constant
            else value.named(symbol(name))
        )
    if isinstance(value, Traced) and value.value is None:
        return value
    return renamed(value, named_term(name))


def _enter_tensor(
    frame: Frame, name: str, parameter: ast.Parameter, value: Tensor | Sequence | None
) -> Port:
    place = frame.at(parameter.span)
    kind = parameter.type
    assert isinstance(kind, ast.ShapeType)
    if value is None:
        frame.names[name] = NONE
        return Port(name, None)
    if isinstance(value, Tensor):
        matched = shapes.match_input(frame, name, kind, value)
        tensor = frame.builder.value(matched, place)
        frame.names[name] = tensor
        return Port(name, tensor.id)
    assert isinstance(kind.element, ast.ShapeType)
    tensors: list[Tensor] = []
    for i, item in enumerate(value.items):
        if not isinstance(item, Tensor):
            raise frame.error(
                "E0308",
                f"`{name}` holds tensors, and this is {kind_of(item)}",
                parameter,
            )
        matched = shapes.match_input(frame, f"{name}.{i}", kind.element, item)
        tensors.append(frame.builder.value(matched, place))
    frame.names[name] = Sequence(tuple(tensors))
    return Port(name, tuple(tensor.id for tensor in tensors), listed=True)


def enter_fn(
    frame: Frame, inner: Frame, callee: Declared, arguments: Arguments, site: Site
) -> None:
    """Binds the parameters of a fn, whose body is inlined: everything keeps the caller's names."""
    bound = binding.bind(frame, callee, arguments, site)
    for name, value in bound.constants.items():
        inner.names[name] = value
    for name, value in bound.tensors.items():
        parameter = bound.written[name]
        kind = parameter.type
        assert isinstance(kind, ast.ShapeType)
        if isinstance(value, Tensor):
            _name_sizes(inner, name, kind, value)
        inner.names[name] = NONE if value is None else value


def _name_sizes(inner: Frame, name: str, kind: ast.ShapeType, value: Tensor) -> None:
    """Names of a fn's input type mean the caller's sizes."""
    shapes.check_claim(inner, name, kind, value)


def renaming(function: Function, bound: binding.Bound) -> Renaming:
    """What the names of a function are where it is called."""
    sizes: dict[str, Dim] = {}
    terms: dict[str, Term | None] = {}
    for name, value in bound.constants.items():
        if isinstance(value, Dim):
            sizes[name] = value
        else:
            terms[name] = as_term(value)
    for port in function.inputs:
        given = bound.tensors.get(port.name)
        if isinstance(given, Tensor) and isinstance(port.values, int):
            _pair(sizes, function, port.values, given)
        elif isinstance(given, Sequence) and isinstance(port.values, tuple):
            for value, item in zip(port.values, given.items, strict=True):
                if isinstance(item, Tensor):
                    _pair(sizes, function, value, item)
    return Renaming(sizes, terms, function)


def _pair(sizes: dict[str, Dim], function: Function, value: int, given: Tensor) -> None:
    for own, outer in zip(function.types[value].shape, given.type.shape, strict=True):
        name = lone_symbol(own.generic)
        if name is not None and name.scale == 1:
            sizes.setdefault(name.symbol, outer)
