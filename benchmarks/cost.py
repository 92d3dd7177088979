"""What models cost, by nnspec and by the tools that people use: how wrong, how long, how much memory.

    make bench-cost            installs the tools and prints the table
    python -m benchmarks.cost --models ResNet50 GPT2Small --json

Each tool counts each model in a fresh process. Errors are ratios to what PyTorch itself counts when everything
is counted (see `cost_peers`), which is measured anew in the same run; CPU seconds and the largest resident
memory are those of the whole process, as the operating system counts them. nnspec counts its own spec of
the model, the others the library's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURS = "nnspec"
TOOLS = ("torchinfo", "fvcore", "ptflops", "FlopCounterMode")
SPECS = {
    "ResNet50": ("vision/resnet.nns", ["B=1"]),
    "MobileNetV2": ("vision/mobilenet_v2.nns", ["B=1", "H=224", "W=224"]),
    "ViTB16": ("vision/vit.nns", ["B=1"]),
    "SwinT": ("vision/swin.nns", ["B=1"]),
    "ConvNextT": ("vision/convnext.nns", ["B=1", "H=224", "W=224"]),
    "EfficientNetB0": ("vision/efficientnet.nns", ["B=1"]),
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
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
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


# ---- the table --------------------------------------------------------------------------------------


def ratio(count: Count, truth: Count) -> str:
    """What a tool said, as a ratio to the truth."""
    if count.flops is None or not truth.flops:
        return "failed"
    if count.flops == truth.flops:
        return "exact"
    return f"{count.flops / truth.flops:.3g}"


def table(models: Sequence[str], counts: dict[tuple[str, str], Count]) -> str:
    tools = (OURS, *TOOLS)
    head = f"{'FLOPs, ratio to the truth':26}" + "".join(f"{t:>16}" for t in tools)
    lines = [head]
    for model in models:
        truth = counts["truth", model]
        cells = "".join(f"{ratio(counts[tool, model], truth):>16}" for tool in tools)
        lines.append(f"{model:26}{cells}")
    for name, title, digits in (
        ("cpu_seconds", "cold CPU seconds", 2),
        ("memory_mb", "memory, MB", 0),
    ):
        lines += ["", f"{title:26}" + "".join(f"{tool:>16}" for tool in tools)]
        for model in models:
            row = (getattr(counts[tool, model], name) for tool in tools)
            lines.append(f"{model:26}" + "".join(f"{x:16.{digits}f}" for x in row))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="nnspec and other tools, side by side."
    )
    parser.add_argument("--models", nargs="+", choices=SPECS, default=list(SPECS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    counts = {
        (tool, model): counted(tool, model)
        for model in options.models
        for tool in ("truth", OURS, *TOOLS)
    }
    if options.json:
        print(json.dumps([asdict(count) for count in counts.values()], indent=2))
    else:
        print(table(options.models, counts))
    wrong = [
        model
        for model in options.models
        if counts[OURS, model].flops != counts["truth", model].flops
        or counts[OURS, model].parameters != counts["truth", model].parameters
    ]
    if wrong:
        print(f"nnspec differs from the truth on {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
