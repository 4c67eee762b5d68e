"""What can be forked from a zygote, and what its root then needs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec
from clove.sandbox.zygote.child import beyond, interprets, suits
from clove.sandbox.zygote.ids import IdRange

ALL = frozenset(NAMESPACES)
BASE = SandboxSpec(
    argv=("/usr/bin/python3",),
    env={"PATH": "/usr/bin", "LANG": "C.UTF-8", "PYTHONPATH": "/opt/clove"},
    namespaces=ALL,
    binds=(Bind("/usr", "/usr"), Bind("/srv/clove", "/opt/clove/clove")),
    links={"/bin": "usr/bin"},
    files={"/etc/hosts": "127.0.0.1 localhost\n", "/etc/resolv.conf": ""},
    tmpfs={"/tmp": 1 << 20},
)
OWN = (
    Bind("/state/agents/5/app", "/app"),
    Bind("/state/agents/5/workspace", "/workspace", writable=True),
    Bind("/state/run/5.sock", "/tmp/clove.sock", writable=True),
)
AGENT = replace(
    BASE,
    argv=("/usr/bin/python3", "/app/x.py", "/tmp/clove.sock"),
    env={**BASE.env, "CLOVE_AGENT_ID": "5", "API": "x"},
    binds=(*BASE.binds, *OWN),
)


def test_an_ordinary_agent_suits() -> None:
    assert suits(BASE, AGENT)
    assert interprets(BASE, AGENT)


@pytest.mark.parametrize(
    "changes", [{"namespaces": ALL - {"net"}}, {"hostname": "other"}, {"seccomp": False}]
)
def test_what_a_process_has_from_the_zygote_must_be_as_asked(changes: dict[str, Any]) -> None:
    assert not suits(BASE, replace(AGENT, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": ("/usr/bin/python3.13", "/app/x.py")},
        {"argv": ("/usr/bin/python3",)},
        {"argv": ("/usr/bin/python3", "-c", "pass")},
        {"argv": ("ls", "/app")},
        {"env": {**AGENT.env, "PYTHONHASHSEED": "1"}},
        {"env": {**AGENT.env, "PYTHONPATH": "/workspace:/opt/clove"}},
        {"env": {**AGENT.env, "LD_PRELOAD": "/workspace/x.so"}},
        {"env": {**AGENT.env, "LC_ALL": "C"}},
        {"env": {**AGENT.env, "LANG": "de_DE.UTF-8"}},
        {"env": {name: text for name, text in AGENT.env.items() if name != "LANG"}},
    ],
)
def test_what_an_interpreter_is_told_when_it_starts_needs_one_of_its_own(
    changes: dict[str, Any],
) -> None:
    changed = replace(AGENT, **changes)
    assert suits(BASE, changed)  # which an exec gives it
    assert not interprets(BASE, changed)


def test_an_agents_own_places_are_all_that_its_root_adds() -> None:
    more = beyond(BASE, AGENT)
    assert (more.whole, more.binds, more.files) == (False, OWN, {})


def test_files_that_differ_are_covered() -> None:
    networked = replace(AGENT, files={**AGENT.files, "/etc/resolv.conf": "nameserver 127.0.0.53\n"})
    more = beyond(BASE, networked)
    assert not more.whole
    assert more.files == {"/etc/resolv.conf": "nameserver 127.0.0.53\n"}


def test_covers_over_what_both_have_are_put_on_the_base() -> None:
    cover = Bind("/state/blank/file", "/usr/bin/ssh")
    more = beyond(BASE, replace(AGENT, binds=(*AGENT.binds, cover)))
    assert (more.whole, more.binds) == (False, (*OWN, cover))


def test_what_a_childs_tmpfs_hides_is_mounted_once_more() -> None:
    prefix = Bind("/tmp/checkout/.venv", "/tmp/checkout/.venv")
    base = replace(BASE, binds=(*BASE.binds, prefix))
    more = beyond(base, replace(AGENT, binds=(*base.binds, *OWN)))
    assert (more.whole, more.binds) == (False, (prefix, *OWN))


@pytest.mark.parametrize(
    "changes",
    [
        {"binds": (*AGENT.binds, Bind("/home/me/project", "/home/me/project"))},
        {"binds": (*AGENT.binds, Bind("/data", "/usrlocal"))},
        {"binds": (BASE.binds[0], *OWN)},
        {"links": {}},
        {"files": {**AGENT.files, "/etc/motd": "hello\n"}},
        {"files": {}},
        {"tmpfs": {"/tmp": 1 << 20, "/scratch": 1 << 20}},
    ],
)
def test_what_the_base_has_no_place_for_makes_another_root(changes: dict[str, Any]) -> None:
    spec = replace(AGENT, **changes)
    more = beyond(BASE, spec)
    assert (more.whole, more.binds, more.files) == (True, spec.binds, spec.files)


def test_users_of_a_root_kernel_are_apart_from_the_zygotes() -> None:
    ids = IdRange(0x70000000)
    outside = {}
    for inside, first, count in ids.to_map():
        for number in (0, count - 1):
            outside[inside + number] = first + number
    assert len(set(outside.values())) == len(outside)
    assert outside[ids.first_inside + 65535] == 0x70000000 + 65535
    assert outside[1000] == ids.zygote == 0x70000000 + 65536
    assert 0 not in outside
