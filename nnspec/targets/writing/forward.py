"""The forward pass of an emitted class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.ir.signs import MIRRORED
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.idioms import negated
from nnspec.pycode.statements import If, Raise, Return, Statement
from nnspec.targets.contents import names_in, spoken_names
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.body import Body, is_own_parameter
from nnspec.targets.writing.environment import Environment
from nnspec.targets.writing.layers import StoredLayers
from nnspec.targets.writing.results import Results
from nnspec.targets.writing.returning import goes_on
from nnspec.targets.writing.scope import spelled
from nnspec.targets.writing.sizes import ForwardScope
from nnspec.targets.writing.variables import Variables, expression_width
from nnspec.targets.writing.written import Written, shape_comment

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import ForwardDialect


class Forward(Body):
    """The body of a method that applies what the constructor has made.

    `stored` are the constants that it reads from `self`, by their names in the spec, once it is written.
    """

    def __init__(
        self,
        plan: ClassPlan,
        dialect: ForwardDialect,
        names: Names,
        parameters: Sequence[Expr],
    ) -> None:
        """`parameters` hold the class's inputs in order."""
        inputs = dict(zip(plan.inputs, parameters, strict=True))
        names.speak(spoken_names(plan.items))
        written, environment = Written(indent=2), Environment(names)
        variables = Variables(plan, environment, written)
        scope = ForwardScope(plan, dialect, names, environment, inputs)
        layers = StoredLayers(plan, dialect, names, scope, written)
        results = Results(plan, dialect, scope, layers, variables, inputs)
        super().__init__(plan, written, environment, variables, scope, layers, results)
        for value, given in inputs.items():
            environment.hold(value, given)
        self._dialect = dialect
        self._names = scope
        self._raised: list[Statement] = []
        self._opening = list(_opening(plan))

    def write(self) -> list[Statement]:
        """The statements: sizes first, then what is always required of them."""
        self.items(self.plan.items)
        return [*self._names.header(), *self._raised, *self.written.statements]

    @property
    def stored(self) -> list[str]:
        return self._names.stored

    def _guard(self, item: merged.Guard) -> None:
        """The constructor has checked it."""

    def _requirement(self, item: merged.Requirement) -> None:
        if not item.symbols:
            return  # the constructor has checked it
        opens = item in self._opening
        known: dict[str, Expr] = {}
        if self._dialect.traces_sizes:
            known = self._names.traced(names_in(item.condition), kept=not opens)

        def resolve(key: str) -> Expr | None:
            return known.get(key) or self._names.resolve(key)

        condition = spelled(item.condition, resolve)
        message = self._message(item, condition)
        refused = negated(condition)
        for size in reversed(known.values()):
            there = tree.Binary("is not", size, Literal(None))
            refused = tree.Binary("and", there, refused)
        check = If(refused, (Raise(Name("ValueError")(message)),))
        if opens:
            self._raised.append(check)
        else:
            self.written.add(check)

    def _message(self, item: merged.Requirement, condition: Expr) -> Expr:
        """`T is 4096, and has to be at most 1024`"""
        if item.message:
            return Literal(item.message)
        assert isinstance(condition, tree.Binary)
        size, sign, limit = condition.left, condition.operator, condition.right
        if not self._is_size(item):
            size, sign, limit = limit, MIRRORED[sign], size
        bound = _BOUNDS[sign]
        if isinstance(size, tree.Binary) and size.operator == "%" and limit == ZERO:
            size, bound, limit = size.left, "a multiple of", size.right
        name = ", ".join(item.symbols)
        end = str(limit.value) if isinstance(limit, Literal) else limit
        return tree.FString((f"{name} is ", size, f", and has to be {bound} ", end))

    def _is_size(self, item: merged.Requirement) -> bool:
        """Whether a size is on the left of a comparison, and not a constant that bounds one."""
        assert isinstance(item.condition, tree.Constant)
        term = item.condition.traced.term
        assert term is not None
        constants = {parameter.name for parameter in self.plan.function.parameters}
        return not constants.issuperset(term.arguments[1].mentioned())

    def _returns(self, value: merged.Value) -> bool:
        last = self.plan.items[-1]
        return isinstance(last, merged.Result) and last.values == (value,)

    def _result(self, item: merged.Result) -> None:
        values = [self._output(value) for value in item.values]
        comment = None
        if len(values) == 1:
            width = len("return ") + expression_width(values[0])
            indent = self.written.indent
            comment = shape_comment(self.plan, item.values[0], indent, width)
        self.written.add(Return(tuple(values), comment))

    def _output(self, value: merged.Value) -> Expr:
        found = self.variables.read(value)
        return self._dialect.tensor(found) if is_own_parameter(found) else found


def _opening(plan: ClassPlan) -> Iterator[merged.Requirement]:
    """What is required of the sizes of inputs on every way through a body: it is checked before anything is computed."""
    for item in plan.items:
        match item:
            case merged.Branch() if goes_on(item) is not None:
                return
            case merged.Requirement():
                if plan.running.keys().isdisjoint(names_in(item.condition)):
                    yield item
            case _:
                pass


ZERO = Literal(0)
_BOUNDS = {
    "<=": "at most",
    "<": "less than",
    ">=": "at least",
    ">": "more than",
    "==": "equal to",
    "!=": "other than",
}
