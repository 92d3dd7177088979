"""The worker processes, one for each framework: started when first asked, kept until the end.

A worker answers requests that come pickled through a pipe; both ends are this package's own. It runs
with bounded memory, without a user's framework settings, and is killed when it does not answer in time.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO

from nnspec.verify.exchange import Failed

LONGEST_ERROR = 2000
QUICK_COMPILATION = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
"""JAX compiles each operation anew: what counts is how soon it is ready."""
TIMING = "timing"
THREADS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)


class Worker:
    """A process that holds one framework. `kind` is `pytorch`, a Keras backend, or `timing`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._folder = tempfile.TemporaryDirectory(prefix="nnspec-worker-")
        self._log = Path(self._folder.name, "log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nnspec.verify.worker", kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder.name,
                env=_environment(self._folder.name, kind),
            )

    def send(self, command: str, **arguments: Any) -> None:
        """Asks for something; the answer is taken by `receive`."""
        try:
            pickle.dump((command, arguments), self._stream("stdin"), protocol=5)
            self._stream("stdin").flush()
        except OSError:
            raise self._dead() from None

    def receive(self, seconds: float) -> Any:
        """The answer to what was asked. Raises `Failed` with what went wrong in the worker."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            succeeded, answer = pickle.load(self._stream("stdout"))
        except (EOFError, pickle.UnpicklingError):
            raise self._dead(late=not timer.is_alive()) from None
        finally:
            timer.cancel()
        if not succeeded:
            raise Failed(answer)
        return answer

    def ask(self, command: str, seconds: float = 600, **arguments: Any) -> Any:
        """Asks and waits for the answer."""
        self.send(command, **arguments)
        return self.receive(seconds)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process; it can be called twice."""
        self._process.kill()
        self._process.wait()
        for name in ("stdin", "stdout"):
            try:
                self._stream(name).close()
            except OSError:
                continue  # what was still to be written has no reader any more
        self._folder.cleanup()

    def _stream(self, name: str) -> BinaryIO:
        stream = getattr(self._process, name)
        assert stream is not None
        return stream

    def _dead(self, late: bool = False) -> Failed:
        self._process.kill()
        code = self._process.wait()
        reason = "it did not answer in time" if late else f"it ended with status {code}"
        text = (
            self._log.read_text(errors="replace")[-LONGEST_ERROR:] if not late else ""
        )
        return Failed(f"the worker of {self.kind} is gone: {reason}\n{text}".rstrip())


_workers: dict[str, Worker] = {}


def worker(kind: str) -> Worker:
    """The worker of a framework, started anew where there is none."""
    known = _workers.get(kind)
    if known is not None and known.alive:
        return known
    if known is not None:
        known.close()
    _workers[kind] = Worker(kind)
    return _workers[kind]


@atexit.register
def close_workers() -> None:
    """Ends all workers."""
    while _workers:
        _workers.popitem()[1].close()


def _environment(folder: str, kind: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KERAS_", "TF_", "JAX_"))
    }
    if kind == TIMING:  # what is measured is this machine, with all that it has
        return {**kept, "TMPDIR": folder}
    found = {
        **kept,
        **THREADS,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TMPDIR": folder,
        "KERAS_HOME": folder,
    }
    found["CUDA_VISIBLE_DEVICES"] = ""  # what is claimed is claimed of the processor
    found["JAX_PLATFORMS"] = "cpu"
    found["XLA_FLAGS"] = QUICK_COMPILATION
    if kind != "pytorch":
        found["KERAS_BACKEND"] = kind
    return found
