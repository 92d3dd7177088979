from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.pycode.safety import UnsafeCode, check

CASES = Path(__file__).parent / "cases"
IMPORTS = {"torch", "torch.nn", "torch.nn.functional", "keras", "collections.abc"}


@pytest.mark.parametrize(
    "path", sorted(CASES.glob("*_*.txt")), ids=lambda path: path.stem
)
def test_emitted_programs_pass(path: Path) -> None:
    check(path.read_text(), set(), IMPORTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os", "imports os"),
        ("from torch import *", "everything"),
        ("from . import x", "relative"),
        ("from torch import __builtins__", "__builtins__"),
        ("x = print", "print"),
        ("x = eval('1')", "eval"),
        ("x = ().__class__", "__class__"),
        ("x = lambda: 1", "Lambda"),
        ("while True:\n    pass", "While"),
        ("def f():\n    __all__ = ['f']", "__all__"),
        ("global x", "Global"),
        ("class A:\n    def __del__(self): pass", "__del__"),
        ("x = f'{1!r}'", "converts"),
        ("x = (", "does not parse"),
        ("x = [i for i in y]", "y, which nothing defines"),
    ],
)
def test_what_programs_never_need_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnsafeCode, match=message):
        check(text, set(), {"torch"})
