"""What a command costs from a cold start, as whole-process figures.

The commands run in rounds, each once in a round: the first warms the file system and the
byte code, and a slow spell of the machine falls on one run of many commands, not on all
runs of one. The figures are the least user and system time and the largest resident
memory of the process, as the operating system counts them, its own processes included:
whatever else the machine does can only add to them. Ratios are medians over the rounds.
Other tools count ResNet-50 beside it, as `benchmarks/cost.py` runs them. `make bench` prints the tables; `--json` prints them for
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
from statistics import median
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


def measure(commands: dict[str, list[str]], rounds: int) -> dict[str, list[Usage]]:
    """What each command took in each round, after one that does not count."""
    usages = [
        {name: run(arguments) for name, arguments in commands.items()}
        for _ in range(rounds + 1)
    ][1:]
    return {name: [each[name] for each in usages] for name in commands}


def least_cpu(usages: list[Usage]) -> float:
    return min(usage.cpu_ms for usage in usages)


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


RESNET_COMMANDS = {
    "check": command("check", RESNET),
    "cost": command("cost", RESNET, "B=1"),
    "compile --target torch": command("compile", "--target", "torch", RESNET),
    "compile --target keras": command("compile", "--target", "keras", RESNET),
}
GPT3_COMMANDS = {
    "check": ("check", GPT2),
    "cost": ("cost", GPT2),
    "compile --target torch": ("compile", "--target", "torch", GPT2),
    "compile --target keras": ("compile", "--target", "keras", GPT2),
}


def figures(rounds: int) -> list[Figure]:
    commands = {"--help": command("--help")}
    commands |= {f"{name} ResNet50": each for name, each in RESNET_COMMANDS.items()}
    commands["Llama"] = command("cost", LLAMA, "B=1", "T=2048")
    commands |= {
        f"{name} {depth}": command(*arguments, f"depth={depth}", *GPT3)
        for name, arguments in GPT3_COMMANDS.items()
        for depth in (2, 96)
    }
    usages = measure(commands, rounds)
    found = [Figure("nnspec --help", "ms CPU", least_cpu(usages["--help"]), 60)]
    for name, arguments in RESNET_COMMANDS.items():
        label = f"{name} ResNet50"
        found += resnet_figures(label, usages[label], arguments)
    llama = least_cpu(usages["Llama"])
    found.append(Figure("cost Llama-3.1-405B", "ms CPU", llama, 300))
    return (
        found + sweep_figures() + [depth_figure(name, usages) for name in GPT3_COMMANDS]
    )


def resnet_figures(
    name: str, usages: list[Usage], arguments: list[str]
) -> list[Figure]:
    frameworks = len(frameworks_imported(arguments))
    return [
        Figure(name, "ms CPU", least_cpu(usages), 250),
        Figure(name, "MB", max(usage.memory_mb for usage in usages), 80),
        Figure(name, "frameworks", frameworks, 0),
    ]


def sweep_figures() -> list[Figure]:
    """Ten thousand points of a sweep, once: it is long enough to even out by itself."""
    name = "sweep of GPT-2, 10,000 points"
    swept = run(command("sweep", GPT2, *SWEEP, "B=1", "T=1024", "--csv"))
    return [
        Figure(name, "ms CPU", swept.cpu_ms, 5000),
        Figure(name, "ms wall", swept.wall_ms, 5000),
    ]


def depth_figure(name: str, usages: dict[str, list[Usage]]) -> Figure:
    """A transformer of 96 layers and 175 billion parameters against one of 2 layers.

    The two run one after the other, so most pairs meet one pace of the machine.
    """
    pairs = zip(usages[f"{name} 2"], usages[f"{name} 96"], strict=True)
    ratio = median(deep.cpu_ms / flat.cpu_ms for flat, deep in pairs)
    return Figure(f"{name} GPT-3, 96 layers / 2", "ratio", ratio, 1.2)


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


def table(rows: list[Figure]) -> str:
    width = max(len(row.name) for row in rows)
    lines = [f"{'command':{width}}  {'figure':>8}  {'goal':>6}  unit"]
    lines += [
        f"{each.name:{width}}  {each.figure:8.4g}  {each.goal:6g}  {each.unit}"
        f"{'' if each.met else '  MISSED'}"
        for each in rows
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Cold-start figures of nnspec.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=16, help="runs of each command")
    options = parser.parse_args()
    found = figures(options.rounds)
    parameters, others = parameters_of_gpt3(), peers()
    if options.json:
        rows = [{**asdict(each), "met": each.met} for each in found]
        printed = {"gpt3_parameters": parameters, "figures": rows, "peers": others}
        print(json.dumps(printed, indent=2))
    else:
        print(table(found))
        print(f"\nGPT-3 sizes: {parameters:,} parameters\n")
        print(peers_table(others))
    return 0 if all(figure.met for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
