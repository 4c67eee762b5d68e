"""A fleet on one machine: a relay, two kernels that join it, agents on both, and one from outside.

    python examples/fleet/demo.py

Everything is in a temporary directory and on loopback, and gone at the end. What it types is what you
would type, with addresses of your own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = Path(sys.executable).parent
MACHINES = ("alpha", "beta")
STARTING = 30.0
"""Seconds that a relay or a kernel gets to start."""
RELAY = "[rest]\nport = 0\n[hub]\nport = 0\n"


@contextmanager
def daemon(directory: Path, name: str, *words: str) -> Iterator[Path]:
    """One daemon of twistd in the foreground; gives its log."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAMS / "twistd", "-n", "--pidfile=", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
        )
    try:
        yield log
    finally:
        process.terminate()
        try:
            process.wait(STARTING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def found_in(log: Path, pattern: str) -> str:
    """What a pattern finds in a log, as soon as it does."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.05)
    sys.exit(f"demo: {log.stem} did not start:\n{log.read_text(errors='replace')[-2000:]}")


class Shell:
    """Runs commands as they would be typed, and shows them.

    @param home: the home of all of them, whose contexts are not the user's own.
    """

    def __init__(self, home: Path) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CLOVE_")}
        self._environ = {**kept, "HOME": str(home), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}

    def run(self, *words: str, typed: str = "", where: str = "", hide: bool = False) -> str:
        """Run one; gives its output.

        @param typed: its standard input.
        @param where: the socket of the kernel that it is for.
        @param hide: the output is a token.
        """
        print(f"\n$ {' '.join(words)}", flush=True)
        environ = {**self._environ, **({"CLOVE_SOCKET": where} if where else {})}
        done = subprocess.run(
            words,
            input=typed,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=HERE,
            check=False,
        )
        shown = f"{done.stdout[:18]}...\n" if hide else done.stdout
        print(shown, end="", flush=True)
        if done.returncode:
            raise SystemExit(f"demo: that failed with exit code {done.returncode}")
        return done.stdout


def main() -> None:
    """Show it."""
    begin = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="clove-fleet-", dir="/tmp"))
    try:
        with ExitStack() as stack:
            show(stack, directory)
    finally:
        shutil.rmtree(directory)
    print(f"\nAll of it took {time.monotonic() - begin:.0f} s, and is gone.")


def show(stack: ExitStack, directory: Path) -> None:
    """Start a relay and two kernels, join them, and use them."""
    config = directory / "relay.toml"
    config.write_text(RELAY)
    words = ("clove-relay", "--state-dir", f"{directory}/relay", "--config", str(config))
    relay = stack.enter_context(daemon(directory, "relay", *words))
    sockets = {name: f"{directory}/{name}.sock" for name in MACHINES}
    logs = {
        name: stack.enter_context(
            daemon(
                directory,
                name,
                *("clove-kernel", "--socket", socket, "--state-dir", f"{directory}/{name}"),
            )
        )
        for name, socket in sockets.items()
    }
    rest = found_in(relay, r"serves REST on 127\.0\.0\.1 port (\d+)")
    hub = found_in(relay, r"serves WebSockets on 127\.0\.0\.1 port (\d+)")
    admin = found_in(relay, r"(clove_admin_\w+)")
    for log in logs.values():
        found_in(log, r"(clove-kernel answers)")
    url = f"ws://127.0.0.1:{hub}"
    print(f"A relay and the kernels {' and '.join(MACHINES)} run.")
    shell = Shell(directory)
    shell.run("clove", "login", f"http://127.0.0.1:{rest}", typed=admin)
    shell.run("clove", "config", "set", "hub", url)
    for name, socket in sockets.items():
        token = shell.run("clove", "machines", "join", name, hide=True)
        shell.run("clove", "tunnel", "join", url, name, typed=token, where=socket)
    shell.run("clove", "machines", "label", "beta", "env=prod")
    shell.run("clove", "machines", "list")
    shell.run("clove", "agent", "run", "work.py", "--machine", "beta", "a", "report")
    shell.run("clove", "agent", "run", "--all", "work.py")
    new = ("clove", "tokens", "create", "--kind", "agent", "--label", "env=prod")
    token = shell.run(*new, hide=True)
    shell.run("python", "remote_agent.py", url, "beta", typed=token)
    shell.run("clove", "agent", "list", "--machine", "beta", "--all")


if __name__ == "__main__":
    main()
