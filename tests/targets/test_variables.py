"""Which variable holds what while a body is written, and what is saved before it is written over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import nnspec.targets.merged as merged
from nnspec.ir.types import tensor
from nnspec.pycode import statements as py
from nnspec.pycode.expressions import Binary, Expr, Name
from nnspec.targets.names import Names
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.environment import Environment
from nnspec.targets.writing.variables import Variables
from nnspec.targets.writing.written import Written


class Writing:
    """An environment in which `x` is given, with what writes to it."""

    def __init__(self, uses: int = 1, kept: tuple[str, ...] = ()) -> None:
        self.written = Written(indent=2)
        self.known = Environment(Names("torch", {"self", "x"}), kept)
        self.given = value("x", uses=uses)
        function: Any = SimpleNamespace(outputs=(), kind="block")
        plan: Any = SimpleNamespace(items=[], inputs=[self.given], function=function)
        self.variables = Variables(plan, self.known, self.written)
        self.known.hold(self.given, Name("x"))

    def lines(self) -> list[str]:
        """The assignments so far."""
        return [text(statement) for statement in self.written.statements]


def value(name: str | None = None, uses: int = 1) -> merged.Value:
    return merged.Value(tensor(2), (0,), name, uses)


def plus(expression: Expr) -> Expr:
    return Binary("+", expression, Name("one"))


def text(statement: py.Statement) -> str:
    assert isinstance(statement, py.Assign)
    return f"{spoken(statement.targets[0])} = {spoken(statement.value)}"


def spoken(expression: Expr) -> str:
    if isinstance(expression, Binary):
        return f"{spoken(expression.left)} + {spoken(expression.right)}"
    assert isinstance(expression, Name)
    return expression.id


@pytest.mark.parametrize(("uses", "saved"), [(1, []), (2, ["x_before = x"])])
def test_a_variable_is_saved_only_if_what_it_holds_is_still_read(
    uses: int, saved: list[str]
) -> None:
    at = Writing(uses)
    result = value("x")
    at.variables.wait(result, plus(at.variables.read(at.given)))
    at.variables.bind("x", result)
    assert at.lines() == [*saved, "x = x + one"]
    assert at.known.held[result] == Name("x")
    kept = at.known.held[at.given]
    assert kept == (Name("x_before") if saved else Name("x"))


def test_what_is_read_once_is_written_where_it_is_read() -> None:
    at = Writing()
    result = value()
    at.variables.wait(result, plus(Name("x")))
    assert at.lines() == []
    assert at.variables.read(result) == plus(Name("x"))
    with pytest.raises(Unspellable):
        at.variables.read(result)


def test_what_is_read_twice_gets_a_variable() -> None:
    at = Writing()
    result = value(uses=2)
    at.variables.wait(result, plus(Name("x")))
    assert at.lines() == ["y = x + one"]
    assert [at.variables.read(result) for _ in range(2)] == [Name("y")] * 2


@pytest.mark.parametrize(("kept", "free"), [((), True), (("x",), False)])
def test_variables_that_are_kept_are_given_no_other_value(
    kept: tuple[str, ...], free: bool
) -> None:
    at = Writing(kept=kept)
    at.variables.read(at.given)
    assert at.known.is_free("x") is free


def test_ways_of_a_branch_begin_with_what_was_known_before_it() -> None:
    at = Writing(uses=3)
    before = at.known.state()
    with at.written.block() as way:
        at.variables.lies_in("y", at.given)
    assert (at.lines(), list(map(text, way))) == ([], ["y = x"])
    at.known.restore(before)
    assert at.known.left[at.given] == 3
    assert "y" not in at.known.holders
    at.known.is_in("y", at.given)
    assert at.known.in_another(at.given, Name("y")) == Name("x")
