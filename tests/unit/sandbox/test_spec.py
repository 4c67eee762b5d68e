"""The description of a sandbox, and the report about one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clove.sandbox.spec import NAMESPACES, Bind, Isolation, SandboxSpec

WHOLE = SandboxSpec(
    argv=("python", "x.py"),
    env={"A": "1"},
    cwd="/workspace",
    namespaces=frozenset(NAMESPACES),
    hostname="box",
    uid=100_000,
    binds=(Bind("/a", "/b"), Bind("/c", "/d", writable=True, optional=True)),
    links={"/bin": "usr/bin"},
    files={"/etc/hostname": "box\n"},
    tmpfs={"/tmp": 1},
    rlimits={"nofile": 10},
    raisable=("nofile",),
    cgroup_procs=("/sys/fs/cgroup/x/cgroup.procs",),
    nice=3,
    umask=0o77,
    allow_degraded=True,
)


@pytest.mark.parametrize("spec", [WHOLE, SandboxSpec(argv=("true",))])
def test_a_spec_survives_json(spec: SandboxSpec) -> None:
    assert SandboxSpec.from_json(json.loads(spec.dumps())) == spec


def test_what_is_printed_of_a_spec_has_no_secret() -> None:
    spec = SandboxSpec(argv=("true",), namespaces=frozenset(NAMESPACES), secrets={"key": "hush"})
    assert "hush" not in repr(spec)
    assert "argv=('true',)" in repr(spec)


def test_bytes_that_are_no_text_survive_json() -> None:
    spec = SandboxSpec(argv=("echo", "\udcff"))
    assert SandboxSpec.from_json(json.loads(spec.dumps())) == spec


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"argv": ()}, "needs a name"),
        ({"argv": ("",)}, "needs a name"),
        ({"namespaces": frozenset({"moon"})}, "no such namespaces: moon"),
        ({"binds": (Bind("/a", "/b"),)}, "need a mount namespace"),
        ({"tmpfs": {"/tmp": 1}}, "need a mount namespace"),
        ({"namespaces": frozenset({"pid"})}, "needs a mount namespace"),
        ({"uid": 0}, "never root's"),
        ({"cwd": "here"}, "not an absolute path"),
        ({"cwd": "/a/../b"}, "not an absolute path"),
        ({"namespaces": frozenset({"mnt"}), "binds": (Bind("a", "/b"),)}, "not an absolute path"),
        ({"namespaces": frozenset({"mnt"}), "files": {"/../x": ""}}, "not an absolute path"),
        ({"argv": ("a", "b\0")}, "NUL"),
        ({"env": {"A": "\0"}}, "NUL"),
        ({"env": {"A=B": ""}}, "empty or has an ="),
        ({"env": {"": "x"}}, "empty or has an ="),
    ],
)
def test_senseless_specs_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SandboxSpec(**{"argv": ("true",), **fields})


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(TypeError):
        SandboxSpec.from_json({"argv": ["true"], "priviledged": True})


def test_only_everything_together_is_full_isolation() -> None:
    own = dict.fromkeys(("pid", "net", "mnt", "uts", "ipc", "user"), True)
    limits: dict[str, Any] = {
        "cgroup": True,
        "memory_limit": True,
        "cpu_quota": True,
        "pids_limit": True,
        "seccomp": True,
    }
    assert Isolation(namespaces=own, **limits).fully_isolated
    for kind in own:
        assert not Isolation(namespaces={**own, kind: False}, **limits).fully_isolated
    for limit in limits:
        assert not Isolation(namespaces=own, **{**limits, limit: False}).fully_isolated


def test_the_report_has_every_field_of_the_contract() -> None:
    assert Isolation().to_wire() == {
        "fully_isolated": False,
        "namespaces": dict.fromkeys(("pid", "net", "mnt", "uts", "ipc", "user"), False),
        "cgroups": {
            "available": False,
            "memory_limit": False,
            "cpu_quota": False,
            "pids_limit": False,
        },
        "seccomp": False,
        "landlock": False,
    }
    assert Isolation(degraded_reason="why").to_wire()["degraded_reason"] == "why"
