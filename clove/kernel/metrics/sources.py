"""What metrics needs to know of agents, as protocols; other packages implement them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

__all__ = ["Asker", "Caller", "Callers", "Record", "Records"]


class Record(Protocol):
    """A spawned agent."""

    @property
    def agent_id(self) -> int:
        """Its id."""

    @property
    def name(self) -> str:
        """The name it was spawned under."""

    @property
    def parent_id(self) -> int:
        """The id of its parent."""

    @property
    def pid(self) -> int:
        """Host pid of its main process; 0 if none runs."""

    @property
    def state(self) -> str:
        """As LIST shows it."""

    @property
    def uptime_ms(self) -> int:
        """Milliseconds since its start."""

    @property
    def restarts(self) -> int:
        """How often it was restarted."""

    @property
    def cgroup(self) -> str | None:
        """Absolute path of its cgroup, if it has one."""


class Records(Protocol):
    """All spawned agents."""

    def records(self) -> Iterable[Record]:
        """One record each."""


class Quotas(Protocol):
    """What a principal may use of the language model."""

    @property
    def max_llm_tokens(self) -> int:
        """Tokens; 0: no bound."""


class Limits(Protocol):
    """What an agent's processes may use."""

    def to_wire(self) -> dict[str, int]:
        """By the names of SPAWN, in its units."""


class Caller(Protocol):
    """A principal, which can make syscalls."""

    @property
    def agent_id(self) -> int:
        """Its id."""

    @property
    def name(self) -> str:
        """Its registered name, or ""."""

    @property
    def parent_id(self) -> int:
        """The id of its parent; 0 for connections from outside."""

    @property
    def permissions(self) -> Quotas:
        """What it may do, its quotas among it."""

    @property
    def limits(self) -> Limits | None:
        """What its processes may use; None: no bounds."""

    @property
    def outstanding(self) -> Mapping[str, int]:
        """Names of its syscalls that are not answered yet, and how many of each."""

    @property
    def syscalls(self) -> int:
        """How many it has made."""


class Asker(Protocol):
    """The principal that asks for metrics, whose turns the reading takes."""

    @property
    def family(self) -> int:
        """See L{clove.kernel.principal.Principal}."""

    @property
    def path(self) -> tuple[int, ...]:
        """See L{clove.kernel.principal.Principal}."""


class Callers(Protocol):
    """All live principals."""

    def __iter__(self) -> Iterator[Caller]:
        """Each of them."""
