"""A name in a directory of a sandbox, held by its init."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from clove.errors import InvalidRequest, Unavailable
from clove.sandbox.init_errors import path_refused
from clove.sandbox.interface import Facts, IEntry

if TYPE_CHECKING:
    from clove.sandbox.requests import Requests

__all__ = ["RemoteEntry", "ask_init", "read_facts"]


async def ask_init(requests: Requests, message: dict[str, Any], path: str) -> dict[str, Any]:
    """What init answers about something that it holds.

    @param path: as the caller named it, for error texts.
    @raise CloveError: it refuses.
    """
    answer = await requests.ask(message)
    if answer.fields["op"] == "refused":
        raise path_refused(answer.fields, path)
    return answer.fields


def read_facts(said: Any) -> Facts | None:
    """Facts as init tells them; it is believed no more than their form.

    @raise Unavailable: they have none.
    """
    if said is None:
        return None
    try:
        kind, size, mode, modified, links = said
        return Facts(str(kind), int(size), int(mode), float(modified), int(links))
    except (TypeError, ValueError, OverflowError):
        raise Unavailable("the agent's sandbox says nothing that makes sense") from None


@implementer(IEntry)
class RemoteEntry:
    """What it stands for is done by init, with the agent's rights. @see: L{IEntry}.

    @param handle: init's number for it.
    @param release: tells init to forget it.
    """

    def __init__(
        self, requests: Requests, handle: int, path: str, asked: str, release: Callable[[], None]
    ) -> None:
        self.path = path
        self.handle = handle
        self._requests = requests
        self._asked = asked
        self._release = release

    async def _ask(self, op: str, **fields: Any) -> dict[str, Any]:
        message = {"op": op, "handle": self.handle, **fields}
        return await ask_init(self._requests, message, self._asked)

    def facts(self) -> Deferred[tuple[Facts, str]]:
        """@see: L{IEntry.facts}."""

        async def call() -> tuple[Facts, str]:
            said = await self._ask("facts")
            [found] = [read_facts(one) for one in said["facts"]]
            if found is None:
                raise Unavailable("the agent's sandbox says nothing of it")
            return found, str(said["target"])

        return Deferred.fromCoroutine(call())

    def make_directory(self, mode: int) -> Deferred[None]:
        """@see: L{IEntry.make_directory}."""

        async def call() -> None:
            await self._ask("mkdir", mode=mode)

        return Deferred.fromCoroutine(call())

    def rename(self, to: IEntry, *, replace: bool) -> Deferred[None]:
        """@see: L{IEntry.rename}."""
        if not isinstance(to, RemoteEntry) or to._requests is not self._requests:
            raise InvalidRequest("what is moved stays in one view of the files")
        other = to.handle

        async def call() -> None:
            await self._ask("rename", to=other, replace=replace)

        return Deferred.fromCoroutine(call())

    def remove(self, most: int, *, recursive: bool) -> Deferred[tuple[int, bool]]:
        """@see: L{IEntry.remove}."""

        async def call() -> tuple[int, bool]:
            said = await self._ask("remove", most=most, recursive=recursive)
            return int(said["removed"]), bool(said["gone"])

        return Deferred.fromCoroutine(call())

    def close(self) -> None:
        """Release it. Idempotent."""
        self._release()
