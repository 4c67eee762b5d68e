"""A headless Chromium, driven over a pair of pipes by the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Page", "browser"]

CHROMIUM = shutil.which("chromium")
PATIENCE = 60.0
"""Seconds for an answer, and for a condition of the page."""
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "/": (191, "/"), " ": (32, " ")}


class Page:
    """One tab.

    @ivar console: what it wrote there, errors and violations of its policy first of all.
    @ivar urls: what it has asked for.
    @ivar dialogs: alerts that came up.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.console: list[str] = []
        self.urls: list[str] = []
        self.dialogs: list[str] = []

    def attach(self) -> None:
        """Take the tab that there is."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """One command; gives its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self) -> Any:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            data = os.read(self._read, 1 << 16)
            assert data, "the browser has ended"
            self._buffer += data
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(raw)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: Any) -> None:
        if method == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.urls.append(params["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])

    def open(self, url: str) -> None:
        """Go there."""
        self.send("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """What a script of the tester's gives."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a script gives something true."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(f"!!({expression})"):
            shown = self.evaluate("document.body?.innerText")
            assert time.monotonic() < deadline, (expression, shown, self.console)
            time.sleep(0.02)

    def until_text(self, text: str) -> None:
        """Wait until the page shows it."""
        self.until(f"document.body?.innerText.includes({json.dumps(text)})")

    @property
    def text(self) -> str:
        """What it shows."""
        return str(self.evaluate("document.body.innerText"))

    def type(self, text: str) -> None:
        """Type where the focus is."""
        self.send("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """One key."""
        code, text = KEYS[key]
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def tab_to(self, expression: str) -> None:
        """Press Tab until the focused element is one for which a script of `it` gives true."""
        for _ in range(60):
            if self.evaluate(f"(it => {expression})(document.activeElement)"):
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not lead to {expression}: {self.text}")

    def show_as(self, *, width: int = 1200, height: int = 850, scheme: str = "light") -> None:
        """A size of the window, and what the user prefers."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self, path: Path) -> None:
        """A picture of what is seen."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def browser(directory: Path) -> Iterator[Page]:
    """A browser of its own; it ends with the block."""
    assert CHROMIUM is not None
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (to_read, from_write)]
    words = [CHROMIUM, "--headless", "--no-sandbox", "--remote-debugging-pipe"]
    words += [f"--user-data-dir={directory}/profile", "--disable-gpu", "--no-first-run"]
    words += ["--disable-background-networking", "--disable-component-update", "--lang=en"]
    quiet = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    actions = [(os.POSIX_SPAWN_DUP2, quiet, number) for number in (0, 1, 2)]
    actions += [(os.POSIX_SPAWN_DUP2, each, 3 + at) for at, each in enumerate(high)]
    environment = {**os.environ, "HOME": str(directory), "TZ": "UTC"}
    pid = os.posix_spawn(CHROMIUM, words, environment, file_actions=actions, setpgroup=0)
    for each in (to_read, from_write, quiet, *high):
        os.close(each)
    try:
        page = Page(from_read, to_write)
        page.attach()
        yield page
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(to_write)
        os.close(from_read)
        _await_end(pid)


def _await_end(group: int) -> None:
    """Its processes have ended as well: they write into the profile."""
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(["pgrep", "-g", str(group)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.02)
