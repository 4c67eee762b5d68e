"""Which paths of the host a sandbox is to show, and the mounts for them."""

from __future__ import annotations

import pytest

from clove.errors import InvalidRequest
from clove.kernel.mounts.mount_plan import (
    MaskedPath,
    MountPlan,
    Root,
    arrange_mounts,
    check_root,
    is_shown,
    outermost,
)
from clove.kernel.mounts.mount_request import (
    NOTHING,
    Grants,
    MountRequest,
    grants_of,
    mount_request,
)
from clove.policy import for_level, narrow, parse
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec

SPEC = SandboxSpec(
    argv=("/usr/bin/python3",),
    namespaces=frozenset(NAMESPACES),
    binds=(
        Bind("/usr", "/usr"),
        Bind("/home/dev/venv", "/home/dev/venv"),
        Bind("/lib/clove", "/opt/clove/clove"),
        Bind("/state/7/workspace", "/workspace", writable=True),
    ),
    links={"/var/tmp": "/tmp"},
    files={"/etc/passwd": ""},
    tmpfs={"/tmp": 1},
)


def arranged(
    roots: list[Root], masked: list[MaskedPath], read_only: list[str] | None = None
) -> MountPlan:
    return arrange_mounts(
        roots,
        masked,
        read_only=read_only or [],
        unguarded=[],
        blank_directory="/state/blank/directory",
        blank_file="/state/blank/file",
    )


def test_only_named_fields_grant() -> None:
    wanted = parse(None, {"allowed_read_paths": ["/data/**"]})
    assert grants_of({"allowed_read_paths"}, wanted) == Grants(read=("/data/**",))
    assert grants_of({"can_http"}, wanted) == NOTHING
    earlier = Grants(("/a",), ("/b",))
    assert grants_of({"allowed_read_paths"}, wanted, earlier) == Grants(("/data/**",), ("/b",))


def test_a_wish_is_what_is_granted_and_still_allowed() -> None:
    permissions = parse(None, {"allowed_paths": ["/data/**", "/other"]})
    grants = Grants(read=("/data/**",), write=("/data/**",))
    asked = mount_request(permissions, grants)
    assert (asked.read, asked.write) == (("/data/**",), ("/data/**",))
    narrower = narrow(parse(None, {"allowed_paths": ["/data/sub/*"]}), permissions)
    assert mount_request(narrower, grants).read == ("/data/sub/*",)


def test_switches_and_levels_leave_nothing_to_wish() -> None:
    grants = Grants(("/data",), ("/data",))
    off = parse(None, {"allowed_paths": ["/data"], "can_read": False, "can_write": False})
    assert mount_request(off, grants) == MountRequest()
    assert mount_request(for_level("standard"), grants) == MountRequest()
    assert mount_request(parse(None, {"allowed_paths": ["/data"]}), NOTHING) == MountRequest()


def test_the_sandboxs_own_places_are_no_wish() -> None:
    names = ["/workspace/**", "/tmp/**", "/", "/**", "*", "/usr/lib", "/etc", "/proc/*"]
    permissions = parse(None, {"allowed_paths": names})
    assert mount_request(permissions, Grants(tuple(names), tuple(names))) == MountRequest()


@pytest.mark.parametrize(
    "path",
    ["/home/dev/venv/lib", "/usr/share", "/workspace/x", "/var/tmp/x", "/etc/passwd", "/tmp"],
)
def test_what_is_there_already_is_shown(path: str) -> None:
    assert is_shown(path, SPEC)


@pytest.mark.parametrize("path", ["/home/dev", "/tmp/x", "/etc/app.conf", "/srv", "/usrlocal"])
def test_what_is_not_there_can_be_granted(path: str) -> None:
    assert not is_shown(path, SPEC)
    check_root(path, SPEC)


@pytest.mark.parametrize("path", ["/sys", "/run/x", "/var", "/opt", "/"])
def test_what_would_hide_the_sandboxs_own_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        check_root(path, SPEC)


def test_roots_within_others_are_left_out() -> None:
    roots = [Root("/a/b/c"), Root("/a"), Root("/a/w", writable=True), Root("/a/w/x"), Root("/ab")]
    assert [root.path for root in outermost(roots)] == ["/a", "/ab", "/a/w"]
    both = [Root("/a"), Root("/a", writable=True)]
    assert outermost(both) == [Root("/a", writable=True)]


def test_outer_mounts_come_first_and_covers_lie_over_them() -> None:
    found = arranged([Root("/a/w", writable=True), Root("/a")], [MaskedPath("/a/key", False)])
    assert found.binds == (
        Bind("/a", "/a"),
        Bind("/a/w", "/a/w", writable=True),
        Bind("/state/blank/file", "/a/key"),
    )
    assert (found.read, found.write) == (("/a",), ("/a/w",))


def test_directories_above_a_cover_are_pinned_where_they_could_be_moved() -> None:
    masked = [
        MaskedPath("/a/b/c/key", False),
        MaskedPath("/a/b/secret", True),
        MaskedPath("/a/b/secret/x", True),
    ]
    written = arranged([Root("/a", writable=True)], masked)
    assert [(bind.target, bind.writable) for bind in written.binds] == [
        ("/a", True),
        ("/a/b", True),
        ("/a/b/c", True),
        ("/a/b/secret", False),
        ("/a/b/c/key", False),
    ]
    assert [bind.target for bind in arranged([Root("/a")], masked).binds] == [
        "/a",
        "/a/b/secret",
        "/a/b/c/key",
    ]


def test_what_belongs_to_the_kernel_stays_read_only() -> None:
    found = arranged([Root("/src", writable=True)], [], read_only=["/src/lib/clove", "/usr"])
    assert found.binds == (
        Bind("/src", "/src", writable=True),
        Bind("/src/lib", "/src/lib", writable=True),
        Bind("/src/lib/clove", "/src/lib/clove"),
    )


def test_the_interpreter_lies_over_a_directory_that_holds_it() -> None:
    spec = arranged([Root("/home/dev", writable=True)], []).apply(SPEC)
    targets = [bind.target for bind in spec.binds]
    assert targets.index("/home/dev") < targets.index("/home/dev/venv")
    assert targets[-1] == "/workspace"
    assert MountPlan().apply(SPEC) is SPEC


def test_a_reply_shows_names_that_are_no_text() -> None:
    assert MountPlan(read=("/a/\udcff",)).to_wire()["read"] == ["/a/\\udcff"]


def test_mounts_are_shown_as_far_as_permissions_allow_all_in_them() -> None:
    grants = Grants(mounts=("/data", "/other"), writable_mounts=("/out",))
    anything = for_level("standard")
    request = mount_request(anything, grants)
    assert (request.read, request.write) == (("/data", "/other", "/out"), ("/out",))
    rules = {"allowed_read_paths": ["/data/**", "/other/*"], "allowed_write_paths": ["/x"]}
    request = mount_request(parse(None, rules, anything), grants)
    assert (request.read, request.write) == (("/data",), ())
    assert mount_request(for_level("minimal"), grants) == mount_request(
        for_level("minimal"), NOTHING
    )


def test_new_rules_leave_mounts_what_they_are() -> None:
    earlier = Grants(mounts=("/data",))
    wanted = parse(None, {"allowed_read_paths": ["/b"]}, for_level("standard"))
    found = grants_of({"allowed_read_paths"}, wanted, earlier)
    assert found == Grants(read=("/b",), mounts=("/data",))
