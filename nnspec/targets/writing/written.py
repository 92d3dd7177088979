"""The statements of a body as they are written, block by block."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from nnspec.pycode.statements import Statement


class Written:
    """The statements of the block that is being written; `indent` is how many blocks lie around them."""

    def __init__(self, indent: int) -> None:
        self.statements: list[Statement] = []
        self.indent = indent

    def add(self, statement: Statement) -> None:
        """Appends a statement to the block."""
        self.statements.append(statement)

    @contextmanager
    def block(self) -> Generator[list[Statement]]:
        """Inside, statements are those of a block in this one, which is given and left to be added."""
        outer, self.statements = self.statements, []
        self.indent += 1
        try:
            yield self.statements
        finally:
            self.statements = outer
            self.indent -= 1
