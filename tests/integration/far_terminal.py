"""Run a program on a terminal of its own behind a slow link, as ssh(1) does: `far_terminal.py SECONDS PROGRAM...`

Bytes, both ways, and changes of the window arrive so many seconds later.
"""

import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time
import tty
from collections import deque


def size_of_window() -> bytes:
    return fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))


def start(command: list[str]) -> tuple[int, int]:
    """Its process id, and the outer end of its terminal."""
    size = size_of_window()
    pid, far = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execv(command[0], command)
    return pid, far


def pass_on(far: int, delay: float) -> None:
    """Until the program and all that it started have closed the terminal."""
    resized, resize = os.pipe()
    os.set_blocking(resize, False)
    signal.signal(signal.SIGWINCH, lambda *_: None)
    signal.set_wakeup_fd(resize)
    coming: deque[tuple[float, int, bytes]] = deque()
    sources = [0, far, resized]
    while coming or far in sources:
        wait = max(0.0, coming[0][0] - time.monotonic()) if coming else None
        for source in select.select(sources, [], [], wait)[0]:
            due = time.monotonic() + delay
            try:
                data = os.read(source, 1 << 16)
            except OSError:  # EIO: nobody has the inner end open
                data = b""
            if not data:
                sources.remove(source)
            elif source == resized:
                coming.append((due, -1, size_of_window()))
            else:
                coming.append((due, 1 if source == far else far, data))
        while coming and coming[0][0] <= time.monotonic():
            _, target, data = coming.popleft()
            if target < 0:
                fcntl.ioctl(far, termios.TIOCSWINSZ, data)
            while data and target >= 0:
                data = data[os.write(target, data) :]


if __name__ == "__main__":
    tty.setraw(0)
    child, outer = start(sys.argv[2:])
    pass_on(outer, float(sys.argv[1]))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
