"""Owners of granted files on each file system that a kernel can mount (docs/owners.md).

Loop devices and other mounts are in the kernel's own mount namespace, and end with it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.exposed import ROOT, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = [
    NEEDS_SANDBOX,
    pytest.mark.skipif(os.getuid() != 0, reason="only root mounts file systems"),
]

OWNER = 4242
ON_DISK = {"ext4": (16, "-q -F"), "xfs": (320, "-q -f"), "btrfs": (128, "-q -f")}
"""Size of an image in MiB, and how its file system is made."""
MAPS_FROM = {"ext4": (5, 12), "xfs": (5, 12), "btrfs": (5, 15), "tmpfs": (6, 3)}
"""The Linux versions since which owners are mapped; overlay is not among them."""


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Path]]:
    """A root kernel that has each file system at a directory of its name."""
    base = tmp_path_factory.mktemp("file-systems")
    lines = ["set -u"]
    for name, (size, options) in ON_DISK.items():
        (base / name).mkdir()
        image = base / f"{name}.img"
        if shutil.which(f"mkfs.{name}"):
            image.touch()
            os.truncate(image, size << 20)
            subprocess.run([f"mkfs.{name}", *options.split(), str(image)], check=True)
        lines.append(f"mount -o loop {shlex.quote(str(image))} {base}/{name}")
    for name in ("tmpfs", "overlay", "lower", "upper", "work"):
        (base / name).mkdir()
    lines.append(f"mount -t tmpfs tmpfs {base}/tmpfs")
    layers = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    lines.append(f"mount -t overlay overlay -o {layers} {base}/overlay")
    lines.append('exec "$@"')
    unshare = ("unshare", "--mount", "--propagation", "private")
    with host(ROOT, prefix=(*unshare, "sh", "-c", "\n".join(lines), "sh")) as running:
        yield running, base
    shutil.rmtree(base)


def prepared(mounted: tuple[Host, Path], name: str) -> tuple[Path, Path]:
    """A directory of another owner on a file system: its path, and where this process finds it."""
    running, base = mounted
    mounts = Path(f"/proc/{running.kernel.pid}/mountinfo").read_text()
    if f" {base}/{name} " not in mounts:
        pytest.skip(f"this host cannot make or mount {name}")
    path = base / name / "granted"
    seen = Path(f"/proc/{running.kernel.pid}/root{path}")
    seen.mkdir(mode=0o700)
    (seen / "notes").write_text("host")
    (seen / "notes").chmod(0o600)
    for each in (seen, seen / "notes"):
        os.chown(each, OWNER, OWNER)
    return path, seen


def release() -> tuple[int, int]:
    major, minor, *_ = os.uname().release.replace("-", ".").split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("start", ["warm", "cold"])
@pytest.mark.parametrize("name", [*MAPS_FROM, "overlay"])
def test_owners_are_mapped_or_the_spawn_says_why_not(
    mounted: tuple[Host, Path], name: str, start: str
) -> None:
    path, seen = prepared(mounted, name)
    agent = mounted[0].spawn({"allowed_paths": [str(path)]}, warm=start == "warm")
    owners, made = agent.isolation["owners"], f"{path}/made"
    if release() >= MAPS_FROM.get(name, (999, 0)):
        assert owners == {"mapped": {str(path): OWNER}, "kept": {}}
        assert agent.both("write", f"{path}/notes") == ("yes:", "yes:")
        assert agent.ask("direct", "write", made) == "yes:"
        assert (seen / "made").stat().st_uid == OWNER
    else:
        [reason] = owners["kept"].values()
        assert f"on {name} this Linux cannot map owners" in reason
        assert "copy what is needed into the workspace" in reason
        assert agent.ask("direct", "read", f"{path}/notes") == "EACCES"
        seen.chmod(0o777)
        assert agent.ask("direct", "write", made) == "yes:"
        assert (seen / "made").stat().st_uid >= 1_000_000
    mounted[0].client.kill(agent.id)
    shutil.rmtree(seen)


@pytest.mark.parametrize("below", ["tmpfs", "overlay"])
def test_a_mount_below_is_mapped_too_where_it_can_be(
    mounted: tuple[Host, Path], below: str
) -> None:
    path, seen = prepared(mounted, "ext4")
    inner = seen / "inner"
    inner.mkdir()
    os.chown(inner, OWNER, OWNER)
    nsenter = ["nsenter", f"--mount=/proc/{mounted[0].kernel.pid}/ns/mnt"]
    layers = ",".join(f"{key}dir={mounted[1]}/{key}2" for key in ("lower", "upper", "work"))
    for key in ("lower", "upper", "work"):
        (mounted[1] / f"{key}2").mkdir(exist_ok=True)
    kind = ["-t", "tmpfs", "tmpfs"] if below == "tmpfs" else ["-t", "overlay", "o", "-o", layers]
    subprocess.run([*nsenter, "mount", *kind, f"{path}/inner"], check=True)
    try:
        inner.chmod(0o700)
        os.chown(inner, OWNER, OWNER)
        agent = mounted[0].spawn({"allowed_paths": [str(path)]})
        assert agent.ask("direct", "write", f"{path}/made") == "yes:"
        mapped = below == "tmpfs" and release() >= MAPS_FROM["tmpfs"]
        wrote = agent.ask("direct", "write", f"{path}/inner/made")
        assert wrote == ("yes:" if mapped else "EACCES")
        mounted[0].client.kill(agent.id)
    finally:
        subprocess.run([*nsenter, "umount", "--lazy", f"{path}/inner"], check=True)
        shutil.rmtree(seen)
