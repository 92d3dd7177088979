"""Expressions that are still to be written."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Hashable)
Expression = TypeVar("Expression")


class Pending(Generic[Value, Expression]):
    """The expressions that values stand for until something reads them, in order; those that read a variable are found at once."""

    def __init__(self, reads: Callable[[Expression], Iterable[Hashable]]) -> None:
        """`reads` tells what an expression reads."""
        self._reads = reads
        self._expressions: dict[Value, Expression] = {}
        self._readers: dict[Hashable, dict[Value, None]] = {}

    def __contains__(self, value: Value) -> bool:
        return value in self._expressions

    def __iter__(self) -> Iterator[Value]:
        return iter(self._expressions)

    def __getitem__(self, value: Value) -> Expression:
        return self._expressions[value]

    def get(self, value: Value) -> Expression | None:
        """The expression of a value, if that is still to be written."""
        return self._expressions.get(value)

    def __setitem__(self, value: Value, expression: Expression) -> None:
        if value in self._expressions:
            self._forget(value)
        self._expressions[value] = expression
        for each in self._reads(expression):
            self._readers.setdefault(each, {})[value] = None

    def pop(self, value: Value) -> Expression:
        """Takes the expression of a value out."""
        self._forget(value)
        return self._expressions.pop(value)

    def _forget(self, value: Value) -> None:
        for each in self._reads(self._expressions[value]):
            readers = self._readers.get(each, {})
            readers.pop(value, None)
            if not readers:
                self._readers.pop(each, None)

    def reading(self, read: Hashable) -> list[Value]:
        """The values of expressions that read something."""
        return list(self._readers.get(read, ()))
