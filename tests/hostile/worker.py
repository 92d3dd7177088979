"""Runs the commands of one group of cases in one process, with little memory, and reports each.

`python -m tests.hostile.worker GROUP FOLDER`: one JSON line for each thing done, on standard output.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from nnspec.cli.main import main
from nnspec.compiler import load_all
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.spec import Spec, Target
from tests.hostile import groups
from tests.hostile.cases import Case

MEMORY = 512 * 1024 * 1024
SECONDS_IN_ALL = 300
MOST_TEXT = 20_000


def command(path: str, settings: tuple[str, ...]) -> tuple[int, str, str]:
    """`nnspec check`: exit code and what it wrote."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["check", path, *settings])
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


def emission(spec: Spec, target: Target) -> tuple[int, str, str]:
    """What `nnspec compile` writes; the emitters check the text themselves."""
    try:
        return 0, spec.source(target), ""
    except SpecError as error:
        return 1, "", f"error[{error.diagnostic.code}]: {error.diagnostic.message}"
    except Exception:
        return 70, "", traceback.format_exc(limit=-3)


def costs(spec: Spec) -> tuple[int, str, str]:
    """Parameters and FLOPs, which are exact however large."""
    try:
        found = spec.cost()
        return 0, str(found.parameters)[:MOST_TEXT], ""
    except SpecError as error:
        return 1, "", f"error[{error.diagnostic.code}]: {error.diagnostic.message}"
    except Exception:
        return 70, "", traceback.format_exc(limit=-3)


def report(case: Case, what: str, act: Callable[[], tuple[int, str, str]]) -> None:
    """Does something and prints how it went."""
    seconds, (code, out, err) = timed(act)
    if (
        seconds > groups.MOST_SECONDS
    ):  # a machine that is busy counts more: the better of two
        seconds = min(seconds, timed(act)[0]) / slowness()
    line = {
        "case": case.name,
        "command": what,
        "code": code,
        "out": out if what in ("torch", "keras") else out[:MOST_TEXT],
        "err": err[:MOST_TEXT],
        "size": len(out) + len(err),
        "seconds": seconds,
    }
    print(json.dumps(line), flush=True)


def slowness() -> float:
    """How much slower the machine is now than one that counts two million in 0.05 s; at least 1.

    Processors share their parts: a second of CPU is worth less while others are busy.
    """
    begin = time.process_time()
    count = 0
    for number in range(2_000_000):
        count += number & 7
    return max(1.0, (time.process_time() - begin) / 0.05)


def timed(
    act: Callable[[], tuple[int, str, str]],
) -> tuple[float, tuple[int, str, str]]:
    """CPU seconds of this process, and what was done."""
    begin = time.process_time()
    found = act()
    return time.process_time() - begin, found


def everything(case: Case, path: str) -> None:
    """`check`, and what else can be asked of a spec that is right."""
    report(case, "check", lambda: command(path, case.settings))
    if not case.emit:
        return
    settings = dict(part.split("=", 1) for part in case.settings)
    try:
        specs = load_all(path, settings=settings)[:2]
    except (SpecErrors, OSError):  # `check` has said why
        return
    for spec in specs:
        if "identifiers" not in sys.argv:  # names have no cost
            report(case, "cost", lambda spec=spec: costs(spec))
        report(case, "torch", lambda spec=spec: emission(spec, "torch"))
        report(case, "keras", lambda spec=spec: emission(spec, "keras"))


def start() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_IN_ALL, SECONDS_IN_ALL))
    name, folder = sys.argv[1:3]
    os.chdir(folder)
    for number, case in enumerate(groups.ALL[name].cases):
        place = Path(folder, str(number))
        place.mkdir()
        path = place / case.file
        path.write_bytes(case.data())
        print(json.dumps({"begin": case.name}), flush=True)
        everything(case, str(path))
        path.unlink()


if __name__ == "__main__":
    start()
