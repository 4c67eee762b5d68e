"""Where a subtree of cgroup v2 can be: decided on trees of ordinary files."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.sandbox.cgroup.sites import (
    CgroupsUnavailable,
    Site,
    disks_by_weight,
    find_site,
    has_processor_weight,
)
from clove.sandbox.container import cgroup_remedy


class Tree:
    """A directory that looks like a cgroup v2 mount, with the files of procfs that lead there."""

    def __init__(self, root: Path) -> None:
        self.mount = root / "cgroup"
        self.mountinfo = root / "mountinfo"
        self.own = root / "own"
        self.kernel = os.getpid()
        self.mounted()
        self.here("/")

    def mounted(self, options: str = "rw,nosuid", root: str = "/") -> None:
        escaped = str(self.mount).replace(" ", "\\040")
        self.mountinfo.write_text(
            "22 1 0:21 / /proc rw - proc proc rw\n"
            f"30 22 0:26 {root} {escaped} {options} shared:4 - cgroup2 cgroup2 rw\n"
        )

    def here(self, path: str) -> None:
        self.own.write_text(f"4:memory:/elsewhere\n0::{path}\n")

    def cgroup(
        self,
        path: str,
        *,
        pids: str = "",
        controllers: str = "cpu io memory pids",
        given: str = "",
        populated: bool = False,
        root: bool = False,
    ) -> str:
        directory = Path(f"{self.mount}{path}")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cgroup.procs").write_text(pids)
        (directory / "cgroup.controllers").write_text(controllers)
        (directory / "cgroup.subtree_control").write_text(given)
        if not root:
            (directory / "cgroup.events").write_text(f"populated {populated:d}\nfrozen 0\n")
            (directory / "cgroup.type").write_text("domain\n")
        return str(directory).rstrip("/")

    def find_site(self) -> Site:
        return find_site(str(self.mountinfo), str(self.own), self.kernel)


ALL = frozenset({"cpu", "io", "memory", "pids"})


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "with space"
    root.mkdir()
    return Tree(root)


@pytest.fixture
def other(tree: Tree) -> Iterator[int]:
    """A process beside the kernel, which is another one than this then."""
    with contextlib.ExitStack() as stack:
        pids = []
        for _ in range(2):
            child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
            stack.callback(child.communicate)
            pids.append(child.pid)
        tree.kernel = pids[0]
        yield pids[1]


def test_a_delegated_service_divides_its_own_cgroup(tree: Tree) -> None:
    tree.cgroup("", pids="1\n", root=True)
    tree.cgroup("/system.slice", controllers="memory pids")
    own = tree.cgroup("/system.slice/clove.service", pids=f"{os.getpid()}\n")
    tree.here("/system.slice/clove.service")
    assert tree.find_site() == Site(own, ALL, move=True)


def test_a_cgroup_shared_with_others_is_left_alone(tree: Tree, other: int) -> None:
    """A root kernel by hand: its subtree stands beside system.slice and user.slice."""
    root = tree.cgroup("", pids="2\n", root=True)
    tree.cgroup("/user.slice")
    tree.cgroup("/user.slice/session.scope", pids=f"{tree.kernel}\n{other}\n")
    tree.here("/user.slice/session.scope")
    assert tree.find_site() == Site(root, ALL, move=False)


@pytest.mark.parametrize("name", ["service", ".hidden"])
def test_nor_is_one_in_which_others_are_further_down(tree: Tree, name: str) -> None:
    root = tree.cgroup("", root=True)
    tree.cgroup("/a")
    tree.cgroup(f"/a/{name}", populated=True)
    tree.cgroup("/a/mine", pids=f"{os.getppid()}\n{os.getpid()}\n", populated=True)
    tree.here("/a/mine")
    assert tree.find_site() == Site(root, ALL, move=False)


def test_nor_one_with_processes_that_cannot_be_seen(tree: Tree) -> None:
    """Those outside of the pid namespace have the number 0 (cgroups(7))."""
    tree.cgroup("", pids=f"0\n{os.getpid()}\n")
    with pytest.raises(CgroupsUnavailable):
        tree.find_site()


def test_nor_a_slice_of_systemd(tree: Tree) -> None:
    root = tree.cgroup("", root=True)
    tree.cgroup("/user.slice")
    tree.cgroup("/user.slice/session.scope", pids=f"{os.getppid()}\n{os.getpid()}\n")
    tree.here("/user.slice/session.scope")
    assert tree.find_site() == Site(root, ALL, move=False)


def test_where_others_live_everywhere_the_remedy_is_told(tree: Tree, other: int) -> None:
    """An ordinary user's terminal: the user's own systemd looks after the cgroups above."""
    tree.mounted(root="/user.slice/user@1000.service")
    tree.cgroup("")
    tree.cgroup("/init.scope", populated=True)
    tree.cgroup("/app.slice")
    tree.cgroup("/app.slice/terminal.scope", pids=f"{tree.kernel}\n{other}\n", populated=True)
    tree.here("/user.slice/user@1000.service/app.slice/terminal.scope")
    with pytest.raises(CgroupsUnavailable, match="without other processes") as caught:
        tree.find_site()
    assert caught.value.remedy == cgroup_remedy()


def test_who_has_started_the_kernel_may_stay_in_a_leaf(tree: Tree) -> None:
    """As below a cgroup that was handed to a user, whose shell is in a leaf of it."""
    base = tree.cgroup("")
    tree.cgroup("/shell", pids=f"{os.getppid()}\n{os.getpid()}\n", populated=True)
    tree.here("/shell")
    assert tree.find_site() == Site(base, ALL, move=False)


def test_kernels_share_a_base(tree: Tree, other: int) -> None:
    """The leaf that the first has moved to holds the second as well."""
    base = tree.cgroup("")
    tree.cgroup("/clove-kernel", pids=f"{other}\n{tree.kernel}\n", populated=True)
    tree.cgroup(f"/clove-{other}", populated=True)
    tree.here("/clove-kernel")
    assert tree.find_site() == Site(base, ALL, move=False)


def test_the_nearest_of_the_best_is_taken(tree: Tree) -> None:
    tree.cgroup("", root=True)
    tree.cgroup("/a")
    nearest = tree.cgroup("/a/b")
    tree.cgroup("/a/b/c", pids=f"{os.getpid()}\n", controllers="memory pids")
    tree.here("/a/b/c")
    assert tree.find_site() == Site(nearest, ALL, move=False)


def test_no_base_is_chosen_for_io(tree: Tree) -> None:
    tree.cgroup("", root=True)
    nearest = tree.cgroup("/a", controllers="cpu memory pids")
    tree.cgroup("/a/b", pids=f"{os.getpid()}\n", controllers="io")
    tree.here("/a/b")
    assert tree.find_site() == Site(nearest, ALL - {"io"}, move=False)


def test_a_cgroup_with_the_cpu_controller_weighs_and_its_session_does_not(tree: Tree) -> None:
    def weighs() -> bool:
        return has_processor_weight(str(tree.mountinfo), str(tree.own))

    tree.cgroup("", root=True)
    assert not weighs()
    service = Path(tree.cgroup("/system.slice/clove.service"))
    tree.here("/system.slice/clove.service")
    assert not weighs()  # it has no such controller of its own
    (service / "cpu.weight").write_text("100\n")
    assert weighs()
    tree.own.write_text("3:cpu,cpuacct:/\n0::/\n")
    assert not weighs()
    tree.own.write_text("3:cpu,cpuacct:/docker/1\n0::/\n")  # version 1
    assert weighs()
    tree.mountinfo.write_text("")
    tree.own.write_text("2:cpuset:/docker/1\n")
    assert not weighs()


def test_disks_shared_by_weight_are_named(tmp_path: Path) -> None:
    schedulers = {"sda": "none [bfq]", "sdb": "[none] bfq", "vda": "[mq-deadline] bfq none"}
    for number, (disk, text) in enumerate(schedulers.items()):
        queue = tmp_path / "block" / disk / "queue"
        queue.mkdir(parents=True)
        (queue / "scheduler").write_text(f"{text}\n")
        (queue.parent / "dev").write_text(f"8:{number}\n")
    (tmp_path / "fs" / "cgroup").mkdir(parents=True)
    assert disks_by_weight(str(tmp_path)) == ("sda",)
    (tmp_path / "fs" / "cgroup" / "io.cost.qos").write_text(
        "8:1 enable=0 ctrl=auto rpct=0.00\n8:2 enable=1 ctrl=user rpct=95.00\n"
    )
    assert disks_by_weight(str(tmp_path)) == ("sda", "vda")


def test_a_container_with_processes_in_its_root_moves_all(tree: Tree) -> None:
    root = tree.cgroup("", pids=f"1\n{os.getpid()}\n")
    assert tree.find_site() == Site(root, ALL, move=True)


def test_the_root_of_the_hierarchy_may_hold_processes(tree: Tree) -> None:
    root = tree.cgroup("", pids="1\n2\n", root=True, controllers="cpu")
    assert tree.find_site() == Site(root, frozenset({"cpu"}), move=False)


def test_a_mount_of_a_part_of_the_hierarchy(tree: Tree) -> None:
    tree.mounted(root="/machine/c1")
    own = tree.cgroup("/init", pids=f"{os.getpid()}\n")
    tree.here("/machine/c1/init")
    assert tree.find_site() == Site(own, ALL, move=True)


@pytest.mark.parametrize("path", ["/../other", "/elsewhere"])
def test_an_own_cgroup_outside_of_the_mount_is_of_no_use(tree: Tree, path: str) -> None:
    tree.mounted(root="/machine/c1")
    tree.here(path)
    with pytest.raises(CgroupsUnavailable, match="outside"):
        tree.find_site()


def test_a_read_only_mount_says_so(tree: Tree) -> None:
    tree.cgroup("", root=True)
    tree.mounted(options="ro,nosuid")
    with pytest.raises(CgroupsUnavailable, match="read-only") as caught:
        tree.find_site()
    assert caught.value.remedy == cgroup_remedy()


def test_no_version_2_says_so(tree: Tree) -> None:
    tree.mountinfo.write_text("22 1 0:21 / /proc rw - proc proc rw\n")
    with pytest.raises(CgroupsUnavailable, match="not mounted"):
        tree.find_site()


def test_nothing_to_write_names_the_remedy(tree: Tree) -> None:
    tree.mount.mkdir()
    with pytest.raises(CgroupsUnavailable) as caught:
        tree.find_site()
    assert caught.value.remedy == cgroup_remedy()
