"""`clove forward`."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.machine_command import machine_options, set_machine
from clove.cli.target import agent_names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["forward"]

LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 128


class Far(NamedTuple):
    """A port of an agent.

    @ivar machine: "": the context's.
    """

    machine: str
    agent: str
    port: int


class FarPort(click.ParamType):  # type: ignore[type-arg]
    """`[MACHINE:]AGENT:PORT`; an agent's name may have colons."""

    name = "far port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Far:
        """What was typed."""
        if isinstance(value, Far):
            return value
        rest, _, port = str(value).rpartition(":")
        machine, colon, agent = rest.partition(":")
        if not colon:
            machine, agent = "", rest
        if not agent or not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
            self.fail(f"{value!r} is not [MACHINE:]AGENT:PORT, as in build-7:web:8000", param, ctx)
        return Far(machine, agent, int(port))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Machines, then the agents on the one that was typed."""
        from click.shell_completion import CompletionItem

        machine, colon, agent = incomplete.partition(":")
        if not colon:
            found = MACHINE.shell_complete(ctx, param, machine)
            return [CompletionItem(f"{one.value}:", help=one.help) for one in found]
        ctx.params["machine"] = machine
        names = [one for one in agent_names(ctx) if one.startswith(agent)]
        return [CompletionItem(f"{machine}:{name}:") for name in names]


class NearPort(click.ParamType):  # type: ignore[type-arg]
    """`[HOST:]PORT` of this host's loopback."""

    name = "local port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """What was typed."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        host = host.strip("[]") or LOOPBACK
        try:
            if not ipaddress.ip_address(host).is_loopback:
                self.fail(f"{host} is not of this host's loopback, where alone it listens")
            if not (port.isascii() and port.isdecimal() and int(port) < 1 << 16):
                raise ValueError(port)
        except ValueError:
            self.fail(f"{value!r} is not [HOST:]PORT", param, ctx)
        return host, int(port)


@click.command(
    epilog="""\b
Examples:
  clove forward build-7:web:8000               http://127.0.0.1:8000 is the agent's port
  clove forward build-7:web:8000 9000          at another port here; 0: at one that is free
  clove forward --context prod/build-7 db:5432

\b
The agent listens in its sandbox, on 127.0.0.1 or on all addresses; nothing else has to be open there.
It has to be one that was started with your token. Ctrl-C ends it; so do the end of the agent, and that
of your token."""
)
@click.argument("far", metavar="[MACHINE:]AGENT:PORT", type=FarPort())
@click.argument("near", metavar="[LOCAL]", type=NearPort(), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def forward(
    console: Console,
    /,
    far: Far,
    near: tuple[str, int] | None,
    as_json: bool,
    **named: Any,
) -> None:
    """Let programs of this host connect to a port that an agent on a machine listens on."""
    from clove.cli.agents import agent_id
    from clove.cli.fleet.forwarder import Forwarder

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is open is closed then, too
    console.as_json = console.as_json or as_json
    set_machine(console, machine=far.machine or None, **named)
    with console.client(timeout=60.0) as client:
        number = agent_id(client, far.agent)
        listening = _listen(*(near or (LOOPBACK, far.port)))
        try:
            _announce(console, far, listening)
            Forwarder(console, client, number, far.port, listening).serve()
        except KeyboardInterrupt:
            return
        finally:
            listening.close()
    console.remark("the agent has ended")


forward.params += [one for one in machine_options() if one.name != "machine"]


def _announce(console: Console, far: Far, listening: socket.socket) -> None:
    machine = console.machine()
    assert machine is not None
    host, port = listening.getsockname()[:2]
    if console.as_json:
        where = {"machine_id": machine.machine, "agent": far.agent, "agent_port": far.port}
        console.data({"event": "listening", "host": host, "port": port, **where})
        return
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    console.line(f"{shown} -> {machine.machine}:{far.agent}:{far.port}")


def _listen(host: str, port: int) -> socket.socket:
    """@raise click.UsageError: the port cannot be had."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            hint = "name another one as LOCAL, or 0 for one that is free"
            raise click.UsageError(f"port {port} of this host is in use: {hint}") from None
        raise click.UsageError(f"port {port} cannot be listened on: {error.strerror}") from None
    return listening
