"""The lists into which the turns of a loop put their layers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.statements import Assign, Evaluate, Statement
from nnspec.records import dataclass
from nnspec.targets.lowering import Construct
from nnspec.targets.names import Names, safe_name

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import ConstructorDialect


@dataclass(eq=False)
class Rows:
    """Where the turns of a loop put their layers, by label, and the statements for that.

    Lists are made before the loop (`opening`). Where lists lie in lists, each turn begins a row (`before`)
    and appends it at its end (`after`).
    """

    containers: dict[str, Expr] = field(default_factory=dict[str, Expr])
    opening: list[Statement] = field(default_factory=list[Statement])
    before: list[Statement] = field(default_factory=list[Statement])
    after: list[Statement] = field(default_factory=list[Statement])


def rows_of(
    made: Iterable[tuple[merged.Step, Construct]],
    depth: int,
    outer: Mapping[str, Expr],
    keyed: Collection[str],
    dialect: ConstructorDialect,
    names: Names,
) -> Rows:
    """The lists of the layers that a loop makes, one for each label.

    `depth` is the number of loops around it, which have begun the `outer` lists; layers that are `keyed` lie
    in tables.
    """
    rows = Rows()
    for step, construct in made:
        key = step.label + construct.suffix
        if key in rows.containers:
            continue
        levels = len(step.turns) - depth if dialect.nested_lists else 1
        container = outer.get(key)
        if container is None:
            container = tree.Attribute(Name("self"), safe_name(key, dialect.target))
            new = dialect.keyed if key in keyed else dialect.listing
            empty = new([], construct.is_parameter and levels == 1)
            rows.opening.append(Assign((container,), empty))
        rows.containers[key] = container
        if levels > 1:
            row = Name(names.free("stage"))
            empty = dialect.listing([], construct.is_parameter and levels == 2)
            rows.before.append(Assign((row,), empty))
            rows.after.append(Evaluate(container.method("append", row)))
            rows.containers[key] = row
    return rows
