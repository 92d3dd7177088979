"""What nnspec prints is the same to the byte, wherever and however it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
MODELS = (
    "vision/resnet.nns:ResNet50",
    "vision/medical.nns:MedicalCNN",
    "language/gpt2.nns:GPT2Small",
    "language/transformer.nns:TransformerBase",
    "sequence/recurrent.nns:FinancialLSTM",
    "generative/vae_gan.nns:VAEGAN128",
)
# One process says everything there is to say of every model.
CHILD = """
import hashlib, io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from nnspec.cli.main import main

root, *names = sys.argv[1:]
commands = [["check"], ["check", "--json"], ["cost"], ["cost", "--json"], ["summary"],
            ["summary", "--json"], ["ir"], ["ir", "--json"]]
said = {}
for name in names:
    for command, *options in commands:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([command, root + "/specs/" + name, *options])
        said[" ".join([command, *options, name])] = [code, out.getvalue(), err.getvalue()]
    from nnspec.compiler import load_all
    from nnspec.targets import emit
    path, _, one = name.partition(":")
    for spec in load_all(root + "/specs/" + path):
        if spec.name == one:
            for target in ("torch", "keras"):
                said[target + " " + spec.name] = emit(spec.program, target)
            for form in ("svg", "dot", "mmd", "html"):
                said[form + " " + spec.name] = spec.picture(form, depth=2)
            said["report " + spec.name] = spec.report()
json.dump(said, sys.stdout)
"""
# Each has a seed of its own, of which 0 leaves hashes as they are.
SETTINGS: dict[str, dict[str, str]] = {
    **{f"hash_seed_{seed}": {"PYTHONHASHSEED": str(seed)} for seed in range(2)},
    "elsewhere": {"PYTHONHASHSEED": "5", "TZ": "Pacific/Chatham"},
    "turkish": {"PYTHONHASHSEED": "6", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"},
    "plain": {"PYTHONHASHSEED": "7", "LANG": "C", "LC_ALL": "C", "TZ": "UTC"},
    "optimised": {"PYTHONHASHSEED": "8", "PYTHONOPTIMIZE": "1"},
}


def said(settings: dict[str, str], folder: Path) -> dict[str, object]:
    """Everything that one process with these settings says, run in this folder."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("LC_", "LANG"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), **settings, "COLUMNS": "100"}
    run = [sys.executable, "-c", CHILD, str(ROOT), *MODELS]
    result = subprocess.run(
        run, cwd=folder, env=environment, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    """What is said with nothing in particular set, in the folder of the project."""
    return said({"PYTHONHASHSEED": "random"}, ROOT)


def test_all_is_said(expected: dict[str, object]) -> None:
    assert len(expected) >= 8 * len(MODELS) + 2 * len(MODELS)
    for name, value in expected.items():
        if isinstance(value, list):
            code, out, err = value
            assert code == 0, f"{name}: {err}"
            assert out, name


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_change_nothing(
    name: str, expected: dict[str, object], tmp_path: Path
) -> None:
    folder = ROOT if name.startswith("hash") else tmp_path
    found = said(SETTINGS[name], folder)
    assert found.keys() == expected.keys()
    apart = [each for each in found if found[each] != expected[each]]
    assert apart == []
