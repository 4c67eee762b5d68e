"""The image of deploy/docker under a real cgroup v2: limits of agents, and of the container.

The guest has podman; the image comes on a drive of its own (C{make test-image-limits}). runc with systemd's cgroups gives
a container's user its cgroup, as Docker does where cgroups are writable; crun leaves it root's.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vm.conftest import output, table, until

DRIVE = Path("/dev/vdc")
IMAGE = "localhost/clove:test"
MEMORY = 400 << 20
"""Bytes that a container has."""
EATER = "eaten = []\nwhile True: eaten.append(b'x' * (4 << 20))\n"
CONTAINERS = """\
[containers]
netns = "host"
log_driver = "k8s-file"
[engine]
cgroup_manager = "systemd"
events_logger = "file"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{0}/store"
runroot = "{0}/run"
[storage.options]
additionalimagestores = ["{0}/image"]
"""
OPTIONS = (
    *("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/run", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--no-healthcheck", "--memory", f"{MEMORY}"),
    *("--security-opt", "unmask=ALL"),
    *("--security-opt", "seccomp=/srv/clove/deploy/docker/seccomp.json"),
)
Within = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """podman has the image."""
    if not DRIVE.exists():
        pytest.skip("the image was not brought along: make test-image-limits")
    place = tmp_path_factory.mktemp("podman")
    (place / "image").mkdir()
    (place / "containers.conf").write_text(CONTAINERS)
    (place / "storage.conf").write_text(STORAGE.format(place))
    output("mount", "-o", "ro", str(DRIVE), str(place / "image"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(place / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(place / "storage.conf"))
        yield place
        output("podman", "rm", "--all", "--force", "--time", "1")
    for mounted in (place / "store/overlay", place / "image"):
        subprocess.run(["umount", mounted], check=False)


@contextlib.contextmanager
def kernel(runtime: str) -> Iterator[Within]:
    """A container with a kernel that answers; runs programs in it."""
    podman = ["podman", "--runtime", runtime]
    output(*podman, "run", "--detach", "--name", "kernel", *OPTIONS, IMAGE, "kernel")

    def within(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        run = [*podman, "exec", "--interactive", "kernel", *words]
        return subprocess.run(run, input=typed, capture_output=True, text=True, check=False)

    try:
        until(lambda: not within("/opt/clove/container/health").returncode, "the kernel answers")
        within("sh", "-c", "mkdir /tmp/p && cat > /tmp/p/eater.py", typed=EATER)
        yield within
        assert within("clove", "run", "--", "echo", "still here").stdout == "still here\n"
    except BaseException:
        print(output(*podman, "logs", "kernel"))
        raise
    finally:
        output(*podman, "rm", "--force", "--time", "20", "kernel")


def cgroup_of_container() -> Path:
    """The cgroup that the limits of the container are in."""
    place = output("podman", "inspect", "--format", "{{.State.CgroupPath}}", "kernel").strip()
    return Path("/sys/fs/cgroup", place.lstrip("/"))


def test_an_agents_memory_limit_is_a_cgroups_within_the_containers(engine: Path) -> None:
    with kernel("runc") as within:
        own = cgroup_of_container()
        assert (own / "memory.max").read_text().strip() == str(MEMORY)
        assert own.stat().st_uid == 1000
        eaten = within("clove", "run", "--memory", "96M", "/tmp/p/eater.py")
        assert eaten.returncode == 137, eaten
        assert f"over its memory limit of {96 << 20} bytes" in eaten.stderr
        events = table(own / "memory.events")
        assert events["oom_group_kill"] == 1
        assert table(own / "memory.events.local")["oom_kill"] == 0
        [agents] = own.rglob("clove-[0-9]*")
        assert agents.parent == own


def test_without_a_cgroup_of_its_own_the_container_holds_and_the_kernel_watches(
    engine: Path,
) -> None:
    with kernel("crun") as within:
        own = cgroup_of_container()
        assert own.stat().st_uid == 0
        refused = within("clove", "run", "--memory", "96M", "/tmp/p/eater.py")
        assert refused.returncode == 1
        assert "cgroup v2 controller memory" in refused.stderr
        words = ("clove", "run", "--memory", "96M", "--degrade", "limits", "/tmp/p/eater.py")
        eaten = within(*words)
        assert eaten.returncode not in (0, 1), eaten
        assert "memory" in eaten.stderr.lower()
        assert table(own / "memory.events")["oom_kill"] == 0


def test_the_kernel_outlives_agents_that_eat_all_that_the_container_has(engine: Path) -> None:
    with kernel("runc") as within:
        eaten = within("clove", "run", "--memory", "2G", "/tmp/p/eater.py")
        assert eaten.returncode == 137, eaten
        assert table(cgroup_of_container() / "memory.events")["oom_kill"] >= 1
