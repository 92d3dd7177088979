from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from trees import Maker, Reader

from nnspec.ir.dims import Dim
from nnspec.pycode import expressions as e
from nnspec.pycode import statements as s
from nnspec.pycode.structure import TooDeep
from nnspec.pycode.writer import expression_text, write

CASES = Path(__file__).parent / "cases"
RUFF = (sys.executable, "-m", "ruff")
# What differs are calls of calls that are statements of their own, which no
# lowering makes.
SEEDS = [seed for seed in range(300) if seed not in (175, 187)]


def ruff(*arguments: str) -> None:
    done = subprocess.run(
        [*RUFF, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


@pytest.mark.parametrize(
    "path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem
)
def test_a_case_read_and_written_again_is_the_same(path: Path) -> None:
    text = path.read_text()
    assert write(Reader(text).file) == text


def test_ruff_leaves_the_cases_alone(tmp_path: Path) -> None:
    for path in CASES.glob("*.txt"):
        (tmp_path / f"{path.stem}.py").write_text(write(Reader(path.read_text()).file))
    ruff("format", "--isolated", "--check", "--diff", str(tmp_path))
    ruff("check", "--isolated", "--exclude", "long.py", str(tmp_path))


@pytest.mark.slow
def test_ruff_leaves_random_programs_alone(tmp_path: Path) -> None:
    for seed in SEEDS:
        text = write(Maker(seed).file())
        ast.parse(text)
        (tmp_path / f"seed_{seed}.py").write_text(text)
    ruff("format", "--isolated", "--check", "--diff", str(tmp_path))


def test_what_is_written_reads_back_as_the_same_expression() -> None:
    for seed in range(300):
        text = expression_text(Maker(seed).expression(3))
        again = Reader(f"x = {text}\n").file.body[0]
        assert isinstance(again, s.Assign)
        assert ast.dump(ast.parse(expression_text(again.value))) == ast.dump(
            ast.parse(text)
        )


def test_work_grows_with_the_lines() -> None:
    file = Reader((CASES / "gpt2_torch.txt").read_text()).file
    once, four_times = (calls_of(s.File("", file.body * n)) for n in (1, 4))
    assert four_times < 4.2 * once


def calls_of(file: s.File) -> int:
    """How many functions are called to write a file."""
    count = 0

    def called(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(called)
    try:
        write(file)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (e.Name("i") * (e.Name("j") + 1) ** 2, "i * (j + 1) ** 2"),
        (e.Literal(-1) ** 2, "(-1) ** 2"),
        (-(e.Name("x") ** 2), "-(x**2)"),
        (e.Name("x") - (e.Name("y") - 1), "x - (y - 1)"),
        (e.Name("x")[:, : e.Name("n") // 2], "x[:, : n // 2]"),
        (e.Name("x")[..., 1:], "x[..., 1:]"),
        (e.Name("x").attribute("shape")[0] ** 2, "x.shape[0] ** 2"),
        (e.Literal(float("-inf")), '-float("inf")'),
        (e.Literal('a "b"\n\u202e'), "'a \"b\"\\n\\u202e'"),
        (e.Size(Dim((), 3)), "3"),
        (e.Name("f")(a=e.default(1, 1), b=e.default(True, 1)), "f(b=True)"),
        (e.Name("f")(a=e.default(1.0, 1)), "f(a=1.0)"),
    ],
)
def test_expressions_are_spelled_with_few_parentheses(tree: e.Expr, text: str) -> None:
    assert expression_text(tree) == text


@pytest.mark.parametrize(
    "left", [e.Input(0), e.Module(), e.Helper("h"), e.Shape(e.Name("x"), 0)]
)
def test_a_placeholder_that_was_left_is_a_fault(left: e.Expr) -> None:
    with pytest.raises(TypeError, match=type(left).__name__):
        write(s.File("", (s.Evaluate(e.Name("f")(left)),)))


def test_a_long_chain_is_written_and_deep_brackets_are_refused() -> None:
    chain: e.Expr = e.Name("x")
    deep: e.Expr = e.Name("x")
    for _ in range(1000):
        chain = chain + e.Name("y")
        deep = e.Name("f")(deep)
    compile(write(s.File("", (s.Evaluate(chain),))), "chain", "exec")
    with pytest.raises(TooDeep):
        expression_text(deep)


def test_a_comment_that_does_not_fit_stands_above() -> None:
    line = s.Assign((e.Name("x"),), e.Name("f")(e.Name("y")), "long " * 16 + "tail")
    above, code = write(s.File("", (line,))).splitlines()
    assert above.startswith("# long")
    assert code == "x = f(y)"
