"""What a group of measurements is given: how much to measure, a quiet machine, and processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from bench.quiet import Quiet
from bench.servers import build
from bench.workload import WARM_SECONDS, Sample, Server, Workload, take

__all__ = ["Plan"]

T = TypeVar("T")


class Plan:
    """Of one run.

    @ivar rounds: how often each sample is taken, in turn with those that it is compared with.
    @ivar seconds: how long one sample of requests lasts.
    @ivar warm: load before a sample, in seconds.
    @ivar smoke: see only that everything runs.
    @ivar against: another tree of Clove, of which a kernel is measured beside this one's.
    @param say: told what is being done.
    @param patience: seconds for which others are waited for, in all.
    """

    def __init__(
        self,
        rounds: int = 5,
        seconds: float = 0.45,
        smoke: bool = False,
        say: Callable[[str], object] = lambda text: None,
        against: Path | None = None,
        patience: float = 120.0,
    ) -> None:
        self.rounds = 1 if smoke else rounds
        self.seconds = 0.1 if smoke else seconds
        self.smoke = smoke
        self.say = say
        self.against = against.resolve() if against else None
        self.warm = 0.02 if smoke else WARM_SECONDS
        self._what = ""
        self._quiet = Quiet(
            patience=patience,
            say=lambda text: say(f"{self._what}  {text}".rstrip()),
        )
        processors = sorted(os.sched_getaffinity(0))
        self._all, self._server, self._load = set(processors), processors[0], processors[-1]

    @cached_property
    def tools(self) -> dict[str, Path]:
        """The load tools.

        @raise Unavailable: they cannot be compiled here.
        """
        return build()

    def sample(
        self, what: str, measurement: Callable[[], T], *, again: bool = True
    ) -> tuple[T, bool]:
        """Measure once while the machine is quiet; also whether it was not.

        @param again: do so again where others came in meanwhile; not worth the time for what takes long.
        """
        self._what = what
        self.say(what)
        if self.smoke:
            return measurement(), False
        return self._quiet.sample(measurement, again=again)

    def load(self, load: Workload, server: Server) -> tuple[Sample, bool]:
        """Put a load on a server once, while the machine is quiet; also whether it was not."""
        return self.sample(
            f"{load.name}: {server.name}",
            lambda: take(self.tools, load, server, self.seconds, self.warm),
        )

    @contextmanager
    def pinned(self) -> Iterator[Callable[..., None]]:
        """Have servers run on one processor, and what the bench starts from then on, the load, on another.

        Without this the scheduler may put both ends of one connection on the same one, where a round trip takes
        a fraction of the time. Servers are moved when they run: a kernel that has one processor when it
        starts does without what needs two.

        @return: to be called with the servers when they run.
        """

        def pin(*servers: Server) -> None:
            for server in servers:
                for thread in os.listdir(f"/proc/{server.pid}/task"):
                    os.sched_setaffinity(int(thread), {self._server})
            os.sched_setaffinity(0, {self._load})

        try:
            yield pin
        finally:
            os.sched_setaffinity(0, self._all)
