"""A process of another user may fork into the cgroups of agents, and do nothing more to cgroups.

It is the place of the zygote (docs/zygote.md); here a program of the test's own takes it.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.sandbox.cgroup.sites import CgroupsUnavailable, find_site
from clove.sandbox.cgroup.tree import (
    AgentCgroup,
    CgroupLimits,
    CgroupTree,
    sweep,
)
from tests.waiting import until

SPAWNER = 1_065_536
AGENT = 1_000_001


def _reason() -> str:
    """Why these tests cannot run here; empty if they can."""
    if os.geteuid() != 0:
        return "only root can give files to other users"
    try:
        site = find_site()
    except CgroupsUnavailable as error:
        return f"{error} ({error.remedy})"
    return "the tests would move other processes" if site.move else ""


pytestmark = pytest.mark.skipif(bool(_reason()), reason=_reason() or "-")

PROGRAM = """
import ctypes, errno, json, os, signal, sys

libc = ctypes.PyDLL(None, use_errno=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
uid = int(sys.argv[1])
os.setgroups([])  # only now: no other user may be able to run this interpreter
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)  # takes all capabilities away
print("null", flush=True)

def fork(descriptor):
    # struct clone_args: flags (CLONE_INTO_CGROUP), ..., exit_signal, ..., cgroup
    words = (ctypes.c_uint64 * 11)(0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, descriptor)
    pid = libc.syscall(435, words, ctypes.sizeof(words))
    if pid == 0:
        os.close(0)
        os.close(1)
        while True:
            signal.pause()
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    return pid

def write(path, text):
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())

def writable(path):
    return sorted(name for name in os.listdir(path) if os.access(f"{path}/{name}", os.W_OK))

for line in sys.stdin:
    name, *arguments = json.loads(line)
    call = {"fork": fork, "write": write, "writable": writable, "mkdir": os.mkdir}[name]
    try:
        answer = call(*arguments)
    except OSError as error:
        answer = errno.errorcode[error.errno]
    print(json.dumps(answer), flush=True)
"""


class Stranger:
    """A process in a cgroup of the tree, of a user without any rights, that does as it is told."""

    def __init__(self, uid: int, cgroup: AgentCgroup, *descriptors: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROGRAM, str(uid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            pass_fds=descriptors,
        )
        cgroup.add(self.process.pid)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "null\n"

    def __call__(self, *words: Any) -> Any:
        """What came of it: a result, or an errno's name."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate(timeout=10)


class Fixture:
    """A tree, two agents' cgroups in it, and their descriptors."""

    def __init__(self) -> None:
        self.tree = CgroupTree.find(spawner_uid=SPAWNER)
        self.base = os.path.dirname(self.tree.path)
        self.agents = [self.tree.create(number, CgroupLimits(max_pids=1)) for number in (1, 2)]
        self.descriptors = [agent.open() for agent in self.agents]
        self.strangers: list[Stranger] = []
        self.foreign = f"{self.base}/spawner-test-{os.getpid()}"
        os.mkdir(self.foreign)

    def stranger(self, uid: int, *descriptors: int, inside: AgentCgroup | None = None) -> Stranger:
        """A process in the zygote's cgroup, or in another one."""
        made = Stranger(uid, inside or self.tree.zygote, *self.descriptors, *descriptors)
        self.strangers.append(made)
        return made

    def close(self) -> None:
        """End all; nothing of it may remain."""
        for stranger in self.strangers:
            stranger.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        AgentCgroup(self.foreign).remove()
        self.tree.close()
        assert not os.path.exists(self.tree.path)


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    made = Fixture()
    yield made
    made.close()


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_its_children_start_in_the_cgroups_of_agents(fixture: Fixture) -> None:
    assert fixture.tree.spawner_uid == SPAWNER
    spawner = fixture.stranger(SPAWNER)
    assert fixture.tree.zygote.pids() == [spawner.process.pid]
    for agent, descriptor in zip(fixture.agents, fixture.descriptors, strict=True):
        child = spawner("fork", descriptor)
        assert agent.pids() == [child]
        agent.remove()
        until(functools.partial(_is_gone, child), "its parent has reaped it")
    assert fixture.tree.zygote.pids() == [spawner.process.pid]


def test_they_count_against_the_agents_limits(fixture: Fixture) -> None:
    if "pids" not in fixture.tree.controllers:
        pytest.skip("no controller pids here")
    spawner = fixture.stranger(SPAWNER)
    assert spawner("fork", fixture.descriptors[0]) in fixture.agents[0].pids()
    assert spawner("fork", fixture.descriptors[0]) == "EAGAIN"
    assert spawner("fork", fixture.descriptors[1]) in fixture.agents[1].pids()


def test_it_can_change_no_limit_and_make_no_cgroup(fixture: Fixture) -> None:
    spawner = fixture.stranger(SPAWNER)
    places = [fixture.tree.path, *(agent.path for agent in fixture.agents)]
    assert [spawner("writable", place) for place in places] == [["cgroup.procs"]] * 3
    for place in (fixture.base, fixture.tree.zygote.path, fixture.foreign):
        assert spawner("writable", place) == []
    for place in (fixture.base, *places):
        assert spawner("mkdir", f"{place}/mine") == "EACCES"
    for name in ("cgroup.kill", "cgroup.freeze", "cgroup.subtree_control"):
        assert spawner("write", f"{places[1]}/{name}", "1") == "EACCES"


def test_no_child_of_it_leaves_the_subtree(fixture: Fixture) -> None:
    outside = os.open(fixture.foreign, os.O_PATH | os.O_DIRECTORY)
    try:
        spawner = fixture.stranger(SPAWNER, outside)
        child = str(spawner("fork", fixture.descriptors[0]))
        assert spawner("fork", outside) == "EACCES"
        assert spawner("write", f"{fixture.foreign}/cgroup.procs", child) == "EACCES"
        # Not even into a cgroup that somebody gave it: what is above both is not its own.
        os.chown(f"{fixture.foreign}/cgroup.procs", SPAWNER, -1)
        assert spawner("fork", outside) == "EACCES"
        assert spawner("write", f"{fixture.foreign}/cgroup.procs", child) == "EACCES"
    finally:
        os.close(outside)
    assert fixture.agents[0].pids() == [int(child)]
    assert AgentCgroup(fixture.foreign).pids() == []


@pytest.mark.parametrize("inside", ["zygote", "agent"])
def test_an_agents_own_user_can_do_none_of_it(fixture: Fixture, inside: str) -> None:
    place = fixture.tree.zygote if inside == "zygote" else fixture.agents[0]
    agent = fixture.stranger(AGENT, inside=place)
    mine = str(agent.process.pid)
    for other, descriptor in zip(fixture.agents, fixture.descriptors, strict=True):
        assert agent("fork", descriptor) == "EACCES"
        assert agent("writable", other.path) == []
        assert agent("write", f"{other.path}/cgroup.procs", mine) == "EACCES"
    for path in (fixture.base, fixture.tree.path, fixture.tree.zygote.path):
        assert agent("writable", path) == []
        assert agent("mkdir", f"{path}/mine") == "EACCES"
    assert place.pids() == [agent.process.pid]


def test_without_a_spawner_no_files_change_their_owner() -> None:
    tree = CgroupTree.find()
    try:
        places = [tree.path, tree.zygote.path, tree.create(1, CgroupLimits()).path]
        owners = {os.stat(f"{place}/cgroup.procs").st_uid for place in places}
        assert (tree.spawner_uid, owners) == (None, {0})
    finally:
        tree.close()


def test_a_user_that_does_not_exist_here_is_not_the_spawner() -> None:
    """As in a container whose user namespace maps root and nobody else."""
    code = (
        "from clove.sandbox.cgroup.tree import CgroupLimits, CgroupTree\n"
        f"tree = CgroupTree.find(spawner_uid={SPAWNER})\n"
        "print(tree.spawner_uid, tree.create(1, CgroupLimits()).pids())\n"
        "tree.close()\n"
    )
    contained = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    done = subprocess.run(contained, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "None []\n"


def test_what_a_dead_kernels_zygote_has_left_is_swept() -> None:
    code = (
        "import os, sys\n"
        "from clove.sandbox.cgroup.tree import CgroupTree\n"
        f"tree = CgroupTree.find(spawner_uid={SPAWNER})\n"
        "print(tree.zygote.path, flush=True)\n"
        "input()\n"
        "os._exit(0)\n"  # dies without cleaning up
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    left = AgentCgroup(other.stdout.readline().decode().strip())
    stranger = Stranger(SPAWNER, left)
    other.communicate(b"\n", timeout=10)
    tree = os.path.dirname(left.path)
    assert sweep(os.path.dirname(tree)) == [os.path.basename(tree)]
    assert stranger.process.wait(10) == -9
    stranger.close()
    assert not os.path.exists(tree)


def test_a_process_that_has_ended_cannot_be_put_anywhere(fixture: Fixture) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    with pytest.raises(ProcessLookupError):
        fixture.tree.zygote.add(ended.pid)
