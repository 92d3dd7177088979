"""The statements of a body as they are written, block by block, and the shapes behind them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim, symbol
from nnspec.pycode.statements import Statement
from nnspec.targets.plan import ClassPlan

WIDEST_COMMENT = 40
LINE = 88


class Written:
    """The statements of the block that is being written; `indent` is how many blocks lie around them."""

    def __init__(self, indent: int) -> None:
        self.statements: list[Statement] = []
        self.indent = indent
        # Those of the block that stand in it once.
        self._once: set[Statement] = set()

    def add(self, statement: Statement) -> None:
        """Appends a statement to the block."""
        self.statements.append(statement)

    def add_once(self, statement: Statement) -> None:
        """Appends a statement to the block, unless it was added so before."""
        if statement not in self._once:
            self._once.add(statement)
            self.add(statement)

    @contextmanager
    def block(self) -> Generator[list[Statement]]:
        """Inside, statements are those of a block in this one, which is given and left to be added."""
        outer, self.statements = self.statements, []
        once, self._once = self._once, set()
        self.indent += 1
        try:
            yield self.statements
        finally:
            self.statements, self._once = outer, once
            self.indent -= 1


def shape_comment(
    plan: ClassPlan, value: merged.Value, indent: int, width: int
) -> str | None:
    """The shape of a value, where it says something in few words and fits behind a statement of that width."""
    if value.type.rank < 2:
        return None
    sizes = [_size_text(plan, value.type.shape[axis]) for axis in value.order]
    text = f"[{', '.join(sizes)}]"
    room = LINE - 4 * indent - width - 4
    fits = len(text) <= min(WIDEST_COMMENT, room)
    return text if fits and "_" not in sizes else None


def _size_text(plan: ClassPlan, size: Dim) -> str:
    """A size as the constructor spells it, where it takes sizes by the same names."""
    twin = size.generic
    if any(atom.opaque is not None for atom in twin.atoms()):
        return "_"
    known = {p.symbol: symbol(p.name) for p in plan.parameters if p.is_size}
    known.pop("C", None)
    text = str(twin.at(known)) if known else str(twin)
    return "_" if "@" in twin.key or "?" in twin.key else text.replace("^", "**")
