"""The asyncio client's connection, which is made anew when it was lost."""

from __future__ import annotations

import asyncio
import copy
import os

from clove.client.aio_link import AioLink
from clove.client.dialling import Attempts
from clove.client.exchange import Closed, Exchange
from clove.client.limits import ClientLimits
from clove.client.reaching import Reaching
from clove.errors import InvalidRequest, LimitExceeded

__all__ = ["AioConnection"]


class _Opening:
    """One attempt to get a connection, and the calls that wait for it."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[AioLink]] = []
        self.task: asyncio.Task[AioLink] | None = None

    def settle(self, task: asyncio.Task[AioLink]) -> None:
        """Tell all that wait how it went."""
        failure = Closed() if task.cancelled() else task.exception()
        for waiter in self.waiting:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(task.result())
            else:
                waiter.set_exception(copy.copy(failure))  # each has a traceback of its own

    def cancel(self) -> None:
        """Give up."""
        if self.task is not None:
            self.task.cancel()


class AioConnection:
    """At most one live link to the kernel, and the token that resumes its identity.

    It belongs to the event loop that it is used in; used in another, it gets another link.

    @param paths: the sockets to try.
    @ivar socket_path: where the kernel was reached last; before that the first of `paths`.
    @ivar link: the last link, which may be lost; None before the first and after `close`.
    @ivar pushing: where events were asked for last, until its loss was told; it may be lost. None: there is none.
    """

    def __init__(self, paths: tuple[str, ...], limits: ClientLimits) -> None:
        self.socket_path = paths[0]
        self.link: AioLink | None = None
        self.pushing: AioLink | None = None
        self._paths = paths
        self._limits = limits
        self._reaching = Reaching(self._dial, AioLink.greet, asyncio.sleep, limits)
        self._opening: _Opening | None = None
        self._pid = os.getpid()

    @property
    def is_alive(self) -> bool:
        """Whether there is a live link, and it is this process's."""
        return self.link is not None and self.link.lost is None and self._pid == os.getpid()

    @property
    def exchange(self) -> Exchange | None:
        """The last link's; None before the first and after `close`."""
        return None if self.link is None else self.link.exchange

    async def live_link(self) -> AioLink:
        """The live link; connects if there is none. Several may wait for one attempt.

        @raise ConnectionLost: the kernel cannot be reached; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        @raise LimitExceeded: too many wait already.
        @raise InvalidRequest: the link is in use in another event loop that runs.
        """
        self._leave_other_loops()
        if self.link is not None and self.link.lost is None:
            return self.link
        opening = self._opening or self._begin()
        if len(opening.waiting) >= self._limits.outstanding:
            raise LimitExceeded(f"{self._limits.outstanding} calls wait for a connection already")
        waiter: asyncio.Future[AioLink] = asyncio.get_running_loop().create_future()
        opening.waiting.append(waiter)
        try:
            return await waiter
        finally:
            opening.waiting.remove(waiter)
            if not opening.waiting and opening is self._opening:  # nothing needs it any more
                self._opening = None
                opening.cancel()

    async def pushing_link(self) -> AioLink:
        """Where events come; the live link, as L{live_link} has it, where none were asked for."""
        self._leave_other_loops()
        return self.pushing or await self.live_link()

    async def close(self) -> None:
        """Close the link and forget the identity; returns when it is closed."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        link, self.link, self._reaching.token = self.link, None, ""
        if link is None:
            return
        if self._pid == os.getpid() and link.loop is asyncio.get_running_loop():
            await link.close()
        else:
            link.disown()

    def _begin(self) -> _Opening:
        """Connect, and keep the link when that is over."""
        opening = self._opening = _Opening()
        task = asyncio.create_task(self._reaching.reach(again=self.link is not None))
        opening.task = task

        def over(task: asyncio.Task[AioLink]) -> None:
            if not task.cancelled() and task.exception() is None:
                if opening is self._opening:
                    self.link = task.result()
                else:  # closed, or given up, at the last moment
                    task.result().drop(Closed())
            if opening is self._opening:
                self._opening = None
            opening.settle(task)

        task.add_done_callback(over)
        return opening

    async def _dial(self) -> AioLink:
        """Connect to the first socket where a kernel listens, and check its user."""
        attempts = Attempts(self._paths)
        for pause in attempts:
            await asyncio.sleep(pause)
        self.socket_path = attempts.path
        return AioLink(asyncio.get_running_loop(), attempts.connection, self._limits)

    def _leave_other_loops(self) -> None:
        """Leave a link of another process or event loop alone; the next is ours."""
        link = self.link
        if self._pid != os.getpid():  # forked: it is the parent's, and so is the identity
            self._pid = os.getpid()
            self._reaching.token = ""
        elif link is None or link.loop is asyncio.get_running_loop():
            return
        elif link.loop.is_running() and link.lost is None:
            raise InvalidRequest(
                "this client is in use in another event loop",
                hint="make a client in each event loop; each is a principal of its own",
            )
        self._opening = self.link = self.pushing = None
        if link is not None:
            link.disown()
