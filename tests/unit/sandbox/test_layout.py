"""What of the host's system is in every private root."""

from __future__ import annotations

import os

from clove.sandbox.layout import with_system
from clove.sandbox.spec import Bind, SandboxSpec

INSIDE = frozenset({"user", "pid", "mnt", "net", "ipc", "uts"})


def test_a_program_on_the_host_needs_nothing() -> None:
    spec = SandboxSpec(argv=("true",))
    assert with_system(spec) is spec


def test_the_system_is_there_read_only() -> None:
    spec = with_system(SandboxSpec(argv=("true",), namespaces=INSIDE))
    assert not any(bind.writable for bind in spec.binds)
    assert Bind("/usr", "/usr") in spec.binds
    assert {*spec.links, *(bind.target for bind in spec.binds)} >= {"/bin", "/lib"}
    assert all(os.path.realpath(bind.source) == bind.source for bind in spec.binds)


def test_no_secrets_of_the_host_are_there() -> None:
    spec = with_system(SandboxSpec(argv=("true",), namespaces=INSIDE))
    seen = {bind.source for bind in spec.binds}
    for secret in ("/etc", "/etc/ssl", "/etc/ssl/private", "/etc/shadow", "/root", "/home", "/"):
        assert secret not in seen
    assert "root:x:0:0" in spec.files["/etc/passwd"]


def test_names_are_resolved_only_with_the_hosts_network() -> None:
    alone = with_system(SandboxSpec(argv=("true",), namespaces=INSIDE))
    shared = with_system(SandboxSpec(argv=("true",), namespaces=INSIDE - {"net"}))
    assert "dns" not in alone.files["/etc/nsswitch.conf"]
    assert "dns" in shared.files["/etc/nsswitch.conf"]
    assert "/etc/resolv.conf" not in {bind.target for bind in alone.binds}
    assert "localhost" in alone.files["/etc/hosts"]


def test_with_egress_names_are_asked_of_the_kernel() -> None:
    spec = with_system(SandboxSpec(argv=("true",), namespaces=INSIDE, egress=(80, 443)))
    assert "dns" in spec.files["/etc/nsswitch.conf"]
    assert spec.files["/etc/resolv.conf"].startswith("nameserver 127.0.0.53\n")
    assert "localhost" in spec.files["/etc/hosts"]


def test_what_the_spec_says_itself_wins() -> None:
    own = SandboxSpec(
        argv=("true",),
        namespaces=INSIDE,
        binds=(Bind("/a", "/b"),),
        files={"/etc/passwd": "mine"},
        tmpfs={"/tmp": 7},
    )
    spec = with_system(own)
    assert spec.binds[-1] == Bind("/a", "/b")
    assert spec.files["/etc/passwd"] == "mine"
    assert spec.tmpfs["/tmp"] == 7
