"""Starts one whole default sandbox, as an agent gets it, and says what it is like.

`python -m clove.kernel.checkup [PYTHON]` prints a JSON array of findings, for `clove
doctor`: {name, available, detail, remedy}. It needs no kernel and leaves nothing; the
network that it tries is a server of its own on loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from msgspec.structs import replace
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react

import clove
from clove.errors import CloveError, IsolationUnavailable
from clove.kernel.dry_run.outcome import Outcome
from clove.kernel.dry_run.run import Run
from clove.kernel.launch.agent_spec import Host, agent_spec
from clove.kernel.launch.interpreter_search import Sender, find_interpreter
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.profile import Clone, Profile
from clove.kernel.launch.resource_limits import settle_limits
from clove.kernel.mounts.interpreter import Interpreter
from clove.kernel.mounts.pinned_paths import PinnedPaths
from clove.kernel.network.gateway import GatewayLimits, Gateways
from clove.kernel.network.known_hosts import KnownHosts
from clove.kernel.principal import Kind, Principal
from clove.kernel.shared_user import look, shared_by_agents
from clove.messages.agents import SpawnRequest
from clove.policy import parse
from clove.sandbox.environment import public_environment
from clove.sandbox.host import HostView
from clove.sandbox.launcher import Launcher
from clove.sandbox.spec import REPORTED, Isolation
from clove.threads.threads import Threads

__all__ = ["main"]

ALLOWED, REFUSED = "allowed.doctor.test", "refused.doctor.test"
"""Names that do not exist (RFC 6761)."""
SECONDS: Final = 20.0
OUTPUT: Final = 64 << 10
UNNAMED: Final = "a name that no rule has is refused"
NAMED: Final = "a name that a rule has is reached"
REPORT_IT: Final = "please report this with the output of `clove doctor`"
NO_NETWORK: Final = "agents with `network: true` are refused; others are sandboxed all the same"

Finding = dict[str, Any]


def finding(name: str, available: bool, detail: str, remedy: str = "") -> Finding:
    """One feature, as L{clove.sandbox.probe.Feature} has it."""
    return {"name": name, "available": available, "detail": detail, "remedy": remedy}


class Greeting(Protocol):
    """Sends a line to each client that connects, and waits until it closes."""

    noisy = False

    def connectionMade(self) -> None:
        """Greet the client."""
        assert self.transport is not None
        self.transport.write(b"hello\n")


class Checkup:
    """One check-up.

    @param python: the interpreter that runs everything.
    @param home: an empty directory, the sandbox's workspace.
    """

    def __init__(self, reactor: Any, python: str, home: str) -> None:
        self._reactor = reactor
        self._python = python
        self._home = home
        self._root = os.geteuid() == 0
        self._threads = Threads(reactor, 2)
        self._launcher = Launcher(reactor, self._threads, python)

    async def findings(self) -> list[Finding]:
        """All of it."""
        self._threads.start()
        server = self._reactor.listenTCP(0, Factory.forProtocol(Greeting), interface="127.0.0.1")
        try:
            port = server.getHost().port
            try:
                return await self._all(port)
            except CloveError as error:
                refused = _not_started(error)
            if "network" not in refused[0]["detail"]:
                return refused
            found = await self._without_network()
            return found if not found[0]["available"] else [*found, *_no_egress(refused[0])]
        finally:
            await server.stopListening()
            self._threads.stop()

    @staticmethod
    def _shared() -> Iterator[Finding]:
        for feature in shared_by_agents(look(), AgentLimits()):
            yield asdict(feature)

    async def _all(self, port: int) -> list[Finding]:
        connect = {"what": "CONNECT", "port": port, "seconds": 5.0, "gateway": True}
        network = [{**connect, "host": ALLOWED}, {**connect, "host": REFUSED}]
        isolation, outcomes = await self._start(port, [*INSIDE, *network])
        allowed, refused = outcomes[len(INSIDE) :]
        return [
            *self._sandbox(isolation, outcomes),
            _told("egress.refused", refused.succeeded is False, UNNAMED, refused),
            _told("egress.allowed", _happened(allowed), NAMED, allowed),
        ]

    async def _without_network(self) -> list[Finding]:
        try:
            return list(self._sandbox(*await self._start(None, INSIDE)))
        except CloveError as error:
            return _not_started(error)

    def _sandbox(self, isolation: Isolation, outcomes: Sequence[Outcome]) -> Iterator[Finding]:
        user = "root" if self._root else "rootless"
        yield finding("sandbox", True, f"a whole one was started, {user}")
        for kind in REPORTED:
            has = isolation.namespaces.get(kind, False)
            yield finding(f"sandbox.{kind}", has, "its own" if has else "the host's")
        yield finding("sandbox.seccomp", isolation.seccomp, "its system calls are filtered")
        landlock = "its files are confined" if isolation.landlock else "not in this Linux"
        yield finding("sandbox.landlock", isolation.landlock, landlock)
        powers, root, home, secret = outcomes[: len(INSIDE)]
        yield _told("sandbox.capabilities", _happened(powers), "none, and no way to any", powers)
        yield _told("sandbox.root", root.errno_name == "EROFS", "read-only", root)
        yield _told("sandbox.workspace", _happened(home), "writable", home)
        yield _told("sandbox.files", secret.errno_name == "ENOENT", "without the host's", secret)
        yield from self._shared()

    async def _start(
        self, port: int | None, words: Sequence[dict[str, Any]]
    ) -> tuple[Isolation, list[Outcome]]:
        """Start the sandbox, make the dry runs in it, wait until it is gone.

        @param port: where the allowed host listens; None: without a network.
        @raise CloveError: there is no such sandbox here.
        """
        rules = [f"{host}:{port}" for host in (ALLOWED, "127.0.0.1")] if port else []
        permissions = parse("unrestricted", {"allowed_domains": rules})
        principal = Principal(1, Kind.AGENT, permissions)
        run = Run("", OUTPUT)
        hosts = KnownHosts({ALLOWED: "127.0.0.1", REFUSED: "127.0.0.1"}, self._reactor.nameResolver)
        gateways = Gateways(
            self._reactor, GatewayLimits(), hosts, refused=run.refused, carried=run.carried
        )
        gateway = gateways.open(principal, run.append_remark)
        try:
            interpreter = await self._interpreter()
            clone = await self._threads.run(self._clone, interpreter, port)
            made = clone.with_dry_run(LIBRARY, json.dumps(words))
            sandbox = await self._launcher.launch(made.spec, run.append_output, None, gateway.adopt)
            sandbox.done.addCallback(run.ended)
            ending = self._reactor.callLater(SECONDS, sandbox.kill)
            await run.gone
            if ending.active():
                ending.cancel()
        finally:
            gateway.close()
        return sandbox.isolation, run.outcomes(len(words))

    async def _interpreter(self) -> Interpreter:
        view = HostView(self._threads, self._launcher, os.getcwd())
        return await find_interpreter(view, Sender(), self._threads, self._python)

    def _clone(self, interpreter: Interpreter, port: int | None) -> Clone:
        """A default agent's sandbox, with neither socket nor cgroup. Blocking."""
        bounds = AgentLimits()
        host = Host(LIBRARY, frozenset(), self._root, public_environment(os.environ), "/")
        limits = settle_limits(None, bounds)
        uid = bounds.uid_base if self._root else None
        if uid is not None:
            _give(self._home, uid)
        script = os.path.join(LIBRARY, "sandbox", "inside", "dry_run.py")
        spec = agent_spec(
            SpawnRequest(name="doctor", script=script, network=port is not None),
            0,
            host=host,
            limits=limits,
            bounds=bounds,
            interpreter=interpreter,
            script=script,
            script_copy=script,
            home=self._home,
            socket="/nonexistent",
            cgroup_procs=None,
            uid=uid,
            egress=(port,) if port is not None else (),
        )
        pinned = PinnedPaths()
        try:
            pinned.pin(interpreter.parts, as_found=True)
        finally:
            pinned.close()  # this is the operator's own process
        spec = replace(spec, binds=(*spec.binds, *pinned.binds))
        return Profile(spec, spec.binds, None, limits, interpreter.program).clone(None)


LIBRARY: Final = os.path.dirname(os.path.realpath(clove.__file__))
INSIDE: Final = (
    {"what": "POWERS"},
    {"what": "WRITE", "path": "/usr/clove-doctor"},
    {"what": "WRITE", "path": "/workspace/clove-doctor"},
    {"what": "READ", "path": "/etc/shadow"},
)


def _give(path: str, uid: int) -> None:
    """Let an agent's user have it.

    @raise IsolationUnavailable: this root has no such user.
    """
    try:
        os.chown(path, uid, uid)
    except OSError as error:
        raise IsolationUnavailable(
            f"root cannot give files to agents' users: {error.strerror}",
            hint="root of a user namespace needs more user ids mapped into it, up to "
            f"{uid + 0xFFFF}; or run the kernel as an ordinary user",
        ) from None


def _happened(outcome: Outcome) -> bool:
    return outcome.succeeded is True


def _told(name: str, well: bool, what: str, outcome: Outcome) -> Finding:
    if well:
        return finding(name, True, what)
    said = "; ".join(part for part in (outcome.error, outcome.detail) if part)
    happened = f"{outcome.happened}: {said}" if said else outcome.happened
    return finding(name, False, f"expected: {what}; {happened}", REPORT_IT)


def _not_started(error: CloveError) -> list[Finding]:
    """No sandbox: why, and what would help."""
    user = "root" if os.geteuid() == 0 else "rootless"
    return [finding("sandbox", False, f"{error.message} ({user})", error.hint or REPORT_IT)]


def _no_egress(refused: Finding) -> Iterator[Finding]:
    for name in ("egress.refused", "egress.allowed"):
        yield {**refused, "name": name, "remedy": f"{refused['remedy']}; {NO_NETWORK}"}


async def _check(reactor: Any, python: str, report: Callable[[str], object]) -> None:
    home = tempfile.mkdtemp(prefix="clove-doctor-")
    try:
        report(json.dumps(await Checkup(reactor, python, home).findings()))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main(argv: Sequence[str]) -> None:
    """Check, print, exit.

    @param argv: perhaps an interpreter.
    """
    python = argv[0] if argv else sys.executable

    def run(reactor: Any) -> Deferred[None]:
        return ensureDeferred(_check(reactor, python, print))

    react(run, ())


if __name__ == "__main__":
    main(sys.argv[1:])
