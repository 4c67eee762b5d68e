"""What metrics needs to know of agents, as protocols; other packages implement them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
