"""A relay with a machine, what runs there, and a user's home: what every command is called in."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clove import CloveClient
from clove.client.fleet import FleetClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.cloud.containers import install, use_fakes
from tests.integration.cli.forms import Ran, with_pipes
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.waiting import until

__all__ = ["HOSTILE", "Prepared", "running_fixture"]

TURNED = "\u202e"
"""What the relay lets a name have, and a terminal would obey."""
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"
"""What a terminal would obey."""
WAITS = f"printf 'up {HOSTILE}\\n'; echo noted > note.txt; exec sleep 1000"
REQUIRED = {
    "python": ["/usr/bin/python3", "3.11"],
    "requirements": ["/home/ann/requirements.txt"],
    "size": 1234567,
}


class Prepared:
    """@ivar environ: what commands have; C{clove ps} is about the machine `build-7` itself.
    @ivar here: an operator's client of that machine.
    """

    def __init__(self, fleet: Fleet, home: Path) -> None:
        self.fleet, self.home = fleet, home
        self.kernel = fleet.join("build-7")
        self.spare = KernelProcess(tempfile.mkdtemp(dir="/tmp", prefix="c"))
        self.spare.start()
        fleet.commands_environ()
        shutil.copytree(Path(fleet.directory, "home/.clove"), home / ".clove")
        (home / "ssh").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
        (home / "ssh").chmod(0o755)
        self.environ = {
            "HOME": str(home),
            "PATH": f"{home}:{os.environ['PATH']}",
            "SHELL": "/bin/bash",
            "CLOVE_SOCKET": self.kernel.socket,
        }
        self.here = CloveClient(self.kernel.socket)
        self.there: RemoteClient = fleet.client("build-7", fleet.admin)
        self.relay = fleet.api()
        self.context_url = f"http://127.0.0.1:{fleet.rest_port}"
        self.fakes: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._fill()

    def _fill(self) -> None:
        """What lists have something of."""
        self.agent("web", labels={"team": "clock"})
        self.ended("done")
        self.here.store("config", {"depth": 3})
        self.here.store("note", HOSTILE)
        with contextlib.suppress(CloveError):
            self.relay.machine("nothing")
        with contextlib.suppress(CloveError):
            FleetClient(f"http://127.0.0.1:{self.fleet.rest_port}", "clove_admin_no").status()

    def number(self) -> int:
        """One that was not given yet."""
        return next(self._numbers)

    def agent(self, name: str = "", **more: Any) -> str:
        """Start one that waits, with the token of the context; its name."""
        name = name or f"agent-{self.number()}"
        self.there.spawn(name, command=["sh", "-c", WAITS, HOSTILE], **more)
        until(lambda: "up" in str(self.here.logs(name)["lines"]), f"{name} is up")
        return name

    def ended(self, name: str = "") -> str:
        """Start one that ends; its name."""
        name = name or f"agent-{self.number()}"
        self.there.spawn(name, command=["sh", "-c", "echo done; exit 3"])
        self.there.wait(name)
        return name

    def machine(self) -> str:
        """Register one that is not connected; its id."""
        name = f"rack-{self.number()}"
        self.relay.add_machine(
            name, name=f"rack {TURNED}4", labels={"env": "prod", "zone": "a"}, metadata={"o": "a"}
        )
        return name

    def token(self) -> str:
        """Make one; its id."""
        name = f"ann {TURNED} {self.number()}"
        return str(self.relay.issue_token("agent", labels={"env": "prod"}, name=name)["id"])

    def file(self, text: str, name: str = "") -> str:
        path = self.home / (name or f"file-{self.number()}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def workspace(self) -> str:
        name = f"space-{self.number()}"
        (self.home / ".local/share/clove/workspaces" / name).mkdir(parents=True)
        return name

    def environment(self) -> None:
        """One that `run --requirements` has built."""
        where = self.home / ".cache/clove/environments"
        where.mkdir(parents=True, exist_ok=True)
        where.chmod(0o700)
        key = f"{self.number():032x}"
        (where / f"{key}-x").mkdir()
        record = {**REQUIRED, "directory": f"{key}-x"}
        (where / f"{key}.json").write_text(json.dumps(record))

    def context(self) -> str:
        """A context of the same relay, beside the current one; its name."""
        name = f"other{self.number()}"
        path = self.home / ".clove/config.yaml"
        fields = f"relay: http://127.0.0.1:{self.fleet.rest_port}\n    token: {self.fleet.admin}"
        path.write_text(f"{path.read_text()}  {name}:\n    {fields}\n")
        return name

    def deploy(self) -> None:
        """A container, deployed to a Docker and a relay that are files."""
        if not self.fakes:
            fakes = self.home / "fakes"
            fakes.mkdir()
            self.fakes = install(fakes, "docker")
            environ = {**self.environ, **self.fakes}
            words = ("deploy", "docker", "--name", "box")
            ran = with_pipes(words, environ, prepare=use_fakes)
            assert ran.code == 0, ran

    def clove(self, *words: str, **more: Any) -> Ran:
        """Call it to prepare something."""
        ran = with_pipes(words, self.environ, **more)
        assert ran.code == 0, ran
        return ran

    def close(self) -> None:
        for each in self.here.list_agents():
            with contextlib.suppress(CloveError):
                self.here.kill(each["id"])
        self.here.close()
        self.there.close()
        self.spare.stop()
        shutil.rmtree(self.spare.directory)
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """Daemons that commands have started in our home."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().decode(errors="replace").split("\0")
                if any(str(self.home) in word for word in words) and "-n" in words:
                    found.append(int(path.parent.name))
        return found


@contextlib.contextmanager
def running_fixture() -> Iterator[Prepared]:
    """All of it, gone afterwards."""
    with running_fleet() as fleet:
        home = Path(tempfile.mkdtemp(dir="/tmp", prefix="h"))
        prepared = Prepared(fleet, home)
        try:
            yield prepared
        finally:
            prepared.close()
            shutil.rmtree(home)
