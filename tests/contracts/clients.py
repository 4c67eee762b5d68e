"""Each kind of client as a test that is written once uses it: whatever a call gives, it is awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, DeferredQueue
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread

from clove import CloveClient
from clove.client.aio import AsyncClient
from clove.client.deferred import DeferredClient

__all__ = ["KINDS", "AsyncioKind", "BlockingKind", "DeferredKind", "Kind", "case"]

SECONDS = 60.0
Case = Coroutine[Any, Any, None]


class Kind:
    """How clients of one kind are made and asked."""

    def run(self, case: Case) -> Deferred[None] | None:
        """Run a test to its end, or give what fires then: pytest-twisted waits for it."""
        raise NotImplementedError

    def client(self, path: str | None = None, **options: Any) -> Any:
        """A client that is not connected."""
        raise NotImplementedError

    async def ask(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        """Make a call (or `connect`, `close`, `hello`, `exit`) and wait for its result."""
        raise NotImplementedError

    async def ask_all(
        self, client: Any, *calls: tuple[Any, ...], closing: threading.Event | None = None
    ) -> list[Any]:
        """Make calls at the same time; their results, or exceptions.

        @param closing: when this is set, the client is closed while they wait.
        """
        raise NotImplementedError

    async def stream(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        """Make a call with a reply in pieces: these, and the whole."""
        raise NotImplementedError

    async def next_event(self, client: Any) -> Any:
        """An event that was pushed."""
        raise NotImplementedError

    @asynccontextmanager
    async def connected(self, path: str, **options: Any) -> AsyncIterator[Any]:
        """A client that is connected, and closed afterwards."""
        client = self.client(path, **options)
        await self.ask(client, "connect")
        try:
            yield client
        finally:
            await self.ask(client, "close")


class BlockingKind(Kind):
    """`CloveClient`: calls return results; the test never really waits."""

    def run(self, case: Case) -> None:
        try:
            case.send(None)
        except StopIteration:
            return
        raise AssertionError("the test waits for something else than calls")

    def client(self, path: str | None = None, **options: Any) -> Any:
        return CloveClient(path, **options)

    async def ask(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        return getattr(client, name)(*args, **options)

    async def ask_all(
        self, client: Any, *calls: tuple[Any, ...], closing: threading.Event | None = None
    ) -> list[Any]:
        results: list[Any] = [None] * len(calls)

        def ask(index: int, name: str, *args: Any) -> None:
            try:
                results[index] = getattr(client, name)(*args)
            except Exception as error:
                results[index] = error

        threads = [
            threading.Thread(target=ask, args=(index, *call)) for index, call in enumerate(calls)
        ]
        for thread in threads:
            thread.start()
        if closing is not None:
            closing.wait(SECONDS)
            client.close()
        for thread in threads:
            thread.join(SECONDS)
        return results

    async def stream(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        stream = getattr(client, name)(*args, **options)
        return list(stream), stream.result

    async def next_event(self, client: Any) -> Any:
        return client.next_event(SECONDS)


class DeferredKind(Kind):
    """`DeferredClient`: calls give Deferreds."""

    def run(self, case: Case) -> Deferred[None]:
        return Deferred.fromCoroutine(case).addTimeout(SECONDS, cast(IReactorTime, reactor))

    def client(self, path: str | None = None, **options: Any) -> Any:
        client: Any = DeferredClient(cast(IReactorTime, reactor), path, **options)
        client.events = DeferredQueue()
        client.on_event = client.on_events_lost = client.events.put
        return client

    async def ask(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(client, name)(*args, **options)

    async def ask_all(
        self, client: Any, *calls: tuple[Any, ...], closing: threading.Event | None = None
    ) -> list[Any]:
        asked = [getattr(client, name)(*args) for name, *args in calls]
        both: Any = DeferredList(asked, consumeErrors=True)
        if closing is not None:
            await deferToThread(closing.wait, SECONDS)
            await client.close()
        return [result if good else result.value for good, result in await both]

    async def stream(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        pieces: list[Any] = []
        whole = await getattr(client, name)(pieces.append, *args, **options)
        return pieces, whole

    async def next_event(self, client: Any) -> Any:
        event = await client.events.get()
        if isinstance(event, Exception):
            raise event
        return event


class AsyncioKind(Kind):
    """`AsyncClient`: calls are coroutines."""

    def run(self, case: Case) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(SECONDS):
                await case

        asyncio.run(bounded())

    def client(self, path: str | None = None, **options: Any) -> Any:
        return AsyncClient(path, **options)

    async def ask(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(client, name)(*args, **options)

    async def ask_all(
        self, client: Any, *calls: tuple[Any, ...], closing: threading.Event | None = None
    ) -> list[Any]:
        asked = [getattr(client, name)(*args) for name, *args in calls]
        results = asyncio.gather(*asked, return_exceptions=True)
        if closing is not None:
            await asyncio.to_thread(closing.wait, SECONDS)
            await client.close()
        return await results

    async def stream(self, client: Any, name: str, *args: Any, **options: Any) -> Any:
        stream = getattr(client, name)(*args, **options)
        return [piece async for piece in stream], stream.result

    async def next_event(self, client: Any) -> Any:
        return await client.next_event(SECONDS)


KINDS: dict[str, Callable[[], Kind]] = {
    "blocking": BlockingKind,
    "deferred": DeferredKind,
    "asyncio": AsyncioKind,
}


def case(test: Callable[[Kind, Any], Case]) -> Callable[[Kind, Any], object]:
    """A test that each kind of client runs in its own way."""

    def run(kind: Kind, peer: Any) -> object:
        return kind.run(test(kind, peer))

    run.__doc__ = test.__doc__
    return run
