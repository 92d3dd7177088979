"""What a pass is."""

from __future__ import annotations

import abc
from typing import ClassVar

from nnspec.ir.graph import Program
from nnspec.records import dataclass


@dataclass(frozen=True)
class Pass(abc.ABC):
    """A step from a program to an equal one. Its options are the fields of its (frozen) class.

    A pass changes nothing in place, keeps the meaning of the program, and leaves one that
    `nnspec.ir.verify.verify_program` accepts: the runner checks.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def run(self, program: Program) -> Program:
        """The program after the pass; the very same object where there is nothing to do."""
