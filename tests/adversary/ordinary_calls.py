"""Run as an agent: work that a filter of system calls or Landlock might break. Prints JSON."""

import asyncio
import concurrent.futures
import ctypes
import fcntl
import json
import multiprocessing
import os
import pathlib
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import traceback
from collections.abc import Callable

results: dict[str, object] = {}


def work(function: Callable[[], object]) -> None:
    try:
        results[function.__name__] = function()
    except BaseException:
        results[function.__name__] = traceback.format_exc()


def square(number: int) -> int:
    return number * number


def count(lock: object, total: object) -> None:
    for _ in range(100):
        with lock:  # type: ignore[attr-defined]
            total.value += 1  # type: ignore[attr-defined]


def pools() -> object:
    found = []
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as workers:
            found.append(workers.map(square, [-1, 2]))
    return found


def semaphores() -> object:
    context = multiprocessing.get_context("fork")
    lock, total = context.Lock(), context.RawValue("i", 0)
    workers = [context.Process(target=count, args=(lock, total)) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    return total.value


def process_executor() -> object:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, context) as workers:
        return list(workers.map(square, range(3)))


def asyncio_subprocess() -> object:
    async def talk() -> str:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
        return (await process.communicate(b"hello"))[0].decode()

    return asyncio.run(talk())


def asyncio_thread() -> object:
    return asyncio.run(asyncio.to_thread(square, 3))


def names() -> object:
    addresses = {row[4][0] for row in socket.getaddrinfo("localhost", 80)}
    return "127.0.0.1" in addresses and addresses <= {"127.0.0.1", "::1"}


def numeric_name() -> object:
    named = os.path.exists("/etc/services")  # a small Debian has none
    service = "http" if named else 80
    return socket.getaddrinfo("127.0.0.1", service, type=socket.SOCK_STREAM)[0][4][1]


def tls() -> object:
    here, there = socket.socketpair()
    with here, there:
        context = ssl.create_default_context()
        wrapped = context.wrap_socket(
            here, server_hostname="localhost", do_handshake_on_connect=False
        )
        wrapped.setblocking(False)
        try:
            wrapped.do_handshake()
        except ssl.SSLWantReadError:
            return there.recv(1) == b"\x16"  # a handshake's first byte
    return False


def datagrams() -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", server.getsockname())
        return server.recv(9).decode()


def passed_descriptor() -> object:
    here, there = socket.socketpair()
    with here, there, tempfile.TemporaryFile() as file:
        socket.send_fds(here, [b"x"], [file.fileno()])
        _, descriptors, _, _ = socket.recv_fds(there, 1, 1)
        os.close(descriptors[0])
    return len(descriptors)


def abstract_socket() -> object:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0clove-ordinary")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0clove-ordinary")
    return True


def moves_between_directories() -> object:
    for name in ("one/deep", "two"):
        os.makedirs(name)
    pathlib.Path("one/deep/file").write_text("x" * 100)
    os.rename("one/deep/file", "two/file")
    os.link("two/file", "one/link")
    os.replace("two/file", "one/deep/file")
    shutil.move("one/deep", "two/deep")
    os.truncate("two/deep/file", 3)
    shutil.copytree("two", "three")
    shutil.move("three", "/tmp/three")
    os.symlink("two", "link")
    return pathlib.Path("/tmp/three/deep/file").read_text()


def archive() -> object:
    pathlib.Path("packed").write_text("x")
    os.chmod("packed", 0o755)
    with tarfile.open("archive.tar", "w") as file:
        file.add("packed")
    with tarfile.open("archive.tar") as file:
        file.extractall("unpacked")
    return oct(os.stat("unpacked/packed").st_mode)


def sticky_directory() -> object:
    os.mkdir("sticky")
    os.chmod("sticky", 0o1777)
    return True


def fifo() -> object:
    os.mkfifo("fifo")
    os.mknod("plain")
    return True


def locks() -> object:
    with open("lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
    return True


def own_proc() -> object:
    pathlib.Path("/proc/self/comm").write_text("worker")
    pathlib.Path("/proc/self/oom_score_adj").write_text("900")
    return pathlib.Path("/proc/self/comm").read_text().strip()


def shell_redirections() -> object:
    script = "echo one >/dev/null; echo two | tee /dev/fd/1; cat <<< three 2>/dev/null; echo >/dev/stderr"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    return [ran.stdout, ran.returncode]


def unnamed_file() -> object:
    descriptor = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.link(f"/proc/self/fd/{descriptor}", "named", src_dir_fd=os.open("/", os.O_RDONLY))
    return os.path.exists("named")


def program_in_memory() -> object:
    descriptor = os.memfd_create("program")
    os.write(descriptor, b"#!/bin/sh\necho ran\n")
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    return subprocess.run([path], capture_output=True, text=True).stdout


def process_descriptor() -> object:
    pid = os.fork()
    if pid == 0:
        signal.pause()
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    select.select([descriptor], [], [], 10)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


def timers() -> object:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    return True


def priorities() -> object:
    os.sched_setaffinity(0, os.sched_getaffinity(0))
    for policy in (os.SCHED_OTHER, os.SCHED_BATCH):
        os.sched_setscheduler(0, policy, os.sched_param(0))
    return os.nice(1) >= 1


def executable_memory() -> object:
    return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(square)(5)


def git_history() -> object:
    if not os.path.exists("/usr/bin/git"):
        return "1\n"
    script = """
    git init -q work && cd work && git status --short && echo x >file && git add file
    git -c user.name=a -c user.email=a@b commit -q -m first && git gc -q
    git clone -q . ../clone && cd ../clone && git log --oneline | wc -l
    """
    ran = subprocess.run(["sh", "-ec", script], capture_output=True, text=True)
    return ran.stdout + ran.stderr


def arrays() -> object:
    try:
        import numpy  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return 6.0
    return float((numpy.ones((2, 3)) @ numpy.ones((3, 1))).sum())


if __name__ == "__main__":
    home = tempfile.mkdtemp(dir="/workspace")
    os.chdir(home)
    for function in (
        pools,
        semaphores,
        process_executor,
        asyncio_subprocess,
        asyncio_thread,
        names,
        numeric_name,
        tls,
        datagrams,
        passed_descriptor,
        abstract_socket,
        moves_between_directories,
        archive,
        sticky_directory,
        fifo,
        locks,
        own_proc,
        shell_redirections,
        unnamed_file,
        program_in_memory,
        process_descriptor,
        timers,
        priorities,
        executable_memory,
        git_history,
        arrays,
    ):
        work(function)
    print(json.dumps(results), file=sys.stdout)
