"""Ways around path rules that worked on other systems, tried on READ, WRITE and EXEC."""

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied
from clove.sandbox.inside import openat2
from clove.sandbox.launcher import Launcher
from clove.threads.threads import Threads
from tests.adversary.host_attacker import SECRET, Attacker


@pytest.fixture(params=["openat2", "walk"])
def attacker(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Attacker]:
    from twisted.internet import reactor

    if request.param == "walk":
        monkeypatch.setattr(openat2, "_found", [False])
    threads = Threads(reactor, 2)  # type: ignore[arg-type]
    threads.start()
    yield Attacker(threads, Launcher(reactor, threads), Path(os.path.realpath(tmp_path)))
    threads.stop()


async def test_what_is_allowed_works(attacker: Attacker) -> None:
    assert await attacker.read("plain") == "ours"
    assert await attacker.read(f"{attacker.ours}//./plain") == "ours"
    await attacker.write("new", "x")
    assert await attacker.read(attacker.ours / "new") == "x"


@pytest.mark.parametrize(
    "path",
    [
        "../appdata/secret",
        "{ours}/../appdata/secret",
        "{ours}/./.././/appdata/secret",
        "//{theirs}/secret",
        "{theirs}/secret",
        "{ours}data/secret",
        "{ours}/missing/../../appdata/secret",
        "/../../..{theirs}/secret",
    ],
)
async def test_dots_slashes_and_prefixes(attacker: Attacker, path: str) -> None:
    path = path.format(ours=attacker.ours, theirs=attacker.theirs)
    assert "allowed_read_paths" in await attacker.denied(path)


async def test_a_linked_file(attacker: Attacker) -> None:
    (attacker.ours / "link").symlink_to(attacker.theirs / "secret")
    await attacker.denied("link")


async def test_a_linked_directory(attacker: Attacker) -> None:
    (attacker.ours / "d").symlink_to("../appdata")
    (attacker.ours / "chain").symlink_to("d")
    await attacker.denied("d/secret")
    await attacker.denied("chain/secret")
    await attacker.denied("chain/../appdata/secret")


async def test_dots_after_a_link_mean_what_the_system_means(attacker: Attacker) -> None:
    (attacker.ours / "sub").mkdir()
    (attacker.theirs / "plain").write_text(SECRET)
    (attacker.theirs / "deep").mkdir()
    (attacker.ours / "d").symlink_to(attacker.theirs / "deep")
    await attacker.denied("d/../plain")  # by its text it would be ours/plain


async def test_a_link_to_what_does_not_exist_yet(attacker: Attacker) -> None:
    (attacker.ours / "l").symlink_to(attacker.theirs / "new")
    with pytest.raises(PermissionDenied):
        await attacker.write("l")
    with pytest.raises(PermissionDenied):
        await attacker.read("l")
    assert os.listdir(attacker.theirs) == ["secret"]


async def test_a_hard_link(attacker: Attacker) -> None:
    os.link(attacker.theirs / "secret", attacker.ours / "hard")
    assert await attacker.denied("hard") == "hard-link"


async def test_a_hard_link_to_a_blocked_file(attacker: Attacker) -> None:
    os.link(attacker.theirs / "secret", attacker.ours / "hard")
    attacker.allow(blocked=(f"{attacker.theirs}/*",))
    assert await attacker.denied("hard") == "hard-link"
    assert await attacker.read("plain") == "ours"


async def test_a_blocked_name_answers_the_same_whether_or_not_it_exists(
    attacker: Attacker,
) -> None:
    attacker.allow(blocked=(f"{attacker.theirs}/*",))
    errors = []
    for name in ("secret", "nothing", "no/thing"):
        with pytest.raises(PermissionDenied) as caught:
            await attacker.read(attacker.theirs / name)
        errors.append(caught.value.message.replace(name, "NAME"))
        with pytest.raises(PermissionDenied):
            await attacker.write(attacker.theirs / name)
    assert len(set(errors)) == 1
    assert os.listdir(attacker.theirs) == ["secret"]


@pytest.mark.parametrize(
    "name", [".git/hooks/pre-commit", ".bashrc", ".clove/config.toml", ".ssh/authorized_keys"]
)
async def test_protected_files_cannot_be_created_where_they_are_missing(
    attacker: Attacker, name: str
) -> None:
    (attacker.ours / name).parent.mkdir(exist_ok=True, parents=True)
    attacker.allow(
        f"{attacker.ours}/**",
        blocked=(f"{attacker.ours}/.git/hooks", f"{attacker.ours}/.*rc", f"{attacker.ours}/.[cs]*"),
    )
    with pytest.raises(PermissionDenied):
        await attacker.write(name)
    (attacker.ours / "link").symlink_to(attacker.ours / name)
    with pytest.raises(PermissionDenied):
        await attacker.write("link")
    assert not (attacker.ours / name).exists()


async def test_case_is_no_way_around(attacker: Attacker) -> None:
    await attacker.denied(str(attacker.ours).replace("/app", "/APP") + "/plain")
    (attacker.ours / "Plain").write_text("other")
    assert await attacker.read("Plain") == "other"  # names that differ in case are two names


@pytest.mark.parametrize("path", ["plain\0", "plain\0../appdata/secret", "\0", ""])
async def test_nul_and_nothing(attacker: Attacker, path: str) -> None:
    with pytest.raises(InvalidRequest):
        await attacker.read(path)
    with pytest.raises(InvalidRequest):
        await attacker.write(path)
    assert sorted(os.listdir(attacker.ours)) == ["plain"]


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/root{theirs}/secret",
        "/proc/self/cwd/../appdata/secret",
        "/proc/thread-self/root{theirs}/secret",
        "/proc/{pid}/root{theirs}/secret",
        "/proc/{pid}/task/{pid}/root{theirs}/secret",
        "/proc/self/fd/{fd}",
        "/dev/fd/{fd}",
    ],
)
@pytest.mark.parametrize("rules", ["allowed", "blocked"])
async def test_magic_links(attacker: Attacker, path: str, rules: str) -> None:
    if rules == "blocked":  # nothing but the secret is forbidden
        attacker.allow(blocked=(f"{attacker.theirs}/*",))
    with (attacker.theirs / "secret").open() as file:
        path = path.format(theirs=attacker.theirs, pid=os.getpid(), fd=file.fileno())
        rule = await attacker.denied(path)
        (attacker.ours / "link").symlink_to(path)
        assert await attacker.denied("link") == "magic-link"
    assert rule == ("magic-link" if rules == "blocked" else "allowed_read_paths")


async def test_the_kernels_own_proc_entries(attacker: Attacker) -> None:
    attacker.allow()
    thread = threading.get_native_id()
    for process in ("self", "thread-self", str(os.getpid()), f"{os.getpid()}/task/{thread}", "1"):
        for name in ("environ", "mem", "maps", "auxv", "oom_score_adj"):
            assert await attacker.denied(f"/proc/{process}/{name}") == "proc"
    assert "MemTotal" in await attacker.read("/proc/meminfo")


async def test_what_is_no_file_is_refused_at_once(attacker: Attacker) -> None:
    os.mkfifo(attacker.ours / "fifo")
    (attacker.ours / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(attacker.ours, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory}/sock")
        os.close(directory)
    attacker.allow()
    devices = ["/dev/zero", "/dev/tty", "/dev/null"]
    for path in ("fifo", "dir", "dir/", "dir/.", "sock", *devices):
        for attempt in (attacker.read(path), attacker.write(path)):
            with pytest.raises(InvalidRequest, match=r"is a (fifo|directory|socket|device)"):
                await attempt


async def test_a_planted_name_is_not_followed_when_a_file_is_made(attacker: Attacker) -> None:
    held = await attacker.context.principal.view.resolve(str(attacker.ours / "new"))  # type: ignore[union-attr]
    (attacker.ours / "new").symlink_to(attacker.theirs / "secret")
    with pytest.raises(CloveError):
        os.close(await held.open(os.O_WRONLY | os.O_CREAT))
    held.close()
    assert (attacker.theirs / "secret").read_text() == SECRET


class Exchange:
    """Swaps two names without end (renameat2 with RENAME_EXCHANGE)."""

    def __init__(self, first: Path, second: Path) -> None:
        self._names = os.fsencode(first), os.fsencode(second)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._swap)
        self.swaps = 0

    def _swap(self) -> None:
        first, second = self._names
        while not self._over.is_set():
            if self._libc.renameat2(-100, first, -100, second, 2) == 0:
                self.swaps += 1

    def __enter__(self) -> "Exchange":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("what", ["file", "directory"])
async def test_swapping_a_name_while_it_is_judged(attacker: Attacker, what: str) -> None:
    if what == "file":
        path = good = attacker.ours / "good"
        good.write_text("ours")
        (attacker.ours / "bad").symlink_to(attacker.theirs / "secret")
    else:
        good = attacker.ours / "good"
        good.mkdir()
        path = good / "secret"
        path.write_text("ours")
        (attacker.ours / "bad").symlink_to(attacker.theirs)
    seen = set()
    with Exchange(good, attacker.ours / "bad") as exchange:
        for turn in range(400):
            try:
                if turn % 2:
                    seen.add(await attacker.read(path))
                else:
                    await attacker.write(path, "ours")
            except (PermissionDenied, NotFound) as error:
                seen.add(error.code)
    assert exchange.swaps
    assert SECRET not in seen
    assert (attacker.theirs / "secret").read_text() == SECRET
    assert sorted(os.listdir(attacker.theirs)) == ["secret"]
