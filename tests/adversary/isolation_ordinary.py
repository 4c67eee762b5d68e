"""Run as an agent: ordinary work, which must go on working. Prints JSON."""

import asyncio
import concurrent.futures
import contextlib
import datetime
import fcntl
import getpass
import json
import locale
import multiprocessing
import os
import pathlib
import pty
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import traceback
import zoneinfo
from collections.abc import Callable

results: dict[str, object] = {}


def work(function: Callable[[], object]) -> Callable[[], object]:
    try:
        results[function.__name__] = function()
    except BaseException:
        results[function.__name__] = traceback.format_exc()
    return function


def square(number: int) -> int:
    return number * number


if __name__ == "__main__":

    @work
    def pipeline() -> object:
        ran = subprocess.run(
            "seq 1 100 | grep 7 | wc -l", shell=True, capture_output=True, text=True
        )
        return int(ran.stdout)

    @work
    def pool() -> object:
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as workers:
            return workers.map(square, range(5))

    @work
    def terminal() -> object:
        pid, master = pty.fork()
        if pid == 0:
            os.execvp("sh", ["sh", "-c", "read word; stty size; test -t 0 && echo $word >/dev/tty"])
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 7, 11, 0, 0))
        os.write(master, b"hello\n")
        text = b""
        with contextlib.suppress(OSError):  # EIO at the end
            while data := os.read(master, 100):
                text += data
        os.waitpid(pid, 0)
        return text.decode()

    @work
    def threads() -> object:
        with concurrent.futures.ThreadPoolExecutor(4) as workers:
            return sum(workers.map(square, range(5)))

    @work
    def database() -> object:
        with sqlite3.connect("/workspace/data.db") as connection:
            connection.execute("create table t (x)")
            connection.execute("insert into t values (7)")
            return connection.execute("select x from t").fetchone()[0]

    @work
    def proc_self() -> object:
        return f"Pid:\t{os.getpid()}\n" in pathlib.Path("/proc/self/status").read_text()

    @work
    def time_zone() -> object:
        there = datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
        return there.strftime("%z")

    @work
    def local_time() -> object:
        return bool(datetime.datetime.now().astimezone().tzname())

    @work
    def locales() -> object:
        return locale.setlocale(locale.LC_ALL, "C.UTF-8")

    @work
    def library() -> object:
        import clove
        from clove import CloveClient

        return [clove.__name__, CloveClient.__name__]

    @work
    def temporary_file() -> object:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 100_000)
            return file.tell()

    @work
    def home() -> object:
        return [str(pathlib.Path.home()), os.getcwd(), getpass.getuser(), os.path.expanduser("~")]

    @work
    def loopback() -> object:
        async def talk() -> str:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write((await reader.readline()).upper())
                writer.close()

            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(b"hello\n")
            return (await reader.readline()).decode()

        return asyncio.run(talk())

    @work
    def own_socket() -> object:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("/tmp/mine.sock")
            server.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("/tmp/mine.sock")
        return True

    @work
    def certificates() -> object:
        return isinstance(ssl.create_default_context(), ssl.SSLContext)

    @work
    def processors() -> object:
        return (os.cpu_count() or 0) > 0

    @work
    def random_numbers() -> object:
        return len(os.urandom(16))

    @work
    def shared_memory() -> object:
        from multiprocessing import shared_memory as shm

        memory = shm.SharedMemory(create=True, size=4096)
        memory.close()
        memory.unlink()
        return True

    @work
    def devices() -> object:
        with open("/dev/null", "wb") as null, open("/dev/zero", "rb") as zero:
            null.write(zero.read(10))
        return True

    @work
    def signals() -> object:
        ran = subprocess.run(["sh", "-c", "kill -TERM $$"])
        return ran.returncode

    @work
    def background_thread() -> object:
        event = threading.Event()
        threading.Thread(target=event.set).start()
        return event.wait(10)

    @work
    def git() -> object:
        if not os.path.exists("/usr/bin/git"):
            return 0
        subprocess.run(["git", "init", "-q", "/workspace/repository"], check=True)
        return subprocess.run(["git", "status", "--short"], cwd="/workspace/repository").returncode

    @work
    def scripts() -> object:
        path = pathlib.Path("/workspace/tool.sh")
        path.write_text("#!/usr/bin/env python3\nprint(6 * 7)\n")
        path.chmod(0o700)
        return subprocess.run([path], capture_output=True, text=True).stdout

    @work
    def standard_error() -> object:
        print("to stderr", file=sys.stderr)
        return True

    print(json.dumps(results))
