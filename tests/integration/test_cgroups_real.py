"""Cgroups of the running system: membership, freezing, killing, cleaning up."""

import os
import select
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.sandbox.cgroup.sites import CgroupsUnavailable, find_site
from clove.sandbox.cgroup.tree import (
    LEAF,
    AgentCgroup,
    CgroupLimits,
    CgroupTree,
    sweep,
)


def _reason() -> str:
    """Why these tests cannot run here; empty if they can."""
    try:
        site = find_site()
    except CgroupsUnavailable as error:
        return f"{error} ({error.remedy})"
    return "the tests would move other processes" if site.move else ""


pytestmark = pytest.mark.skipif(bool(_reason()), reason=_reason() or "-")


@pytest.fixture
def tree() -> Iterator[CgroupTree]:
    made = CgroupTree.find()
    yield made
    made.close()
    assert not os.path.exists(made.path)


def join(cgroup: AgentCgroup, program: str) -> subprocess.Popen[bytes]:
    """A shell that joins a cgroup, says so, and goes on."""
    child = subprocess.Popen(
        ["/bin/sh", "-c", f"echo 0 > {cgroup.procs_path}; echo in; {program}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"in\n"
    return child


def finish(child: subprocess.Popen[bytes]) -> int:
    child.communicate(timeout=10)
    return child.returncode


def test_an_agents_processes_are_all_in_its_cgroup(tree: CgroupTree) -> None:
    cgroup = tree.create(1, CgroupLimits())
    child = join(cgroup, "sleep 100 & sleep 100")
    assert child.pid in cgroup.pids()
    assert Path(f"/proc/{child.pid}/cgroup").read_text().rstrip().endswith("agent-1")
    cgroup.remove()
    assert finish(child) == -9
    assert not os.path.exists(cgroup.path)
    cgroup.remove()
    cgroup.kill()


def test_every_process_is_killed_even_those_in_sessions_of_their_own(tree: CgroupTree) -> None:
    cgroup = tree.create(1, CgroupLimits())
    child = join(cgroup, "setsid sleep 100 & setsid sh -c 'trap \"\" TERM; sleep 100' & read x")
    cgroup.kill()
    assert finish(child) == -9
    cgroup.remove()


def test_without_cgroup_kill_they_are_killed_one_by_one(tree: CgroupTree) -> None:
    cgroup = tree.create(1, CgroupLimits())
    child = join(cgroup, "sleep 100 & sleep 100")
    cgroup._kill_each()
    assert finish(child) == -9
    cgroup.remove()


def test_frozen_processes_stop_and_go_on(tree: CgroupTree) -> None:
    cgroup = tree.create(1, CgroupLimits())
    child = join(cgroup, "exec cat")
    assert child.stdin is not None
    assert child.stdout is not None
    assert cgroup.freeze()
    child.stdin.write(b"hello\n")
    child.stdin.flush()
    assert select.select([child.stdout], [], [], 0)[0] == []
    cgroup.thaw()
    assert child.stdout.readline() == b"hello\n"
    assert finish(child) == 0
    cgroup.remove()


def test_frozen_processes_can_be_killed(tree: CgroupTree) -> None:
    cgroup = tree.create(1, CgroupLimits())
    child = join(cgroup, "sleep 100")
    assert cgroup.freeze()
    cgroup.kill()
    assert finish(child) == -9
    cgroup.remove()


def test_what_was_left_under_an_id_is_replaced(tree: CgroupTree) -> None:
    child = join(tree.create(1, CgroupLimits()), "sleep 100")
    again = tree.create(1, CgroupLimits())
    assert again.pids() == []
    assert finish(child) == -9


def test_limits_are_reported_as_they_are(tree: CgroupTree) -> None:
    cgroup = tree.create(1, CgroupLimits(memory=1 << 26, max_pids=10, cpu_quota=50000))
    assert cgroup.applied - {"io"} == tree.controllers - {"io"}
    assert set(cgroup.missing) == {"cpu", "memory", "pids"} - tree.controllers


def test_a_live_kernels_subtree_is_left_and_a_dead_ones_is_swept(tree: CgroupTree) -> None:
    base = os.path.dirname(tree.path)
    code = (
        "import os\n"
        "from clove.sandbox.cgroup.tree import CgroupTree, CgroupLimits\n"
        "tree = CgroupTree.find()\n"
        "print(tree.create(1, CgroupLimits()).procs_path, flush=True)\n"
        "input()\n"
        "os._exit(0)\n"  # dies without cleaning up
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdin is not None
    path = os.path.dirname(other.stdout.readline().decode().strip())
    child = join(AgentCgroup(path), "sleep 100")
    assert sweep(base) == []
    assert child.poll() is None
    other.communicate(b"\n", timeout=10)
    assert sweep(base) == [os.path.basename(os.path.dirname(path))]
    assert finish(child) == -9
    assert not os.path.exists(path)


def test_other_cgroups_are_never_swept(tree: CgroupTree) -> None:
    base = os.path.dirname(tree.path)
    foreign = [f"{base}/clove-x", f"{base}/clove-1-2-3", f"{base}/{LEAF}"]
    for path in foreign:
        os.mkdir(path)
    try:
        assert sweep(base) == []
        assert all(os.path.isdir(path) for path in foreign)
    finally:
        for path in foreign:
            os.rmdir(path)


def test_two_kernels_of_one_process_have_two_subtrees(tree: CgroupTree) -> None:
    other = CgroupTree.find()
    assert other.path != tree.path
    other.close()
    other.close()
    assert os.path.isdir(tree.path)


SURVEY = "from clove.sandbox.cgroup.sites import find_site; site = find_site(); print(site.path, site.move)"
CONTAINER = """
import os
from clove.sandbox.cgroup.sites import find_site
from clove.sandbox.cgroup.tree import CgroupTree

base = find_site().path
tree = CgroupTree.find()
print(tree.path == f"{base}/clove-{os.getpid()}")
print(open("/proc/self/cgroup").read().split("0::")[1].strip())
print(open(f"{base}/cgroup.procs").read().split())
tree.close()
print(open("/proc/self/cgroup").read().split("0::")[1].strip())
"""


@pytest.fixture
def apart(tree: CgroupTree) -> Iterator[AgentCgroup]:
    """A cgroup beside the kernel's subtree, for who is to be somewhere of his own."""
    path = tempfile.mkdtemp(dir=os.path.dirname(tree.path), prefix="test-")
    yield AgentCgroup(path)
    AgentCgroup(path).remove()


def said(cgroup: AgentCgroup, program: str, *prefix: str) -> list[str]:
    """What a Python program prints that is started in a cgroup."""
    join = f'echo 0 > {cgroup.procs_path}; exec {shlex.join([*prefix, sys.executable])} -c "$0"'
    ran = subprocess.run(
        ["/bin/sh", "-c", join, program], stdout=subprocess.PIPE, text=True, check=True
    )
    return ran.stdout.splitlines()


def test_a_cgroup_of_ones_own_is_a_base(apart: AgentCgroup) -> None:
    assert said(apart, SURVEY) == [f"{apart.path} True"]


def test_one_in_which_others_live_is_none(tree: CgroupTree, apart: AgentCgroup) -> None:
    other = join(apart, "exec cat")
    assert said(apart, SURVEY) == [f"{os.path.dirname(tree.path)} False"]
    assert finish(other) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a container's cgroups needs root")
def test_in_a_container_all_processes_move_to_a_leaf_and_back(apart: AgentCgroup) -> None:
    other = join(apart, "exec cat")
    with tempfile.TemporaryDirectory(dir="/tmp") as mount:
        script = f'mount -t cgroup2 none {mount} && exec "$0" "$@"'
        contained = ("unshare", "--cgroup", "--mount", "/bin/sh", "-c", script)
        assert said(apart, CONTAINER, *contained) == ["True", "/clove-kernel", "[]", "/"]
    assert other.pid in apart.pids()
    assert finish(other) == 0
