"""The asyncio client's way to all that an agent writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from clove.client.aio_link import AioLink
from clove.client.aio_stream import AsyncStream

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from clove.client.results import AttachReply, OutputReply

__all__ = ["AsyncOutput"]


class AsyncOutput:
    """Iterate (`async for`) over an agent's output: ("stdout" or "stderr", bytes), as they were written.

    Nothing of it is lost: the agent is read no faster than this is iterated over (docs/output.md). It
    ends when the agent has ended. Leaving earlier (`close`, `async with`) leaves the agent to itself.

    @param hold: the attachment, which is made when the iteration, or `async with`, begins.
    @param read: gives an agent's output from an offset on, when there is some, on the connection of
        the attachment.
    @ivar offset: of the byte that comes next, over both streams; the first one's before the end.
    """

    def __init__(
        self,
        hold: AsyncStream[AttachReply, AttachReply],
        read: Callable[[AioLink, int, int], Awaitable[OutputReply]],
    ) -> None:
        self.offset = 0
        self._hold = hold
        self._read = read
        self._agent_id: int | None = None
        self._pieces: deque[tuple[str, bytes]] = deque()
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        while not self._pieces:
            if self._is_over:
                raise StopAsyncIteration
            await self._add_page()
        return self._pieces.popleft()

    async def _add_page(self) -> None:
        """Wait for more, and say that what came before is taken."""
        try:
            agent_id = await self._attached()
            link = self._hold.link
            if link is None:  # it has ended by itself
                raise StopAsyncIteration
            page = await self._read(link, agent_id, self.offset)
        except BaseException:
            await self.close()
            raise
        data, at = page["data"], 0
        for piece in page["pieces"]:
            self._pieces.append((piece["stream"], data[at : at + piece["size"]]))
            at += piece["size"]
        self.offset = page["next"]
        self._is_over = page["ended"]

    async def _attached(self) -> int:
        """Attach, if that is not done yet; the agent's id."""
        if self._agent_id is None:
            first = await anext(self._hold)
            self._agent_id, self.offset = first["agent_id"], first["offset"]
        return self._agent_id

    async def close(self) -> None:
        """Detach from the output; what the agent writes then is not held for this client."""
        self._is_over = True
        self._pieces.clear()
        await self._hold.close()

    async def __aenter__(self) -> Self:
        await self._attached()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
