"""How large a placement can be: CPU seconds and memory of large chains and large clusters.

`python -m benchmarks.placement_scale [NAME ...]` runs each case in a process of its own and
prints what it took beside what it may take. Chains have operators of which no two are alike,
on devices of several kinds, so that nothing can be folded. The rest are commands.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.place import Options, place

MODEL = "specs/language/llama.nns:Llama3_70B"
LLAMA = ("nnspec", "place", MODEL, "--cluster", "64x8xh200", "--policy", "mixed_bf16")
CHAIN = ("benchmarks.placement_scale", "--chain")


@dataclass(frozen=True)
class Case:
    """A module with its arguments, and the CPU seconds that it may take."""

    name: str
    arguments: tuple[str, ...]
    most_seconds: float


CASES = (
    Case("10,000 operators, 16 devices of 4 kinds", (*CHAIN, "10000,4,16"), 2),
    Case("100,000 operators, 64 devices of 2 kinds", (*CHAIN, "100000,2,64"), 5),
    Case("70B on 512 devices, in a line", (*LLAMA, "B=8", "T=4096"), 30),
    Case("70B on 512 devices, free", (*LLAMA, "--free", "B=8", "T=4096"), 30),
    Case("70B on 512 devices, mesh", (*LLAMA, "--mesh", "any", "B=1024", "T=4096"), 30),
)


@dataclass(frozen=True)
class Row:
    """What a case took: CPU seconds (user and system) and the most memory, in MiB."""

    name: str
    seconds: float
    most_seconds: float
    mebibytes: float
    status: int


def measured(case: Case) -> Row:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-m", *case.arguments],
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    _, status, use = os.wait4(child.pid, 0)
    seconds = use.ru_utime + use.ru_stime
    code = child.returncode = os.waitstatus_to_exitcode(status)
    return Row(case.name, seconds, case.most_seconds, use.ru_maxrss / 1024, code)


def place_chain(count: int, kinds: int, devices: int) -> int:
    """Places a chain of unlike operators in a line; 0 if the plan is proven to be the best."""
    draw = random.Random(0)
    names = [f"kind{n}" for n in range(kinds)]
    operators = tuple(
        Operator(
            f"n{n}", {each: draw.uniform(1, 9) for each in names}, draw.randint(1, 100)
        )
        for n in range(count)
    )
    values = tuple(
        Value(n, (n + 1,), bytes=draw.randint(1, 50)) for n in range(count - 1)
    )
    memory = int(sum(each.memory for each in operators) / devices * 1.5)
    kind = {"memory": memory, "port": {"bandwidth": 1.0}}
    nodes = [{"devices": dict.fromkeys(names, devices // kinds)}]
    cluster = cluster_of({"kinds": dict.fromkeys(names, kind), "nodes": nodes})
    plan = place(WeightedGraph(operators, values), cluster, "throughput", Options(True))
    return 0 if plan.status == "optimal" else 1


def rows(wanted: list[str]) -> Iterator[Row]:
    for case in CASES:
        if not wanted or any(each in case.name for each in wanted):
            yield measured(case)


def as_text(row: Row) -> str:
    verdict = "" if row.status == 0 else f"  failed ({row.status})"
    return (
        f"{row.name:<42} {row.seconds:>6.1f} s of {row.most_seconds:g} s "
        f"{row.mebibytes:>6.0f} MiB{verdict}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement_scale")
    parser.add_argument("names", nargs="*", help="parts of the names of cases")
    parser.add_argument("--json", action="store_true", help="print a list for programs")
    parser.add_argument("--chain", metavar="OPERATORS,KINDS,DEVICES", help="one chain")
    given = parser.parse_args(arguments)
    if given.chain:
        count, kinds, devices = map(int, given.chain.split(","))
        return place_chain(count, kinds, devices)
    found: list[Row] = []
    for row in rows(given.names):
        found.append(row)
        if not given.json:
            print(as_text(row), flush=True)
    if given.json:
        print(json.dumps([asdict(row) for row in found], indent=2))
    return 0 if found and not any(row.status for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
