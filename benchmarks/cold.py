"""What a command costs from a cold start, as whole-process figures.

Each command runs once to warm the file system and the byte code, then several times;
the figures are the least user and system time and the largest resident memory of the
process, as the operating system counts them, its own processes included: whatever else
the machine does can only add to them. Other tools count ResNet-50 beside it, as
`benchmarks/cost.py` runs them. `make bench` prints the tables; `--json` prints them for
programs. The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESNET = "specs/vision/resnet.nns:ResNet50"
GPT2 = "specs/language/gpt2.nns:GPT2"
LLAMA = "specs/language/llama.nns:Llama31_405B"
SWEEP = ("depth=1..100", "width=64..6400..64", "heads=4")
GPT3 = ("width=12288", "heads=96", "vocab=50257", "context=2048")
FRAMEWORKS = {"jax", "keras", "numpy", "tensorflow", "torch"}
_IMPORTED = re.compile(r"import time:.*\|\s+(\w+)[\w.]*$", re.MULTILINE)


@dataclass(frozen=True)
class Usage:
    """What one process took."""

    cpu_ms: float
    memory_mb: float
    wall_ms: float


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its goal (the most that it may be)."""

    name: str
    unit: str
    figure: float
    goal: float

    @property
    def met(self) -> bool:
        return self.figure <= self.goal


def command(*arguments: str) -> list[str]:
    """The command as it is installed beside this Python, or as a module."""
    script = Path(sys.executable).with_name("nnspec")
    started = [str(script)] if script.exists() else ["-m", "nnspec"]
    return [sys.executable, *started, *arguments]


def measure(arguments: list[str], runs: int) -> Usage:
    """The least time and the most memory of several runs, after one that does not count."""
    usages = [run(arguments) for _ in range(runs + 1)][1:]
    return Usage(
        min(usage.cpu_ms for usage in usages),
        max(usage.memory_mb for usage in usages),
        min(usage.wall_ms for usage in usages),
    )


def run(arguments: list[str]) -> Usage:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users have byte code
    start = time.perf_counter()
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(arguments)}")
    # Linux counts in kibibytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = usage.ru_utime + usage.ru_stime
    wall = time.perf_counter() - start
    return Usage(seconds * 1e3, usage.ru_maxrss * unit / 1e6, wall * 1e3)


def frameworks_imported(arguments: list[str]) -> set[str]:
    """Which frameworks Python itself says that a command has imported."""
    timed = [arguments[0], "-X", "importtime", *arguments[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        timed, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return FRAMEWORKS & set(_IMPORTED.findall(done.stderr))


def command_figures(runs: int) -> list[Figure]:
    commands = {
        "check": command("check", RESNET),
        "cost": command("cost", RESNET, "B=1"),
        "compile --target torch": command("compile", "--target", "torch", RESNET),
        "compile --target keras": command("compile", "--target", "keras", RESNET),
    }
    figures = [
        Figure("nnspec --help", "ms CPU", measure(command("--help"), runs).cpu_ms, 60)
    ]
    for name, arguments in commands.items():
        usage = measure(arguments, runs)
        frameworks = len(frameworks_imported(arguments))
        figures += [
            Figure(f"{name} ResNet50", "ms CPU", usage.cpu_ms, 250),
            Figure(f"{name} ResNet50", "MB", usage.memory_mb, 80),
            Figure(f"{name} ResNet50", "frameworks", frameworks, 0),
        ]
    return figures


def cost_figures(runs: int) -> list[Figure]:
    """A model of 405 billion parameters, and ten thousand points of a sweep."""
    sizes = ("B=1", "T=2048")
    llama = measure(command("cost", LLAMA, *sizes), runs)
    swept = run(command("sweep", GPT2, *SWEEP, "B=1", "T=1024", "--csv"))
    return [
        Figure("cost Llama-3.1-405B", "ms CPU", llama.cpu_ms, 300),
        Figure("sweep of GPT-2, 10,000 points", "ms CPU", swept.cpu_ms, 5000),
        Figure("sweep of GPT-2, 10,000 points", "ms wall", swept.wall_ms, 5000),
    ]


def depth_figures(runs: int) -> list[Figure]:
    """A transformer of 96 layers and 175 billion parameters against one of 2 layers."""
    commands = {
        "check": ("check", GPT2),
        "cost": ("cost", GPT2),
        "compile --target torch": ("compile", "--target", "torch", GPT2),
        "compile --target keras": ("compile", "--target", "keras", GPT2),
    }
    figures: list[Figure] = []
    for name, arguments in commands.items():
        # One after the other, so that a change of the machine's pace hits both.
        pairs = [
            [run(command(*arguments, f"depth={depth}", *GPT3)) for depth in (2, 96)]
            for _ in range(runs + 1)
        ][1:]
        flat, deep = (
            min(each.cpu_ms for each in row) for row in zip(*pairs, strict=True)
        )
        ratio = deep / flat
        figures.append(Figure(f"{name} GPT-3, 96 layers / 2", "ratio", ratio, 1.2))
    return figures


def parameters_of_gpt3() -> int:
    arguments = command("cost", "--json", GPT2, "depth=96", *GPT3)
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)[0]["parameters"]


def peers() -> list[dict[str, Any]]:
    """Nnspec and other tools counting ResNet-50, as `benchmarks/cost.py` measures them."""
    arguments = ["-m", "benchmarks.cost", "--models", "ResNet50", "--json"]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True)
    return [row for row in json.loads(done.stdout) if row["tool"] != "truth"]


def peers_table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'FLOPs of ResNet-50, by':24}  {'ms CPU':>8}  {'MB':>6}  FLOPs"]
    for row in rows:
        said = "failed" if row["flops"] is None else f"{row['flops']:,}"
        cpu, memory = row["cpu_seconds"] * 1e3, row["memory_mb"]
        lines.append(f"{row['tool']:24}  {cpu:8.4g}  {memory:6.4g}  {said}")
    return "\n".join(lines)


def table(figures: list[Figure]) -> str:
    width = max(len(figure.name) for figure in figures)
    lines = [f"{'command':{width}}  {'figure':>8}  {'goal':>6}  unit"]
    lines += [
        f"{each.name:{width}}  {each.figure:8.4g}  {each.goal:6g}  {each.unit}"
        f"{'' if each.met else '  MISSED'}"
        for each in figures
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Cold-start figures of nnspec.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--runs", type=int, default=5, help="runs of each command")
    options = parser.parse_args()
    figures = command_figures(options.runs) + cost_figures(options.runs)
    figures += depth_figures(options.runs)
    parameters, others = parameters_of_gpt3(), peers()
    if options.json:
        rows = [{**asdict(each), "met": each.met} for each in figures]
        found = {"gpt3_parameters": parameters, "figures": rows, "peers": others}
        print(json.dumps(found, indent=2))
    else:
        print(table(figures))
        print(f"\nGPT-3 sizes: {parameters:,} parameters\n")
        print(peers_table(others))
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
