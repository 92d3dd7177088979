"""What models cost, by nnspec and by the tools that people use: how wrong, how long, how much memory.

    make bench-cost            installs the tools and prints the tables
    python -m benchmarks.cost --models ResNet50 GPT2Small --json
    python -m benchmarks.cost --markdown    the table of docs/cost.md

Each tool counts each model in a fresh process. Errors are ratios to what PyTorch itself counts when everything
is counted (see `cost_peers`), which is measured anew in the same run; CPU seconds and the largest resident
memory are those of the whole process, as the operating system counts them. nnspec counts its own spec of
the model, the others the library's. What has been counted is said on standard error as it comes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from threading import Timer

ROOT = Path(__file__).parent.parent
LIMIT = 1800.0
"""Seconds after which a process counts as failed."""
OURS = "nnspec"
TOOLS = ("torchinfo", "fvcore", "ptflops", "FlopCounterMode")
PACKAGES = ("torch", "torchvision", "transformers", "torchinfo", "fvcore", "ptflops")
SPECS = {
    "ResNet50": ("vision/resnet.nns", ["B=1"]),
    "MobileNetV2": ("vision/mobilenet_v2.nns", ["B=1", "H=224", "W=224"]),
    "ViTB16": ("vision/vit.nns", ["B=1"]),
    "SwinT": ("vision/swin.nns", ["B=1"]),
    "ConvNextT": ("vision/convnext.nns", ["B=1", "H=224", "W=224"]),
    "EfficientNetB0": ("vision/efficientnet.nns", ["B=1"]),
    "UNet64": ("vision/unet.nns", ["B=1", "H=256", "W=256"]),
    "BERTBase": ("language/bert.nns", ["B=1", "T=128"]),
    "GPT2Small": ("language/gpt2.nns", ["B=1", "T=1024"]),
    "T5Small": ("language/t5.nns", ["B=1", "S=128", "T=128"]),
    "LSTMEncoder": ("sequence/encoders.nns", ["B=1", "T=60"]),
    "BiLSTMEncoder": ("sequence/encoders.nns", ["B=1", "T=60"]),
    "GRUEncoder": ("sequence/encoders.nns", ["B=1", "T=60"]),
}


@dataclass(frozen=True)
class Count:
    """What a tool said of a model, and what the process took. No figures where it failed."""

    tool: str
    model: str
    flops: int | None
    parameters: int | None
    cpu_seconds: float
    memory_mb: float


def counted(tool: str, model: str) -> Count:
    """Runs one tool on one model, cold."""
    if tool == OURS:
        path, settings = SPECS[model]
        spec = f"{ROOT / 'specs' / path}:{model}"
        figures = ["--json", "--depth", "0", "--figures", "flops,parameters"]
        command = [sys.executable, "-m", "nnspec", "cost", spec, *settings, *figures]
    else:
        command = [sys.executable, "-m", "benchmarks.cost_peers", tool, model]
    said, cpu, memory = run(command)
    found = figures_in(said)
    return Count(tool, model, found.get("flops"), found.get("parameters"), cpu, memory)


def run(command: Sequence[str]) -> tuple[str, float, float]:
    """What a process printed, its CPU seconds and its largest memory in MB."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    watch = Timer(LIMIT, process.kill)
    watch.start()
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    watch.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    return said if process.returncode == 0 else "", cpu, usage.ru_maxrss * unit / 1e6


def figures_in(said: str) -> dict[str, int]:
    """The figures that a process printed last; none where it failed."""
    text = said.strip()
    if not text:
        return {}
    whole = json.loads(text if text.startswith("[") else text.splitlines()[-1])
    return whole[0] if isinstance(whole, list) else whole


# ---- the tables -------------------------------------------------------------------------------------


def ratio(found: int | None, truth: int | None) -> str:
    """What a tool said, as a ratio to the truth."""
    if found is None or not truth:
        return "failed"
    return "exact" if found == truth else f"{found / truth:.3f}"


Cells = dict[str, dict[str, list[str]]]
"""What is said of each tool, by the title of the table and the model."""

FLOPS, PARAMETERS = "FLOPs / truth", "parameters / truth"
SECONDS, MEMORY = "cold CPU seconds", "memory, MB"


def cells(models: Sequence[str], counts: dict[tuple[str, str], Count]) -> Cells:
    """Errors, and what the processes took."""

    def error(name: str, count: Count) -> str:
        truth = counts["truth", count.model]
        return ratio(getattr(count, name), getattr(truth, name))

    said = {
        FLOPS: lambda count: error("flops", count),
        PARAMETERS: lambda count: error("parameters", count),
        SECONDS: lambda count: f"{count.cpu_seconds:.2f}",
        MEMORY: lambda count: f"{count.memory_mb:.0f}",
    }
    return {
        title: {
            model: [cell(counts[tool, model]) for tool in (OURS, *TOOLS)]
            for model in models
        }
        for title, cell in said.items()
    }


def tables(found: Cells) -> str:
    """A table for each of them: a row a model, a column a tool."""
    blocks = (
        [row(title, (OURS, *TOOLS)), *(row(*each) for each in rows.items())]
        for title, rows in found.items()
    )
    return "\n\n".join("\n".join(block) for block in blocks)


def row(title: str, said: Sequence[str]) -> str:
    widths = [max(9, 2 + len(tool)) for tool in (OURS, *TOOLS)]
    columns = (f"{each:>{width}}" for each, width in zip(said, widths, strict=True))
    return f"{title:18}{''.join(columns)}"


def markdown(found: Cells) -> str:
    """One table: the errors of FLOPs by tool, and what nnspec took beside the least and most of the others."""
    head = ["", OURS, *TOOLS, "CPU s", "others", "MB", "others"]
    lines = [head, ["---"] * len(head)]
    for model, errors in found[FLOPS].items():
        took: list[str] = []
        for title in (SECONDS, MEMORY):
            ours, *theirs = found[title][model]
            took += [
                ours,
                f"{min(theirs, key=float)} to {max(theirs, key=float)}",
            ]
        lines.append([model, *errors, *took])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def provenance() -> str:
    """When and on what the figures were measured, and of which tools."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"{date.today()}, {processor()}, {os.cpu_count()} cores\n{versions}"


def processor() -> str:
    """The processor's name, as the system says it."""
    listed = Path("/proc/cpuinfo")
    text = listed.read_text() if listed.exists() else ""
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def counted_all(models: Sequence[str]) -> dict[tuple[str, str], Count]:
    """Every tool on every model, one process at a time."""
    counts: dict[tuple[str, str], Count] = {}
    for model in models:
        for tool in ("truth", OURS, *TOOLS):
            count = counted(tool, model)
            counts[tool, model] = count
            said = "failed" if count.flops is None else f"{count.flops:,} FLOPs"
            print(f"{model}, {tool}: {said}", file=sys.stderr)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(
        description="nnspec and other tools, side by side."
    )
    parser.add_argument("--models", nargs="+", choices=SPECS, default=list(SPECS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", action="store_true", help="print one table")
    options = parser.parse_args()
    counts = counted_all(options.models)
    if options.json:
        print(json.dumps([asdict(count) for count in counts.values()], indent=2))
    else:
        form = markdown if options.markdown else tables
        print(f"{provenance()}\n\n{form(cells(options.models, counts))}")
    wrong = [
        model
        for model in options.models
        if counts["truth", model].flops is None
        or counts[OURS, model].flops != counts["truth", model].flops
        or counts[OURS, model].parameters != counts["truth", model].parameters
    ]
    if wrong:
        print(f"nnspec differs from the truth on {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
