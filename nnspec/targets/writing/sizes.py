"""What the sizes and constants of the spec are called in a forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.statements import Assign, Statement
from nnspec.targets.names import Names, size_name
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.environment import Environment
from nnspec.targets.writing.scope import spelled

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import ForwardDialect


class ForwardScope:
    """Names in a forward pass: loop variables, sizes of inputs, what the instance keeps, sizes that loops carry."""

    def __init__(
        self,
        plan: ClassPlan,
        dialect: ForwardDialect,
        names: Names,
        environment: Environment,
        inputs: Mapping[merged.Value, Expr],
    ) -> None:
        """`inputs` are the values that the pass is given, each with what holds it."""
        self._plan = plan
        self._dialect = dialect
        self._names = names
        self._environment = environment
        self._inputs = inputs
        self._of_inputs = {
            symbol_of(size) for value in plan.inputs for size in value.type.shape
        }
        # The variables of loops, and the integers that these count along.
        self.known: dict[str, Expr] = {}
        self._sizes: dict[str, Name] = {}
        self._traced: dict[str, tuple[Name, Expr]] = {}
        self._attributes: dict[str, None] = {}

    @property
    def stored(self) -> list[str]:
        """The constants that were read from `self`, by their names in the spec."""
        return list(self._attributes)

    def spelled(self, expression: Expr) -> Expr:
        """An expression with its sizes and constants spelled in these names. Raises `Unspellable`."""
        return spelled(expression, self.resolve)

    def resolve(self, key: str) -> Expr | None:
        """The expression for a name or size symbol of the spec."""
        if key in self.known:
            return self.known[key]
        if key in self._of_inputs:
            return self._size(key)
        parameter = self._plan.parameter(key)
        if parameter is not None and not parameter.is_size:
            self._attributes.setdefault(key)
            return tree.Attribute(
                Name("self"), self._plan.attribute(parameter, self._dialect.target)
            )
        return self._carried(key)

    def _size(self, key: str) -> Name:
        if key not in self._sizes:
            self._sizes[key] = Name(self._names.free(size_name(key)))
        return self._sizes[key]

    def _carried(self, key: str, *, traced: bool = False) -> Expr | None:
        """A size that a loop carries, while a variable holds what has it; no variable has an integer."""
        running = self._plan.running.get(key)
        if running is None or running.axis is None:
            return None
        found = self._environment.at_start(running.name, running.uid)
        if found is None:
            return None
        value, variable = found
        sizes = variable.attribute("shape") if traced else self._dialect.shape(variable)
        return sizes[value.order.index(running.axis)]

    def header(self) -> list[Statement]:
        """Takes apart the shapes of the inputs for the sizes that were read."""
        found: list[Statement] = [Assign((n,), s) for n, s in self._traced.values()]
        done: set[str] = set()
        for value in self._plan.inputs:
            keys: list[str | None] = []
            for axis in value.order:
                key = symbol_of(value.type.shape[axis])
                wanted = key is not None and key in self._sizes and key not in done
                keys.append(key if wanted else None)
                if wanted and key is not None:
                    done.add(key)
            chosen = [key for key in keys if key is not None]
            if not chosen:
                continue
            sizes = self._dialect.shape(self._inputs[value])
            if len(chosen) == 1:
                place = keys.index(chosen[0])
                found.append(Assign((self._sizes[chosen[0]],), sizes[place]))
                continue
            targets = tuple(Name("_") if k is None else self._sizes[k] for k in keys)
            found.append(Assign(targets, sizes))
        return found

    def traced(self, keys: Iterable[str], *, kept: bool) -> dict[str, Expr]:
        """Sizes as they are known when a graph is traced: None where they are open.

        Those of inputs are `kept` in variables for what stands where an input's name may hold something else.
        """
        found: dict[str, Expr] = {}
        wanted = dict.fromkeys(keys)
        for value in self._plan.inputs:
            for place, axis in enumerate(value.order):
                key = symbol_of(value.type.shape[axis])
                if key is not None and key in wanted:
                    size = self._inputs[value].attribute("shape")[place]
                    found.setdefault(key, size)
        if kept:
            found = {key: self._kept(key, size) for key, size in found.items()}
        carried = {key: self._carried(key, traced=True) for key in wanted}
        return found | {key: c for key, c in carried.items() if c is not None}

    def _kept(self, key: str, size: Expr) -> Name:
        if key not in self._traced:
            name = Name(self._names.free(f"known_{size_name(key)}"))
            self._traced[key] = name, size
        return self._traced[key][0]


def symbol_of(size: Dim) -> str | None:
    """The name of a size that is just a symbol."""
    twin = size.generic
    names = twin.symbols()
    if len(twin.terms) != 1 or len(names) != 1:
        return None
    (monomial, coefficient) = twin.terms[0]
    if len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return atom.symbol if atom.kind == "symbol" and coefficient == atom.scale else None
