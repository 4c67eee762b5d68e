"""How a kernel gets cgroups, in a container and elsewhere: the way that this host has."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.sandbox.container import cgroup_remedy, in_container

POD = "PATH=/bin\0KUBERNETES_SERVICE_HOST=10.0.0.1\0"


def host(tmp_path: Path, files: dict[str, str], *directories: str) -> str:
    """A root directory with these files and directories."""
    for name in directories:
        (tmp_path / name).mkdir(parents=True)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"{tmp_path}/"


@pytest.mark.parametrize(
    "files",
    [
        {".dockerenv": ""},
        {"run/.containerenv": ""},
        {"proc/1/environ": "PATH=/bin\0container=podman\0"},
        {"proc/self/environ": POD},
    ],
)
def test_a_container_is_known_by_what_its_engine_leaves(
    tmp_path: Path, files: dict[str, str]
) -> None:
    assert in_container(host(tmp_path, files))


def test_a_host_is_none(tmp_path: Path) -> None:
    files = {"proc/1/environ": "PATH=/bin\0", "proc/self/environ": "HOME=/root\0"}
    assert not in_container(host(tmp_path, files))


def test_in_a_container_the_engine_gives_cgroups(tmp_path: Path) -> None:
    remedy = cgroup_remedy(host(tmp_path, {".dockerenv": ""}))
    assert "writable-cgroups=true" in remedy
    assert "cgroup_manager" in remedy
    assert "Delegate" not in remedy


def test_in_a_pod_nothing_gives_them(tmp_path: Path) -> None:
    remedy = cgroup_remedy(host(tmp_path, {"proc/self/environ": POD}))
    assert "resources.limits" in remedy
    assert "Delegate" not in remedy


@pytest.mark.parametrize("files", [{}, {".dockerenv": ""}])
def test_where_systemd_is_process_1_it_gives_them(tmp_path: Path, files: dict[str, str]) -> None:
    assert "Delegate=yes" in cgroup_remedy(host(tmp_path, files, "run/systemd/system"))


def test_elsewhere_a_cgroup_is_made_by_hand(tmp_path: Path) -> None:
    remedy = cgroup_remedy(host(tmp_path, {}))
    assert "no systemd" in remedy
    assert "Delegate" not in remedy
