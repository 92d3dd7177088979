"""The wheel holds all that nnspec needs, and works where no checkout is near."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
# Copied, not built in place: a build in the checkout would disturb other tests.
PARTS = ("nnspec", "grammar", "pyproject.toml", "README.md", "LICENSE")


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, checkout / part, ignore=ignored)
        else:
            shutil.copy(source, checkout / part)
    folder = tmp_path_factory.mktemp("wheel")
    pip(
        *("wheel", "--no-deps", "--no-build-isolation", "--no-index"),
        *("--wheel-dir", str(folder), str(checkout)),
    )
    (found,) = folder.iterdir()
    return found


def test_the_wheel_holds_the_grammar_the_library_and_the_devices(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    library = sorted((ROOT / "nnspec" / "std").rglob("*.nns"))
    library += sorted(
        (ROOT / "nnspec" / "analysis" / "timing" / "devices").glob("*.toml")
    )
    library.append(ROOT / "nnspec" / "verify" / "calibration.nns")
    library += sorted((ROOT / "nnspec" / "picture" / "assets").iterdir())
    assert {path.suffix for path in library} == {
        *(".nns", ".toml"),
        *(".css", ".html", ".js"),
    }
    wanted = {path.relative_to(ROOT).as_posix() for path in library}
    assert names >= wanted | {"nnspec/grammar/nnspec.lark", "nnspec/py.typed"}
    assert not [name for name in names if name.startswith(("tests/", "specs/"))]


def test_check_and_compile_run_from_the_wheel_alone(
    wheel: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    pip("install", "--no-deps", "--no-index", "--target", str(installed), str(wheel))
    shutil.copy(ROOT / "specs" / "vision" / "resnet.nns", tmp_path / "net.nns")
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    code = (
        "import sys, nnspec\n"
        "from importlib.metadata import distribution\n"
        "assert nnspec.__file__.startswith(sys.argv.pop(1)), nnspec.__file__\n"
        "(script,) = distribution('nnspec').entry_points\n"
        "sys.exit(script.load()())\n"
    )
    for arguments in (
        ["check", "net.nns"],
        ["compile", "--target", "torch", "net.nns:ResNet50"],
        ["compile", "--target", "keras", "net.nns:ResNet50"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, str(installed), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
