"""podman with a store of its own, and the image of deploy/docker built in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["BASE", "FILES", "IMAGE", "ROOT", "Podman", "build_image"]

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "docker"
BASE = "docker.io/library/python:3.11-slim-bookworm"
IMAGE = "localhost/clove:test"
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
cgroups = "disabled"
netns = "host"
log_driver = "k8s-file"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{0}/tmp"
"""
"""The network is the tests' own; cgroups of containers cannot be had beside version 1."""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{0}/store"
runroot = "{0}/run"
"""


class Podman:
    """podman, with a store of its own."""

    def __init__(self, place: Path) -> None:
        (place / "containers.conf").write_text(CONTAINERS.format(place))
        (place / "storage.conf").write_text(STORAGE.format(place))
        self.variables = {
            "CONTAINERS_CONF": str(place / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",  # for `podman build`: its containers have cgroups otherwise
        }
        os.environ.update(self.variables)

    def __call__(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What it prints; its errors too, where C{check} is not set."""
        done = subprocess.run(
            ["podman", *words], input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"podman {' '.join(words)}: {done.stderr}\n{done.stdout}")
        return done.stdout if check else done.stdout + done.stderr


def build_image(work: Path, *options: str) -> None:
    """Build it of the bundle in a directory, on the base that C{$CLOVE_IMAGE_BASE} is an archive of.

    @param options: of C{buildah bud}.
    """
    with open(os.environ["CLOVE_IMAGE_BASE"], "rb") as base:
        subprocess.run(["podman", "import", "--quiet", "-", BASE], stdin=base, check=True)
    context = work / "context"
    context.mkdir()
    for name in ("Dockerfile", "entrypoint", "health", "drain"):
        shutil.copy(FILES / name, context)
    (bundle,) = work.glob("clove-*.tar.gz")
    shutil.copy(bundle, context)
    words = ["buildah", "bud", "--isolation", "chroot", "--pull-never", "--format", "docker"]
    words += [*options, "--tag", IMAGE, str(context)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
