"""Run as an agent: the long ways round to files that it was not given (rows 3, 4 and 6).

Each path is tried through both doors: asked of the kernel, and opened.
"""

import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Callable

from clove import CloveClient
from clove.errors import CloveError
from tests.adversary.attempting import attempts, facts, report

OURS, THEIRS = facts["ours"], facts["theirs"]
SECRET = f"{THEIRS}/secret"
BLOCKED = f"{OURS}/blocked"


def asked(operation: str, path: str) -> str:
    try:
        with CloveClient() as client:
            if operation == "read":
                return str(client.read_file(path)["content"])
            client.write_file(path, "agent", mode=operation)
            return "written"
    except CloveError as error:
        return error.code


def direct(operation: str, path: str) -> str:
    flags = {"read": os.O_RDONLY, "write": os.O_WRONLY, "append": os.O_WRONLY | os.O_APPEND}
    try:
        descriptor = os.open(path, flags[operation])
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        return errno.errorcode[number] if number else type(error).__name__
    with open(descriptor, "rb" if operation == "read" else "wb") as file:
        return file.read().decode() if operation == "read" else "written"


def each(name: str, path: str) -> None:
    for door in (asked, direct):
        for operation in ("read", "write", "append"):
            attempts[f"{name}: {door.__name__} {operation}"] = (
                lambda door=door, operation=operation: door(operation, path)  # type: ignore[misc]
            )


os.chdir(OURS)
os.symlink(SECRET, "link")
os.symlink(THEIRS, "directory")
os.symlink("directory", "chain")
os.symlink(f"/proc/self/root{SECRET}", "magic")
os.symlink(BLOCKED, "to-blocked")
held = os.open(OURS, os.O_RDONLY)

for name, path in {
    "plain": SECRET,
    "dots": f"{OURS}/../{os.path.basename(THEIRS)}/secret",
    "slashes": f"{OURS}//.//../{os.path.basename(THEIRS)}//secret",
    "missing": f"{OURS}/missing/../../{os.path.basename(THEIRS)}/secret",
    "prefix": f"{OURS}data/secret",
    "case": SECRET.upper(),
    "link": f"{OURS}/link",
    "linked directory": f"{OURS}/directory/secret",
    "chain of links": f"{OURS}/chain/secret",
    "link to proc": f"{OURS}/magic",
    "root of proc": f"/proc/self/root{SECRET}",
    "cwd of proc": f"/proc/self/cwd/../{os.path.basename(THEIRS)}/secret",
    "root of a thread": f"/proc/thread-self/root{SECRET}",
    "root of init": f"/proc/1/root{SECRET}",
    "cwd of init": f"/proc/1/cwd{SECRET}",
    "descriptor": f"/dev/fd/{held}/../{os.path.basename(THEIRS)}/secret",
    "NUL": f"{SECRET}\0{OURS}/plain",
    "blocked": BLOCKED,
    "blocked by dots": f"{OURS}/./sub/../blocked",
    "blocked by a link": f"{OURS}/to-blocked",
    "blocked by proc": f"/proc/self/root{BLOCKED}",
    "blocked by cwd": "/proc/self/cwd/blocked",
}.items():
    each(name, path)


def hard_link(source: str) -> Callable[[], object]:
    def link() -> object:
        os.link(source, f"{OURS}/hard")
        return asked("read", f"{OURS}/hard")

    return link


attempts["hard link to what is not shown"] = hard_link(SECRET)
attempts["hard link to blocked"] = hard_link(BLOCKED)


def exchanged() -> object:
    """Swap a file for a link to the blocked one while the kernel judges it."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in ("good", "spare"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    with open("good", "w") as file:
        file.write("ours")
    os.symlink(BLOCKED, "spare")
    over = threading.Event()
    swaps = [0]

    def swap() -> None:
        while not over.is_set():
            libc.renameat2(-100, b"good", -100, b"spare", 2)  # RENAME_EXCHANGE
            swaps[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    with CloveClient() as client:
        for _ in range(300):
            try:
                seen.add(client.read_file(f"{OURS}/good")["content"])
            except CloveError as error:
                seen.add(error.code)
    over.set()
    thread.join()
    return [sorted(seen), swaps[0] > 0]


def planted(path: str, how: str) -> Callable[[], object]:
    def plant() -> object:
        if how == "mkdir":
            os.mkdir(path)
        elif how == "link":
            os.symlink("/tmp", path)
        elif how == "rename":
            os.rename(os.path.dirname(path), f"{os.path.dirname(path)}-old")
        elif how == "ask":
            return asked("write", path)
        else:
            with open(path, "w") as file:
                file.write("planted")
        return "done"

    return plant


attempts["exchanged"] = exchanged
for how in ("write", "mkdir", "link", "rename", "ask"):
    attempts[f"hook by {how}"] = planted(f"{OURS}/.git/hooks/pre-commit", how)
attempts["hooks moved away"] = planted(f"{OURS}/.git/hooks/x", "rename")
attempts["repository moved away"] = planted(f"{OURS}/.git/hooks", "rename")
for name in (".bashrc", ".profile", "clove.toml", "sitecustomize.py", ".gitconfig", ".netrc"):
    attempts[f"own {name}"] = planted(f"/workspace/{name}", "write")
report()
