"""Imports point one way, and what is heavy is imported only where it is needed.

Read from the import statements themselves, those inside functions included.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nnspec"

LAYERS = (
    {"records"},
    {"source"},
    {"diagnostics", "codes", "files"},
    {"syntax"},
    {"pycode", "ir", "modules"},
    {"ops"},
    {"elaboration"},
    {"passes", "analysis"},
    {"picture", "placement", "targets"},
    {"verify", "distributed"},
    {"spec"},
    {"compiler"},
    {"explore"},
    {"cli"},
)
"""Each may import from those before it, and from its own kind."""

FRAMEWORKS = {"jax", "keras", "tensorflow", "torch"}
ARRAYS = {"numpy", "safetensors"}
SOLVERS = {"ortools"}
HOMES = {
    **dict.fromkeys(FRAMEWORKS, ("verify",)),
    **dict.fromkeys(
        ARRAYS,
        ("verify", "ops/weight_steps.py", "targets/weights.py", "targets/convert.py"),
    ),
    "numpy": (
        "verify",
        "ops/weight_steps.py",
        "targets/weights.py",
        "targets/convert.py",
        "placement",
    ),
    **dict.fromkeys(SOLVERS, ("placement",)),
    "rich": ("cli/shown/terminal.py",),
    "networkx": ("ir", "placement"),
    "lark": ("syntax/generate.py",),
    "click": ("cli",),
}
"""The only places in nnspec/ that may import a package."""

INTERFACES = {"nnspec.ops.base", "nnspec.ops.checked", "nnspec.ops.initializers"}
"""What operators and their initializers are; `ir` holds some, and `elaboration` makes them.
They know neither the table of operators nor any family."""

TEXTS = {
    "targets/helpers_keras.py",
    "targets/helpers_torch.py",
    "targets/engines/distributed_keras.py",
    "targets/engines/pipeline_torch.py",
    "targets/engines/sharded_torch.py",
}
"""Parts of emitted programs: read as text, never imported."""

LAZY = FRAMEWORKS | ARRAYS | SOLVERS | {"networkx", "rich"}
"""Packages that are imported inside functions only (save in verify)."""


class Import(NamedTuple):
    """One imported module, what of it is named, and where the statement stands."""

    module: str
    names: tuple[str, ...]
    line: int
    at_load: bool
    for_types: bool


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(_imports_below(tree, at_load=True, for_types=False))


def _imports_below(node: ast.AST, at_load: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):  # no statement stands in one
            continue
        in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        typing_only = for_types or (
            isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        )
        for module, names in _modules(child):
            yield Import(module, names, child.lineno, at_load, for_types)  # type: ignore[attr-defined]
        yield from _imports_below(child, at_load and not in_function, typing_only)


def _modules(node: ast.AST) -> list[tuple[str, tuple[str, ...]]]:
    """The modules that a statement imports, each with the names that are taken out of it."""
    if isinstance(node, ast.Import):
        return [(alias.name, ()) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, "relative imports hide where they point"
    base = node.module or ""
    if base == "nnspec":
        return [(f"nnspec.{alias.name}", ()) for alias in node.names]
    return [(base, tuple(alias.name for alias in node.names))]


def layer(part: str) -> int | None:
    return next((n for n, parts in enumerate(LAYERS) if part in parts), None)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if named(path) not in TEXTS)


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def against_the_layers(path: Path) -> list[str]:
    """The imports of a module that point the wrong way."""
    own = layer(part_of(path))
    if own is None:  # nnspec/__init__.py and __main__.py stand outside
        return []
    wrong: list[str] = []
    for found in imports_of(path):
        package, _, rest = found.module.partition(".")
        if package != "nnspec" or not rest:
            continue
        if part_of(path) == "ir" and found.module in INTERFACES:
            continue
        other = layer(rest.partition(".")[0])
        if other is not None and other > own:
            wrong.append(f"line {found.line}: {found.module}")
    return wrong


def is_home(path: Path, package: str) -> bool:
    """Whether a module may import a package."""
    homes = HOMES.get(package)
    return homes is None or any(
        named(path) == home or named(path).startswith(f"{home}/") for home in homes
    )


def test_imports_point_one_way() -> None:
    wrong = {named(path): against_the_layers(path) for path in modules()}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_packages_are_imported_only_in_their_homes() -> None:
    astray = [
        f"{named(path)}, line {found.line}: {found.module}"
        for path in modules()
        for found in imports_of(path)
        if not is_home(path, found.module.partition(".")[0])
    ]
    assert astray == []


def test_heavy_packages_are_imported_inside_functions() -> None:
    eager = [
        f"{named(path)}, line {found.line}: {found.module}"
        for path in modules()
        for found in imports_of(path)
        if part_of(path) != "verify"
        and found.at_load
        and not found.for_types
        and found.module.partition(".")[0] in LAZY
    ]
    assert eager == []


def test_every_part_has_a_layer() -> None:
    parts = {part_of(path) for path in modules()}
    assert {part for part in parts if layer(part) is None} <= {"__init__", "__main__"}


@pytest.mark.parametrize("part", ["ir", "elaboration"])
def test_the_table_of_operators_is_passed_in(part: str) -> None:
    for path in sorted((PACKAGE / part).rglob("*.py")):
        found = {each.module for each in imports_of(path)}
        assert {name for name in found if name.startswith("nnspec.ops")} <= INTERFACES


def test_dataclasses_are_those_that_are_made_when_needed() -> None:
    for path in modules():
        for found in imports_of(path):
            if found.module == "dataclasses" and named(path) != "records.py":
                said = f"{path}: import it from nnspec.records"
                assert "dataclass" not in found.names, said


def test_the_parts_of_emitted_programs_are_never_imported() -> None:
    texts = {_dotted(PACKAGE / text) for text in TEXTS}
    for path in modules():
        for found in imports_of(path):
            wholes = {f"{found.module}.{name}" for name in found.names}
            assert not texts & {found.module, *wholes}, named(path)


def test_no_modules_import_each_other_in_a_circle() -> None:
    homes = {_dotted(path): path for path in modules()}
    graph = {
        name: {
            found.module
            for found in imports_of(path)
            if found.at_load and not found.for_types and found.module in homes
        }
        for name, path in homes.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize(
    ("statement", "where", "wrong"),
    [
        ("from nnspec.cli import text", "ir/planted.py", True),
        ("import nnspec.ops.base", "syntax/planted.py", True),
        ("from nnspec import compiler", "ops/planted.py", True),
        ("def f():\n    from nnspec.targets import torch", "ir/planted.py", True),
        ("from nnspec.source import Span", "syntax/planted.py", False),
        ("from nnspec.ir import dims", "ops/planted.py", False),
        ("from nnspec.elaboration import frame", "ir/planted.py", True),
    ],
)
def test_a_planted_import_is_found(
    statement: str,
    where: str,
    wrong: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / where
    path.parent.mkdir()
    path.write_text(statement)
    assert bool(against_the_layers(path)) == wrong


COMMANDS = {
    "help": ["--help"],
    "check": ["check", "SPEC"],
    "cost": ["cost", "SPEC", "B=1", "--json"],
    "torch": ["compile", "--target", "torch", "SPEC"],
    "keras": ["compile", "--target", "keras", "SPEC"],
    "ops": ["ops", "Linear"],
    "graph": ["graph", "SPEC", "--depth", "1", "-o", "OUTPUT"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_light_commands_import_nothing_heavy(name: str, tmp_path: Path) -> None:
    spec = str(ROOT / "specs" / "vision" / "resnet.nns") + ":ResNet50"
    given = {"SPEC": spec, "OUTPUT": str(tmp_path / "net.svg")}
    arguments = [given.get(each, each) for each in COMMANDS[name]]
    code = (
        "import sys\n"
        "from nnspec.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        f"heavy = sorted(loaded & {LAZY | {'lark', 'pydantic'}!r})\n"
        "sys.exit(str(heavy) if heavy else code)\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
