"""`python -m clove.llm.service`: questions on stdin, answers on stdout, one JSON object a line.

It ends when stdin ends, and with it every question that is still open. stderr
is for people. `docs/thinking.md` has the whole exchange.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import stat
import sys
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from clove.errors import Cancelled, CloveError, Internal, InvalidRequest, LimitExceeded
from clove.llm.exchange import LINE_SLACK, PIECE, Ask, Cancel, Failed, Ready, Said, Text, line
from clove.llm.lines import LineBuffer
from clove.llm.options import Options, parse, read_key
from clove.llm.provider import IProvider, Spent

__all__ = ["Questions", "main", "make_provider", "serve"]

_PR_SET_DUMPABLE = 4


class _Start(msgspec.Struct):
    """As much of a line as says what it is."""

    id: int | None = None
    cancel: int | None = None


_start = msgspec.json.Decoder(_Start)
_ask = msgspec.json.Decoder(Ask)
_cancel = msgspec.json.Decoder(Cancel)


class Questions:
    """The questions that are open, each a task of asyncio.

    @ivar say: coroutine function that writes one message; while the reader is slow it
        waits, and with it the question that the message belongs to.
    """

    def __init__(self, provider: IProvider, options: Options, say: Any) -> None:
        self._provider = provider
        self._options = options
        self._say = say
        self._open: dict[int, asyncio.Task[None]] = {}

    async def take(self, text: bytes | None) -> None:
        """One line from the kernel; None stands for one over the limit."""
        number: int | None = None
        try:
            if text is None:
                raise LimitExceeded(f"a line has at most {self._options.max_line} bytes")
            start = _start.decode(text)
            number = start.id
            if start.cancel is not None:
                self._cancel(_cancel.decode(text).cancel)
            else:
                self._begin(_ask.decode(text))
        except CloveError as error:
            await self._say(failed(number, error))
        except (ValueError, RecursionError) as error:
            await self._say(failed(number, InvalidRequest(f"bad line: {error}")))

    def _begin(self, ask: Ask) -> None:
        if ask.id in self._open:
            raise InvalidRequest(f"question {ask.id} is open already")
        if len(self._open) >= self._options.max_open:
            raise LimitExceeded(f"{self._options.max_open} questions are open already")
        self._open[ask.id] = asyncio.get_running_loop().create_task(self._task(ask))

    def _cancel(self, number: int) -> None:
        task = self._open.get(number)
        if task is not None:
            task.get_loop().call_soon(task.cancel)  # after its first step: it must say its last

    async def _task(self, ask: Ask) -> None:
        """Answer a question and end it with exactly one last message."""
        try:
            last = await self._answer(ask)
        except asyncio.CancelledError:
            last = failed(ask.id, Cancelled("the question was abandoned"))
        except CloveError as error:
            last = failed(ask.id, error)
        except Exception as error:
            kind = type(error).__name__
            where = traceback.extract_tb(error.__traceback__)[-1]  # its text might hold the key
            location = f"{where.filename}:{where.lineno}"
            print(f"question {ask.id}: {kind} at {location}", file=sys.stderr, flush=True)
            last = failed(ask.id, Internal(f"the provider failed: {kind}"))
        del self._open[ask.id]
        await self._say(last)

    async def _answer(self, ask: Ask) -> Said:
        async def emit(text: str) -> None:
            for start in range(0, len(text), PIECE):
                await self._say(Text(id=ask.id, text=text[start : start + PIECE]))

        done = await self._provider.answer(ask, emit)
        size = len(line(done))
        if size > self._options.max_answer + LINE_SLACK:
            error = LimitExceeded(f"the answer has {size} bytes, too many to pass on")
            raise Spent(error, done.input_tokens, done.output_tokens)
        return done

    async def close(self) -> None:
        """Abandon everything."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._provider.close()


def failed(number: int | None, error: CloveError) -> Failed:
    """An error as the message that says so."""
    spent = error if isinstance(error, Spent) else None
    cause = spent.error if spent is not None else error
    return Failed(
        id=number,
        code=cause.code,
        error=cause.message,
        hint=cause.hint,
        input_tokens=spent.input_tokens if spent else 0,
        output_tokens=spent.output_tokens if spent else 0,
    )


def make_provider(options: Options) -> IProvider:
    """The provider that the options name. Only here is a provider's library imported.

    @raise ValueError: the options don't make one (no key, a bad address).
    """
    if options.provider == "gemini":
        from clove.llm.gemini import Gemini

        gemini: IProvider = Gemini(options, read_key(options))
        return gemini
    from clove.llm.offline import Offline

    offline: IProvider = Offline()
    return offline


class _Flow(asyncio.streams.FlowControlMixin):
    """The pipe to the kernel; it says when the other end is closed."""

    def __init__(self, on_lost: Callable[[], object]) -> None:
        super().__init__()
        self._on_lost = on_lost

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end is closed."""
        super().connection_lost(exc)
        self._on_lost()


async def serve(options: Options, provider: IProvider, stdin: int, stdout: int) -> None:
    """Answer until stdin ends or stdout is closed at the other end. Takes over both descriptors."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 16)
    lost = asyncio.Event()
    # The pipe transports close these files.
    source, sink = os.fdopen(stdin, "rb", 0), os.fdopen(stdout, "wb", 0)
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    outgoing, flow = await loop.connect_write_pipe(lambda: _Flow(lost.set), sink)
    writer = asyncio.StreamWriter(outgoing, flow, None, loop)

    async def say(message: Said) -> None:
        if not lost.is_set():
            writer.write(line(message))
            with contextlib.suppress(ConnectionError):
                await writer.drain()

    questions = Questions(provider, options, say)
    reading = loop.create_task(_read(reader, questions, options.max_line))
    await say(Ready(provider=provider.name, model=provider.model))
    await _first(reading, loop.create_task(lost.wait()))
    await questions.close()
    if not lost.is_set():  # a transport that is gone takes no abort
        outgoing.abort()
    incoming.close()


async def _read(reader: asyncio.StreamReader, questions: Questions, max_line: int) -> None:
    lines = LineBuffer(max_line)
    while data := await reader.read(1 << 16):
        for text in lines.feed(data):
            await questions.take(text)


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait for one of the tasks and cancel the others."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def hide_memory() -> None:
    """Forbid other processes of this user to read this one's memory and environment (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def main() -> int:
    """Run the service; gives the exit status."""
    hide_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the kernel, which ends our stdin
    options = parse(sys.argv[1:], os.environ)
    if not (_is_pipe(0) and _is_pipe(1)):
        print("clove.llm.service: stdin and stdout must be pipes", file=sys.stderr)
        return 2
    try:
        provider = make_provider(options)
    except ValueError as error:
        print(f"clove.llm.service: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve(options, provider, 0, 1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
