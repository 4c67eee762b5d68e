"""Run as an agent: what it can do with the pseudoterminals of its sandbox (row 7)."""

import contextlib
import errno
import fcntl
import os
import pty
import termios

from tests.adversary.attempting import attempt, attempts, opened, report

held: list[int] = []


def taken() -> list[object]:
    """How many terminals there can be at a time, and what the next one is told."""
    with contextlib.ExitStack() as ends:
        for number in range(1000):
            try:
                pair = pty.openpty()
            except OSError:
                return [number, _why()]
            for end in pair:
                ends.callback(os.close, end)
    return ["all"]


def _why() -> str:
    try:
        os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "opened"


@attempt
def as_many_as_there_are() -> object:
    return [taken(), taken()]


@attempt
def listed() -> object:
    """What is there when nobody has one."""
    return sorted(os.listdir("/dev/pts"))


@attempt
def own_one() -> object:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    facts = os.stat(name)
    os.write(slave, b"out\n")
    shown = os.read(master, 100).decode()
    os.write(master, b"in\n")
    termios.tcsetwinsize(master, (7, 11))
    return [
        name.rpartition("/")[0],
        facts.st_uid == os.getuid(),
        oct(facts.st_mode & 0o777),
        shown,
        os.read(slave, 100).decode(),
        termios.tcgetwinsize(slave),
    ]


@attempt
def line_disciplines() -> object:
    """Each of Linux's own, of which all but the first are old code."""
    _, slave = pty.openpty()
    found = set()
    for number in range(1, 30):
        try:
            fcntl.ioctl(slave, termios.TIOCSETD, number.to_bytes(4, "little"))
            found.add("set")
        except OSError as error:
            found.add(errno.errorcode[error.errno or 0])
    return sorted(found)


@attempt
def attributes() -> object:
    with open("/proc/self/mounts") as file:
        [options] = [line.split()[3] for line in file if line.split()[1] == "/dev/pts"]
    return sorted({"nosuid", "noexec", "max=32"} & set(options.split(",")))


attempts["a file"] = lambda: os.close(os.open("/dev/pts/file", os.O_CREAT | os.O_WRONLY, 0o600))
attempts["a directory"] = lambda: os.mkdir("/dev/pts/directory")
attempts["a link"] = lambda: os.symlink("x", "/dev/pts/link")
attempts["more for all"] = lambda: opened("/proc/sys/kernel/pty/max", os.O_WRONLY)
attempts["more in reserve"] = lambda: opened("/proc/sys/kernel/pty/reserve", os.O_WRONLY)
attempts["a console"] = lambda: opened("/dev/console", os.O_RDWR)
attempts["a virtual console"] = lambda: opened("/dev/tty1", os.O_RDWR)
report()
