"""The kernel's configuration: a TOML file, every key known, every value checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from clove.configuration import read_configuration
from clove.errors import InvalidRequest
from clove.kernel.async_results import AsyncLimits
from clove.kernel.audit import AuditLimits
from clove.kernel.compiled import Choice
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.dry_run import DryRunLimits
from clove.kernel.events import EventLimits
from clove.kernel.files import ExecLimits, FileLimits
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.llm import LLMSettings
from clove.kernel.logs.limits import LogLimits
from clove.kernel.mail import MailLimits
from clove.kernel.metrics import MetricsLimits
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.gateway import GatewayLimits
from clove.kernel.network.published import PublishLimits
from clove.kernel.network.settings import EgressSettings
from clove.kernel.remote.settings import RemoteLimits, RemoteSettings, TunnelSettings
from clove.kernel.state import StateLimits
from clove.loop.watchdog import WatchdogSettings
from clove.policy import Level
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.zygote.settings import ZygoteSettings
from clove.sharing.shares import ShareLimits
from clove.threads.threads import ThreadLimits

__all__ = ["Access", "Config", "Limits", "load"]

MAY_BE_ZERO = frozenset(
    {"idle_timeout", "grace", "nice", "ended", "operator_connections", "max_redirects"}
    | {"min_interval", "kill_wait", "operators", "processors", "spin"}
)
"""Limits for which 0 means something."""
MOST = 2**53
"""The largest limit."""
MOST_NICE = 19
MOST_BYTES = 1 << 20
"""Bytes of a configuration file."""
RENAMED = {
    "limits.agents.remembered": "limits.agents.ended",
    "limits.agents.remembered_output": "limits.agents.ended_output",
    "limits.attempts": "limits.dry_run",
    "limits.state.max_graves": "limits.state.max_tombstones",
    "nursery": "zygote",
    "zygote.spares": "zygote.prefork",
}
"""Keys of earlier releases, and what each is called now."""


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Users besides the operator that may connect: user ids and the level that they get."""

    uids: dict[int, Level] = {}
    """User id to permission level; then the socket is open to every user of the host,
    and those not named are turned away."""
    other_namespaces: bool = False
    """Judge processes in other user or pid namespaces than the kernel's by their user ids, unless
    they are known to be an agent's of this kernel: such as processes of the host where the kernel
    runs in a container. By default they are refused, since it cannot be told what they belong to.
    Those in sandboxes, agents of another kernel of this user among them, count as operators as
    well, if they reach the socket."""


class MetricsPort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prometheus metrics over HTTP on 127.0.0.1; 0: none."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """TCP port of `/metrics`."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every limit of every part; `docs/limits.md` explains each."""

    connection: ConnectionLimits = ConnectionLimits()
    agents: AgentLimits = AgentLimits()
    logs: LogLimits = LogLimits()
    mail: MailLimits = MailLimits()
    state: StateLimits = StateLimits()
    events: EventLimits = EventLimits()
    audit: AuditLimits = AuditLimits()
    files: FileLimits = FileLimits()
    exec: ExecLimits = ExecLimits()
    launch: LaunchLimits = LaunchLimits()
    http: EgressLimits = EgressLimits()
    gateway: GatewayLimits = GatewayLimits()
    publish: PublishLimits = PublishLimits()
    results: AsyncLimits = AsyncLimits()
    metrics: MetricsLimits = MetricsLimits()
    threads: ThreadLimits = ThreadLimits()
    shares: ShareLimits = ShareLimits()
    dry_run: DryRunLimits = DryRunLimits()
    remote: RemoteLimits = RemoteLimits()


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    socket: str = ""
    """Unix socket to listen on, and no other; empty: /run/clove/clove.sock for root, else
    clove/clove.sock in the user's XDG_RUNTIME_DIR, else clove.sock in the default `state_dir`; and
    `second_socket`."""
    second_socket: str | None = None
    """A second one; empty: none. Left out: the contract's /tmp/clove.sock where `socket` is empty,
    else none. If another process listens there, the kernel logs that and goes on without it."""
    second_socket_required: bool = False
    """Without the second socket the kernel does not start."""
    state_dir: str = ""
    """Directory for logs, workspaces, the agents' sockets and which ids were given; empty:
    /var/lib/clove for root, else ~/.local/state/clove."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8
    """Threads for file operations and samples that are asked for."""
    compiled: Choice = "auto"
    """Whether requests are received, parsed and answered by the compiled part, the distribution
    clove-fast ([compiled.md](compiled.md)): `auto`: if the one of this version is installed; `required`:
    without it the kernel does not start; `off`."""
    access: Access = Access()
    metrics: MetricsPort = MetricsPort()
    egress: EgressSettings = EgressSettings()
    llm: LLMSettings = LLMSettings()
    zygote: ZygoteSettings = ZygoteSettings()
    watchdog: WatchdogSettings = WatchdogSettings()
    tunnel: TunnelSettings = TunnelSettings()
    remote: RemoteSettings = RemoteSettings()
    limits: Limits = Limits()


def load(path: str | None) -> Config:
    """Read a configuration file; without one, the defaults.

    @raise InvalidRequest: the file cannot be read, is not TOML, has an unknown
        key or a value of the wrong type; the text names the key.
    """
    if path is None:
        return Config()
    config = read_configuration(
        path,
        Config,
        most=MOST_BYTES,
        keys="docs/configuration.md",
        check=lambda tree: _check_renamed(path, tree),
    )
    for problem in _problems(config):
        raise InvalidRequest(f"{path}: {problem}", hint="docs/limits.md explains each limit")
    return config


def _check_renamed(path: str, tree: dict[str, Any]) -> None:
    """@raise InvalidRequest: a key has its earlier name; the text has the new one."""
    for earlier, now in RENAMED.items():
        found: Any = tree
        for part in earlier.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            raise InvalidRequest(
                f"{path}: {earlier} is called {now} now",
                hint="docs/configuration.md lists the keys",
            )


def _problems(config: Config) -> Iterator[str]:
    """What is wrong with values of the right type."""
    for field in Limits.__struct_fields__:
        limits = getattr(config.limits, field)
        for name in limits.__struct_fields__:
            yield from _out_of_range(f"limits.{field}.{name}", name, getattr(limits, name))
    if config.limits.agents.nice > MOST_NICE:
        yield f"limits.agents.nice is at most {MOST_NICE}"
    for uid in config.access.uids:
        if not 0 <= uid < 2**32 - 1:
            yield f"access.uids: {uid} is not a user id"


def _out_of_range(key: str, name: str, value: float) -> Iterator[str]:
    least = 0 if name in MAY_BE_ZERO else 1
    if isinstance(value, float):
        if not 0 <= value <= MOST or (value == 0 and least):
            yield f"{key} is a number of seconds, {'0 or more' if not least else 'more than 0'}"
    elif not least <= value <= MOST:
        yield f"{key} is a whole number from {least} to {MOST}"
