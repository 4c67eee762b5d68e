"""Run as an agent: a server whose ports are published, which does with connections what they ask for."""

import asyncio
import contextlib


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        asked = (await reader.readline()).split()
        await do(asked, reader, writer)
        writer.close()


async def do(
    asked: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if asked[0] == b"echo":
        writer.write(asked[1] + b"\n")
    elif asked[0] == b"send":
        writer.write(b"x" * int(asked[1]))
    elif asked[0] == b"hold":  # says nothing, until its client has ended
        await reader.read()
    elif asked[0] == b"swallow":  # reads no more, and stays
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(100)
    elif asked[0] == b"half":  # has sent all, and reads on
        writer.write_eof()
        await reader.read()
    elif asked[0] == b"flood":
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
    elif asked[0] == b"reach":  # a port of its own loopback
        try:
            _, other = await asyncio.open_connection("127.0.0.1", int(asked[1]))
            other.close()
            writer.write(b"reached\n")
        except OSError as error:
            writer.write(type(error).__name__.encode() + b"\n")


async def main() -> None:
    v4 = await asyncio.start_server(serve, "127.0.0.1", 8000, backlog=256)
    await asyncio.start_server(serve, "::1", 8001, backlog=256)
    print("up", flush=True)
    await v4.serve_forever()


asyncio.run(main())
