"""A main program that was forked before there was a spec: what it has, and what disturbs its start."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import ConnectionLost
from tests.adversary.arena import Arena, Kernels, emptied
from tests.integration.conftest import KernelProcess
from tests.integration.exposed import ROOT, ROOTLESS, host
from tests.integration.nurseries import PATIENCE, children, nursery_of, until_warm

CROWD = 24
SLEEP = "import time\ntime.sleep(100)\n"
ZONE = "/usr/share/zoneinfo/Asia/Tokyo"
RENEWED = "[nursery]\nrenew_after = 1\nspares = 2\n"

STATE = """
import ctypes, errno, json, os, resource, signal

libc = ctypes.CDLL(None, use_errno=True)

def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        return errno.errorcode[error.errno]

def write(path):
    try:
        with open(path, "w") as file:
            file.write("0")
        return "yes"
    except OSError as error:
        return errno.errorcode[error.errno]

def link(path):
    try:
        return os.readlink(path)
    except OSError as error:
        return errno.errorcode[error.errno]

def flags(place):
    try:
        return os.statvfs(place).f_flag
    except OSError as error:
        return errno.errorcode[error.errno]

def prctl(option, argument=0):
    answer = libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
    return answer if answer >= 0 else errno.errorcode[ctypes.get_errno()]

NOT_COMPARED = ("Vm", "Rss", "Huge", "volun", "nonvol", "Cpus", "Mems", "State", "Pid", "Tgid",
                "NSpid", "NStgid", "NSpgid", "NSsid", "SigQ")
rows = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines() if "\\t" in line)
limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource)
          if name.startswith("RLIMIT_")}
places = ("/x", "/usr/x", "/etc/passwd", "/dev/x", "/app/x", "/opt/clove/x", "/tmp/x", "/dev/shm/x",
          "/workspace/x", "/proc/sys/kernel/hostname", "/proc/self/uid_map",
          "/proc/sys/user/max_user_namespaces", "/proc/self/timens_offsets")
mounted = [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()]
print(json.dumps({
    "status": {name: row for name, row in rows.items() if not name.startswith(NOT_COMPARED)},
    "bounding": [prctl(23, number) for number in range(41)],
    "prctl": {option: prctl(option) for option in (3, 7, 21, 27, 39, 42)},
    "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getppid()],
    "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "limits": limits, "nice": os.nice(0), "policy": os.sched_getscheduler(0),
    "umask": os.umask(0o077), "score": read("/proc/self/oom_score_adj"),
    "cgroup": read("/proc/self/cgroup").count("\\n"), "keys": read("/proc/keys"),
    "descriptors": {number: link(f"/proc/self/fd/{number}").split(":")[0] for number in range(64)},
    "places": [link("/proc/self/root"), link("/proc/self/cwd")],
    "mounts": {place: flags(place) for place in mounted if not place.startswith("/etc/")},
    "children": [link(f"/proc/self/ns/{kind}") == link(f"/proc/self/ns/{kind}_for_children")
                 for kind in ("pid", "time")],
    "writes": {path: write(path) for path in places},
    "process 1": {name: read(f"/proc/1/{name}") for name in ("environ", "maps", "mem", "auxv")},
    "its links": {name: link(f"/proc/1/{name}") for name in ("root", "cwd", "exe", "fd/0", "fd/3")},
    "signals": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
}))
"""
ZONE_OF = "import json, time\nprint(json.dumps(time.tzname[0]))\n"
HOST_FILE = """
import base64, json, sys

word = base64.b64decode(sys.argv[2])
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        area, rights = line.split()[:2]
        if "r" in rights and "[v" not in line:
            start, end = (int(edge, 16) for edge in area.split("-"))
            memory.seek(start)
            try:
                found += memory.read(end - start).count(word)
            except OSError:
                pass
print(json.dumps(found))
"""
SAME = """
import json, subprocess, sys
from clove import CloveClient
from clove.errors import ConnectionLost

NAMES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
         "Seccomp_filters", "Uid", "Gid", "Groups")

def pick(text):
    rows = dict(line.split(":\\t", 1) for line in text.splitlines() if ":\\t" in line)
    return {name: rows.get(name) for name in NAMES}

with CloveClient() as client:
    command = client.exec(["/bin/cat", "/proc/self/status"])["stdout"]
with open("/proc/self/status") as file:
    own = file.read()
print(json.dumps([pick(own), pick(command)]))
"""
KERNELS = (ROOT, ROOTLESS)


@pytest.fixture(scope="module", params=KERNELS)
def warm(request: pytest.FixtureRequest, kernels: Kernels) -> Arena:
    """A kernel whose agents start warm."""
    return kernels.arena(request.param, "warm")


@pytest.fixture
def waiting(warm: Arena) -> Iterator[Arena]:
    """The same with an empty directory of files; its agents end with the test."""
    with emptied(warm):
        yield warm


@pytest.fixture(params=KERNELS)
def hasty(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """A kernel that replaces its nursery all the time, which drops all spares."""
    with host(request.param, RENEWED) as made:
        yield Arena(**vars(made), start="warm")
        if made.kernel.process is not None and made.kernel.process.poll() is not None:
            made.kernel.start()  # it finds what the killed one has left


def processes(pid: int) -> set[int]:
    """A process with all that comes from it."""
    return {pid}.union(*(processes(child) for child in children(pid)))


def alive(pid: int) -> bool:
    """It runs: it is no zombie either."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(happened: Any, what: str) -> Any:
    """What a function gives as soon as that is something."""
    end = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


def spare(kernel: KernelProcess) -> tuple[int, int]:
    """Process 1 and main program of a child that waits since it was made."""

    def found() -> list[tuple[int, int]]:
        inits = children(nursery_of(kernel) or kernel.pid)
        return [(init, main) for init in inits for main in children(init)]

    until(found, "no spare")
    time.sleep(0.06)  # it has rehearsed
    return until(found, "no spare")[-1]  # type: ignore[no-any-return]


def spawn_at_the_end(socket: str, script: str) -> None:
    """Spawn an agent, perhaps of a kernel that ends meanwhile."""
    with contextlib.suppress(ConnectionLost), CloveClient(socket) as client:
        client.spawn(f"late-{threading.get_ident()}", script)


def running(client: CloveClient, agent: int) -> bool:
    return any(entry["id"] == agent and entry["running"] for entry in client.list_agents())


# what it has


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"network": True},
        {"permissions": {"can_exec": False}},
        {"permissions": {"allowed_commands": ["/usr/bin/env"]}},
    ],
    ids=["default", "network", "no-exec", "one-command"],
)
def test_a_warm_main_program_has_what_a_cold_one_has(warm: Arena, fields: dict[str, Any]) -> None:
    found = warm.run(STATE, **fields)
    cold = Arena(**{**vars(warm), "start": "cold"}).run(STATE, **fields)
    for name in cold:
        assert found[name] == cold[name], name
    assert set(found["bounding"]) == {0}
    assert found["status"]["Seccomp_filters"] == "2"


def test_a_restarted_one_has_it_as_well(warm: Arena) -> None:
    source = STATE + "\nraise SystemExit(1)"
    reply = warm.begin(source, restart_policy="on-failure", max_restarts=1)
    warm.client.wait(reply["id"], timeout=50)
    lines = warm.client.logs(reply["id"])["lines"]
    first, second = (json.loads(line["text"]) for line in lines if line["text"].startswith("{"))
    first["writes"]["/workspace/x"] = second["writes"]["/workspace/x"]
    assert first == second


def test_commands_may_what_it_may(waiting: Arena) -> None:
    own, command = waiting.run(SAME)
    assert own == command
    assert {own[name] for name in own if name.startswith("Cap")} == {"0" * 16}


def test_a_time_zone_is_no_file_of_the_host(waiting: Arena) -> None:
    """The C library opens what TZ names, which the agent's parent may choose."""
    zone = str(waiting.files / "zone")
    shutil.copy(ZONE, zone)
    os.chmod(zone, 0o644)
    found = {waiting.run(ZONE_OF, env={"TZ": f":{zone}"}, either=True) for _ in range(15)}
    assert found == {""}


def test_nothing_of_a_host_file_that_a_time_zone_names_is_in_memory(waiting: Arena) -> None:
    text = "a-secret-of-the-host-that-no-agent-is-given\n"
    path = waiting.file("secret", text * 80)
    word = "YS1zZWNyZXQtb2YtdGhlLWhvc3Q="  # what is searched for shall not be found by itself
    for _ in range(15):
        assert waiting.run(HOST_FILE, word, env={"TZ": f":{path}"}, either=True) <= 1


# what disturbs it


def test_a_spare_whose_main_program_was_killed_costs_no_start(waiting: Arena) -> None:
    init, main = spare(waiting.kernel)
    os.kill(main, signal.SIGKILL)
    reply = waiting.begin(SLEEP, either=True)
    assert running(waiting.client, reply["id"])
    until(lambda: not alive(init), "process 1 stays")


def test_one_that_is_killed_before_it_may_begin_is_started_cold(waiting: Arena) -> None:
    """It stands still from before its spec is there, so nothing of the agent's can have run."""
    _, main = spare(waiting.kernel)
    os.kill(main, signal.SIGSTOP)
    killer = threading.Timer(0.5, os.kill, (main, signal.SIGKILL))
    killer.start()
    reply = waiting.begin(SLEEP, either=True)
    killer.join()
    assert not reply["warm"]
    assert running(waiting.client, reply["id"])


def test_no_agent_runs_without_a_main_program(waiting: Arena) -> None:
    """Whenever it is killed: the agent is started cold, or has ended."""
    for step in range(20):
        _, main = spare(waiting.kernel)
        killer = threading.Timer(0.002 + step % 8 * 0.001, os.kill, (main, signal.SIGKILL))
        killer.start()
        reply = waiting.begin(SLEEP, either=True)
        killer.join()
        time.sleep(0.1)
        if running(waiting.client, reply["id"]):
            assert alive(main) or not reply["warm"], step
            waiting.client.kill(reply["id"])


def test_pause_and_kill_hold_directly_after_a_start(waiting: Arena) -> None:
    for number in range(6):
        reply = waiting.begin(SLEEP, either=True)
        if number % 2:
            waiting.client.pause(reply["id"])
        waiting.client.kill(reply["id"])
    assert waiting.client.list_agents() == []


def test_a_crowd_starts_while_spares_are_dropped(hasty: Arena) -> None:
    script = str(hasty.files / "sleep.py")
    hasty.files.joinpath("sleep.py").write_text(SLEEP)
    until_warm(hasty.client, script)
    problems: list[BaseException] = []

    def one(number: int) -> None:
        try:
            with CloveClient(hasty.kernel.socket) as client:
                reply = client.spawn(f"one-{number}", script)
                assert running(client, reply["id"])
                client.kill(reply["id"])
        except BaseException as problem:
            problems.append(problem)

    crowd = [threading.Thread(target=one, args=(number,)) for number in range(CROWD)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert problems == []
    for agent in hasty.client.list_agents():
        hasty.client.kill(agent["id"])
    until(lambda: len(processes(hasty.kernel.pid)) < 12, "processes stay")
    everybody = processes(hasty.kernel.pid)
    hasty.kernel.stop(signal.SIGKILL)
    until(lambda: not any(map(alive, everybody)), "processes outlive their kernel")


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_none_begins_when_its_kernel_has_ended(who: str) -> None:
    """It is late: process 1 serves already, and is told to end everybody."""
    with host(who) as made:
        script = str(made.files / "sleep.py")
        made.files.joinpath("sleep.py").write_text(SLEEP)
        until_warm(made.client, script)
        init, main = spare(made.kernel)
        os.kill(main, signal.SIGSTOP)
        caller = threading.Thread(target=spawn_at_the_end, args=(made.kernel.socket, script))
        caller.start()
        time.sleep(0.5)
        made.kernel.stop(signal.SIGKILL)
        caller.join()
        with contextlib.suppress(ProcessLookupError):
            os.kill(main, signal.SIGCONT)
        time.sleep(0.5)
        left = alive(main)
        if left:
            os.kill(init, signal.SIGKILL)
        made.kernel.start()
        assert not left


def test_nothing_outlives_a_kernel_that_ends_amid_starts(hasty: Arena) -> None:
    script = str(hasty.files / "sleep.py")
    hasty.files.joinpath("sleep.py").write_text(SLEEP)
    until_warm(hasty.client, script)
    place = (hasty.kernel.socket, script)
    threads = [threading.Thread(target=spawn_at_the_end, args=place) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    everybody = processes(hasty.kernel.pid)
    hasty.kernel.stop(signal.SIGKILL)
    for thread in threads:
        thread.join()
    until(lambda: not any(map(alive, everybody)), "processes outlive their kernel")
