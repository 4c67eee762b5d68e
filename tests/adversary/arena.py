"""Real kernels of root and of an ordinary user, whose agents attack from inside.

A suite runs each module's attempts in every way that an agent can come to be: under both
kernels, warm (forked from the zygote) and cold. Where a kernel has no warm start the warm
ways are skipped; where it has, an agent that was to start warm and did not is a failure.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clove.client.methods import agents
from tests.integration.conftest import READY_SECONDS
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host, kill_all
from tests.integration.gateway_upstream import WEB
from tests.sandboxes import NO_SANDBOX, SANDBOXES

__all__ = ["CONFIG", "WAYS", "Arena", "Kernels"]

WAYS = [(who, start) for who in (ROOT, ROOTLESS) for start in ("warm", "cold")]
CONFIG = f"""
[egress.hosts]
"api.test" = "127.0.0.1"
"evil.test" = "127.0.0.1"
"open.test" = "127.0.0.1"
"far.test" = "198.51.100.7"
"local.test" = "127.0.0.1"
"web.test" = "{WEB}"
"""
_numbers = itertools.count()


@dataclass
class Arena(Host):
    """A running kernel and one way in which its agents start.

    @ivar start: `warm` or `cold`.
    """

    start: str = "cold"

    def attempts(self, program: str, facts: Any = None, **fields: Any) -> Any:
        """What the attempts of a program beside this file came to; see L{begin_attempts}."""
        return self.printed(self.begin_attempts(program, facts, **fields)["id"])

    def begin_attempts(
        self, program: str, facts: Any = None, *, as_command: bool = False, **fields: Any
    ) -> Any:
        """Spawn a program of attempts; the reply.

        @param facts: what it is told.
        @param as_command: a command (EXEC) of an agent makes the attempts.
        """
        place = Path(__file__).parent
        frame = (place / "attempting.py").read_text()
        source = _IMPORT.sub(lambda _: frame, (place / program).read_text())
        args = [json.dumps(facts or {})]
        if as_command:
            return self.begin(_AS_COMMAND.format(source=source, args=args), **fields)
        return self.begin(source, *args, **fields)

    def begin(self, source: str, *args: str, **fields: Any) -> Any:
        """Spawn a script of this text with the default profile; the reply.

        @param fields: of SPAWN, `name` among them.
        """
        path = Path(self.kernel.directory, f"attempt-{next(_numbers)}.py")
        path.write_text(source)
        return self.begin_file(str(path), *args, **fields)

    def begin_file(self, script: str, *args: str, **fields: Any) -> Any:
        """Spawn a script that lies in a file; the reply.

        @param either: it may start the other way, too: what it needs changes meanwhile.
        """
        either = fields.pop("either", False)
        name = fields.pop("name", f"attacker-{next(_numbers)}")
        call = agents.spawn(name, script, args=list(args), **fields)
        assert isinstance(call.payload, dict)
        call.payload["warm"] = self.start == "warm"
        reply = self.client.ask(call)
        if not either and fields.get("sandboxed", True) and not fields.get("python"):
            assert reply.get("warm", False) is (self.start == "warm"), reply
        return reply

    def spawn(self, permissions: Any = None, **fields: Any) -> Agent:
        """An agent that does what it is asked."""
        if permissions is not None:
            fields["permissions"] = permissions
        reply = self.begin_file(self.script, **fields)
        return Agent(self.client, reply["id"], reply["isolation"])

    def run(self, source: str, *args: str, **fields: Any) -> Any:
        """What an agent prints as JSON until it ends by itself."""
        return self.printed(self.begin(source, *args, **fields)["id"])

    def printed(self, agent_id: int) -> Any:
        """What an agent has printed as JSON when it has ended with exit code 0."""
        ended = self.client.wait(agent_id, timeout=50)
        lines = self.client.logs(agent_id)["lines"]
        out = "".join(line["text"] for line in lines if line["stream"] in (1, "stdout"))
        assert ended["exit_code"] == 0, (ended, lines[-30:])
        return json.loads(out)

    def say(self, agent_id: int, message: Any) -> Any:
        """Send an agent something, and take its answer."""
        self.client.send_message(message, to=agent_id)
        [mail] = self.client.recv_messages(wait=30, max=1)["messages"]
        return mail["message"]

    @property
    def warm_is_known(self) -> bool:
        """Whether this kernel says how agents started; waits until its zygote serves."""
        before, self.start = self.start, "cold"
        reply = self.begin("")
        self.start = before
        if "warm" not in reply:
            return False
        deadline = time.monotonic() + READY_SECONDS
        while not self._starts_warm() and time.monotonic() < deadline:
            time.sleep(0.05)
        return True

    def _starts_warm(self) -> bool:
        call = agents.spawn(f"first-{next(_numbers)}", self.script)
        reply = self.client.ask(call)
        self.client.kill(reply["id"])
        return bool(reply["warm"])


_IMPORT = re.compile(r"from tests\.adversary\.attempting import (\([^)]*\)|.*)\n")
_AS_COMMAND = """
import sys
from clove import CloveClient

with open("/workspace/command.py", "w") as file:
    file.write({source!r})
with CloveClient() as client:
    done = client.exec([sys.executable, "/workspace/command.py", *{args!r}], timeout=50)
print(done["stdout"])
sys.stderr.write(done["stderr"])
sys.exit(done["exit_code"])
"""


class Kernels:
    """One kernel for each user, started when first asked for, and kept as long as the stack.

    @param prefix: a command that runs the kernels'.
    """

    def __init__(self, stack: contextlib.ExitStack, prefix: tuple[str, ...] = ()) -> None:
        self._stack = stack
        self._prefix = prefix
        self._hosts: dict[str, Host] = {}
        self._warm: dict[str, bool] = {}

    def arena(self, who: str, start: str) -> Arena:
        """Where agents of this kernel start in this way; skips where there is none."""
        if not SANDBOXES:
            pytest.skip(NO_SANDBOX)
        if who not in self._hosts:
            self._hosts[who] = self._stack.enter_context(host(who, CONFIG, self._prefix))
        self._hosts[who].kernel.check_runs()
        arena = Arena(**vars(self._hosts[who]), start=start)
        if who not in self._warm:
            self._warm[who] = arena.warm_is_known
        if start == "warm" and not self._warm[who]:
            pytest.skip("this kernel has no warm start")
        return arena


@contextlib.contextmanager
def emptied(arena: Arena) -> Iterator[Arena]:
    """An arena whose directory of files is empty and open, and gone with all agents later."""
    arena.directory()
    try:
        yield arena
    finally:
        kill_all(arena.client)
        shutil.rmtree(arena.files)
