"""The program that a worker process runs: holds one framework, and answers until its pipe is closed."""

from __future__ import annotations

import os
import pickle
import re
import resource
import sys
import traceback
from typing import Any

MEMORY_SHARE = 0.8
LARGEST_FILE = 16 * 2**30
LONGEST_MESSAGE = 1500


def limit_resources() -> None:
    """Bounds memory and the size of files, so that a program gone wild hurts nobody else."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _limit(resource.RLIMIT_DATA, int(memory * MEMORY_SHARE))
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(kind: int, wanted: int) -> None:
    _, most = resource.getrlimit(kind)
    value = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(kind, (value, most))


def make_side(kind: str) -> Any:
    """The object whose methods are the commands."""
    if kind == "pytorch":
        from nnspec.verify.torch_side import TorchSide

        return TorchSide()
    if kind == "timing":
        from nnspec.verify.timing_side import TimingSide

        return TimingSide()
    from nnspec.verify.keras_side import KerasSide

    return KerasSide(kind)


def told(error: BaseException) -> str:
    """An error with the lines of the emitted file that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "nnspec_emitted_" in frame.filename]
    lines = [
        f"  line {frame.lineno}, in {frame.name}: {frame.line}" for frame in own[-4:]
    ]
    return "\n".join([f"{type(error).__name__}: {_plain(str(error))}", *lines])


def _plain(message: str) -> str:
    """A message without colours, and without what Keras lays around the messages of others."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", message)
    if text.startswith("Exception encountered when calling"):
        text = text.partition("\n\n")[2].partition("\n\nArguments received by")[0]
    return text.strip()[:LONGEST_MESSAGE]


def main() -> None:
    """Answers requests; what the frameworks print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limit_resources()
    side = None
    while True:
        try:
            command, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            side = side or make_side(sys.argv[1])
            answer: Any = (True, getattr(side, command)(**arguments))
        except Exception as error:
            traceback.print_exc()
            answer = (False, told(error))
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    main()
