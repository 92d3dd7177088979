"""Headless Chromium, driven over its own protocol through a pair of pipes: pages as a reader has them.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
# Chromium reads from descriptor 3 and writes to 4.
_START = """
import os, sys
reads, writes = (os.dup(os.dup(os.dup(int(each)))) for each in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def executable() -> str:
    """Chromium's path. Raises FileNotFoundError where it is not installed."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError(
            "Chromium is missing: `make chromium` installs it (Debian's package `chromium`)"
        )
    return found


class Page:
    """A page that is open."""

    def __init__(self, process: Process, session: str) -> None:
        self._process = process
        self._session = session

    def open(self, path: Path) -> None:
        """Loads a file and waits until its scripts have run."""
        self._send("Page.enable")
        self._send("Log.enable")
        self._send("Network.enable")
        self._process.events.clear()
        self._send("Page.navigate", url=path.as_uri())
        self._process.wait_for("Page.loadEventFired")

    def run(self, expression: str) -> Any:
        """The value of an expression. Raises RuntimeError for what it throws."""
        answer = self._send(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser logged: errors, and violations of the page's policy."""
        self.run("0")
        return [
            str(event["params"])
            for event in self._process.events
            if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        self.run("0")
        return [
            event["params"]["request"]["url"]
            for event in self._process.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._process.send(method, parameters, self._session)


class Process:
    """The browser: requests are answered in order, all else that it says is an event."""

    def __init__(self, profile: str) -> None:
        reads, self._writes = os.pipe()
        self._reads, writes = os.pipe()
        command = [executable(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._child = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                _START,
                str(reads),
                str(writes),
                *command,
            ],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def send(
        self, method: str, parameters: dict[str, Any], session: str | None = None
    ) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select([self._reads], [], [], PATIENCE)
            data = os.read(self._reads, 1 << 16) if ready else b""
            if not data:
                raise RuntimeError("Chromium has stopped, or does not answer")
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def close(self) -> None:
        try:
            self.send("Browser.close", {})
        except (OSError, RuntimeError):  # it has ended already
            self._child.kill()
        os.close(self._writes)
        os.close(self._reads)
        try:
            self._child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


@contextmanager
def page() -> Iterator[Page]:
    """A page of a browser of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = Process(profile)
        try:
            target = process.send("Target.createTarget", {"url": "about:blank"})
            given = {"targetId": target["targetId"], "flatten": True}
            session = process.send("Target.attachToTarget", given)["sessionId"]
            yield Page(process, session)
        finally:
            process.close()
