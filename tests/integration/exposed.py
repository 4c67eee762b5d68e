"""Kernels of root and of an ordinary user, and agents that try each path through both doors."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import NotFound
from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.conftest import KernelProcess

ROOT, ROOTLESS = "root", "rootless"
ORDINARY = 12345
os.environ["CLOVE_TRUST_UID"] = str(ORDINARY)  # root's clients speak to that user's kernels here

AGENT = """
import errno, json, os, sys
from clove import CloveClient
from clove.errors import CloveError

client = CloveClient()

def syscall(operation, path):
    try:
        if operation == "read":
            return "yes:" + client.read_file(path)["content"]
        client.write_file(path, "agent")
        return "yes:"
    except CloveError as error:
        return error.code

def direct(operation, path):
    try:
        if operation == "read":
            with open(path) as file:
                return "yes:" + file.read()
        with open(path, "w") as file:
            file.write("agent")
        return "yes:"
    except OSError as error:
        return errno.errorcode[error.errno]

def run(code):
    found = {}
    try:
        exec(code, found)
        return found.get("found")
    except OSError as error:
        return errno.errorcode[error.errno]

def answer(ask):
    what, *rest = ask
    return {"syscall": syscall, "direct": direct, "run": run}[what](*rest)

while True:
    mail = client.recv_messages(wait=50)["messages"]
    for each in mail:
        client.send_message({"answer": answer(each["message"]["ask"])}, to=each["from"])
"""

_numbers = itertools.count()


class OrdinaryKernel(KernelProcess):
    """A kernel that an ordinary user runs, started by root."""

    def python(self) -> list[str]:
        identity = ["--reuid", str(ORDINARY), "--regid", str(ORDINARY), "--clear-groups"]
        return ["setpriv", *identity, unprivileged_python()]

    def command(self) -> list[str]:
        twistd = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
        _, *words = super().command()
        return [*self.python(), "-P", "-c", twistd, *words]


@dataclass
class Agent:
    """A sandboxed agent that does what it is asked."""

    client: CloveClient
    id: int
    isolation: dict[str, Any]

    def ask(self, *words: str) -> Any:
        """One answer: of `syscall` or `direct` with operation and path, or of `run` with code."""
        self.client.send_message({"ask": list(words)}, to=self.id)
        [mail] = self.client.recv_messages(wait=20)["messages"]
        return mail["message"]["answer"]

    def both(self, operation: str, path: str) -> tuple[str, str]:
        """What the syscall says, and the operating system."""
        return self.ask("syscall", operation, path), self.ask("direct", operation, path)

    @property
    def exposed(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self.isolation["exposed"]
        return found


@dataclass
class Host:
    """A kernel, its operator, and a directory of files that the kernel's user owns."""

    who: str
    kernel: KernelProcess
    client: CloveClient
    files: Path
    script: str

    def file(self, name: str, text: str = "host") -> str:
        """Make a file that everybody may read and write, with directories that all may enter."""
        path = self.files / name
        for directory in reversed(path.relative_to(self.files).parents):
            self.directory(str(directory))
        path.write_text(text)
        path.chmod(0o666)
        self._own(path)
        return str(path)

    def directory(self, name: str = ".") -> str:
        """Make a directory that everybody may write; that of all files, too, if a test before has emptied it."""
        if not self.files.exists() and name != ".":
            self.directory()
        path = self.files / name
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        self._own(path)
        return str(path)

    def _own(self, path: Path) -> None:
        if self.who == ROOTLESS and os.getuid() == 0:
            os.chown(path, ORDINARY, ORDINARY, follow_symlinks=False)

    def spawn(self, permissions: Any, **fields: Any) -> Agent:
        """Start an agent with these permissions, and that of answering."""
        if isinstance(permissions, str):
            permissions = {"level": permissions, "can_message": True}
        name = f"exposed-{next(_numbers)}"
        reply = self.client.spawn(name, self.script, permissions=permissions, **fields)
        return Agent(self.client, reply["id"], reply["isolation"])

    @contextlib.contextmanager
    def emptied(self) -> Iterator[Host]:
        """With an empty directory of files; agents and files go afterwards."""
        self.directory()
        yield self
        kill_all(self.client)
        shutil.rmtree(self.files)

    def until_restarted(self, agent: Agent) -> bool:
        """Wait until an agent runs for the second time."""
        for _ in range(400):
            for entry in self.client.list_agents():
                if entry["id"] == agent.id and entry["restarts"] and entry["running"]:
                    return True
            self.client.recv_messages(wait=0.05)
        return False


def kill_all(client: CloveClient) -> None:
    """End all agents, those included that end by themselves meanwhile."""
    for agent in client.list_agents():
        with contextlib.suppress(NotFound):
            client.kill(agent["id"])


@contextlib.contextmanager
def host(
    who: str,
    config: str = "",
    prefix: tuple[str, ...] = (),
    extra_environ: dict[str, str] | None = None,
) -> Iterator[Host]:
    """A running kernel of root or of an ordinary user, with all that belongs to it; gone later.

    @param prefix: a command that runs the kernel's.
    """
    if who == ROOT and os.getuid() != 0:
        pytest.skip("only root can run a root kernel")
    other = who == ROOTLESS and os.getuid() == 0
    if other and not unprivileged_python():
        pytest.skip("no interpreter that an ordinary user can run")
    directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
    environ = {"HOME": directory, **(extra_environ or {})}
    if other:
        environ["PYTHONPATH"] = os.pathsep.join(PATHS)
    if prefix and "[access]" not in config:  # the tests are outside of what it enters
        config = "[access]\nother_namespaces = true\n" + config
    kernel = (OrdinaryKernel if other else KernelProcess)(directory, config, environ, prefix=prefix)
    script, files = Path(directory, "agent.py"), Path(directory, "files")
    script.write_text(AGENT)
    os.chmod(directory, 0o755)
    files.mkdir()
    if other:
        for path in (directory, files):
            os.chown(path, ORDINARY, ORDINARY)
    try:
        kernel.start()
        with CloveClient(kernel.socket) as client:
            yield Host(who, kernel, client, files, str(script))
            kill_all(client)
    finally:
        if kernel.process is not None:
            kernel.stop()
        shutil.rmtree(directory)
