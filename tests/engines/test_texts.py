"""Texts of programs are settled for their plan, and paths of many like modules are written as one."""

from __future__ import annotations

import ast
import textwrap

from nnspec.targets.engines.patterns import folded
from nnspec.targets.engines.text import parts, settled, verbatim

TEXT = textwrap.dedent(
    """
    def run(x):
        if DOUBLES:
            x = 2 * x
            if ADDS:
                x = x + 1
        else:
            x = 3 * x
        if x > 4:
            return 4
        return x
    """
).strip()


def runs(x: int, **flags: bool) -> int:
    space: dict[str, object] = {}
    exec(settled(TEXT, flags), space)
    return space["run"](x)  # type: ignore[operator]


def test_conditions_that_are_known_are_settled() -> None:
    for doubles in (False, True):
        for adds in (False, True):
            expected = (2 + adds if doubles else 3) * 1
            assert runs(1, DOUBLES=doubles, ADDS=adds) == expected
    assert runs(5, DOUBLES=True, ADDS=False) == 4  # other conditions stay
    assert settled(TEXT, {}) == TEXT
    assert "DOUBLES" not in settled(TEXT, {"DOUBLES": False})


def test_every_text_is_whole_however_it_is_settled() -> None:
    for name in ("sharded_torch", "pipeline_torch", "distributed_keras"):
        for part, text in parts(name).items():
            tests = {n.test.id for n in ast.walk(ast.parse(text)) if _is_flag(n)}
            for value in (False, True):
                (found,) = verbatim(name, part, flags=dict.fromkeys(tests, value))
                assert not any(map(_is_flag, ast.walk(ast.parse(found.text)))), part


def _is_flag(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id.isupper()
    )


def test_parts_are_renamed_as_words() -> None:
    called = {"step_of_copies": "step"}
    (found,) = verbatim("sharded_torch", "step_of_copies", called=called)
    assert found.text.startswith("def step(")


def test_like_paths_are_one_pattern() -> None:
    known = ["a.0.x", "a.1.x", "a.0.y", "a.1.y", "head"]
    assert folded({"a.0.x": 1, "a.1.x": 1, "head": 2}, known) == {"a.*.x": 1, "head": 2}
    # A pattern stands for all that fit it, or for nothing.
    assert folded({"a.0.x": 1}, known) == {"a.0.x": 1}
    assert folded({"a.0.y": 1, "a.1.y": 2}, known) == {"a.0.y": 1, "a.1.y": 2}
