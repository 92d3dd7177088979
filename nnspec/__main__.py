"""The process of one command: `nnspec`, or `python -m nnspec`."""

from __future__ import annotations

import gc
import os
import sys


def run() -> int:
    """Runs the command that this process was started for; the result is its exit code."""
    # What a command makes mostly lives until it ends: few collections find anything,
    # and those at the end would only free what the system takes back at once.
    gc.set_threshold(100_000, *gc.get_threshold()[1:])
    from nnspec.cli.main import main

    code = main()
    gc.freeze()
    return code


if __name__ == "__main__":
    # Python puts the current folder first: a `click.py` beside someone's spec would run.
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
        del sys.path[0]
    sys.exit(run())
