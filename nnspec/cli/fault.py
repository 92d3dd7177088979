"""What to do when nnspec itself is at fault: keep everything that reproduces it."""

from __future__ import annotations

import os
import platform
import tempfile
import traceback
from collections.abc import Iterator, Sequence

from nnspec import __version__
from nnspec.cli.arguments import SpecArgument
from nnspec.cli.shown.text import shortened

EXTRAS = {
    "jax": "keras",
    "keras": "keras",
    "numpy": "weights",
    "safetensors": "weights",
    "tensorflow": "keras",
    "torch": "torch",
}
"""The extra that brings a package in."""

_LARGEST_COPY = 1024 * 1024


def report(error: Exception, arguments: Sequence[str]) -> str:
    """Writes a file that reproduces the fault; the one line that says so."""
    summary = f"a fault of nnspec itself ({type(error).__name__})"
    try:
        path = _write_reproducer(error, arguments)
    except OSError as failure:
        reason = failure.strerror or type(failure).__name__
        return f"{summary}; no reproducer could be written ({reason})"
    return f"{summary}; please report it with the file {path}"


def _write_reproducer(error: Exception, arguments: Sequence[str]) -> str:
    folder = tempfile.mkdtemp(prefix="nnspec-fault-")
    path = os.path.join(folder, "reproducer.txt")
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.writelines(_reproducer(error, arguments))
    return path


def _reproducer(error: Exception, arguments: Sequence[str]) -> Iterator[str]:
    yield f"nnspec {__version__}, Python {platform.python_version()}, "
    yield f"{platform.platform()}\narguments: {list(arguments)!r}\n\n"
    yield shortened("".join(traceback.format_exception(error)), _LARGEST_COPY)
    for argument in arguments:
        path = SpecArgument.parse(argument).path
        if os.path.isfile(path):
            yield f"\n==== {path}\n"
            yield _contents(path)


def _contents(path: str) -> str:
    from nnspec.files import read_regular

    try:
        data = read_regular(path, _LARGEST_COPY)
    except OSError as failure:
        return f"({failure.strerror})\n"
    return data.decode("utf-8", "backslashreplace")
