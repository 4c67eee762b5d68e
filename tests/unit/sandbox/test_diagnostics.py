"""Failures of the set-up in words, and what to leave out next."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from clove.errors import (
    CloveError,
    Internal,
    InvalidRequest,
    IsolationUnavailable,
    LimitExceeded,
    NotFound,
    PermissionDenied,
)
from clove.sandbox.diagnostics import failure, weaker
from clove.sandbox.init_errors import path_refused, program_refused
from clove.sandbox.spec import NAMESPACES, SandboxSpec

SPEC = SandboxSpec(argv=("prog",), cwd="/work", namespaces=frozenset(NAMESPACES))


def failed(step: str, number: int, **more: Any) -> CloveError:
    return failure({"step": step, "errno": number, "text": os.strerror(number), **more}, SPEC)


@pytest.mark.parametrize(
    ("step", "number", "text", "remedy"),
    [
        ("user", errno.EPERM, "a user namespace", "kernel.unprivileged_userns_clone"),
        ("user", errno.EPERM, "Operation not permitted", "apparmor_restrict_unprivileged_userns"),
        ("user", errno.ENOSPC, "a user namespace", "user.max_user_namespaces"),
        ("net", errno.ENOSPC, "a network namespace", "user.max_net_namespaces"),
        ("cgroupns", errno.ENOSPC, "a cgroup namespace", "user.max_cgroup_namespaces"),
        ("pid", errno.EINVAL, "a pid namespace", "Linux 5.12"),
        ("root", errno.ENOSYS, "a private root", "Linux 5.12"),
        ("root", errno.EPERM, "a private root", "systempaths=unconfined"),
        ("cgroup", errno.EACCES, "a cgroup of its own", "Delegate=yes"),
        ("rlimits", errno.EPERM, "resource limits", "clove doctor"),
        ("seccomp", errno.EINVAL, "a system call filter", "CONFIG_SECCOMP_FILTER"),
        ("landlock", errno.ENOMEM, "Landlock", "clove doctor"),
    ],
)
def test_a_failure_names_the_feature_and_the_remedy(
    step: str, number: int, text: str, remedy: str
) -> None:
    error = failed(step, number)
    assert isinstance(error, IsolationUnavailable)
    assert text in error.message
    assert os.strerror(number) in error.message
    assert remedy in error.hint


def test_the_path_that_was_missing_is_named() -> None:
    assert "(/a/b)" in failed("root", errno.ENOENT, path="/a/b").message


@pytest.mark.parametrize(
    "message", [{}, {"step": 7, "errno": "x"}, {"step": "serve", "text": "bug"}]
)
def test_an_unknown_failure_is_a_bug_of_ours(message: dict[str, Any]) -> None:
    assert isinstance(failure(message, SPEC), Internal)


def test_a_program_that_does_not_start_is_no_matter_of_isolation() -> None:
    assert isinstance(failed("exec", errno.ENOENT), NotFound)
    assert "'prog'" in failed("exec", errno.ENOENT).message
    assert "'/work'" in failed("cwd", errno.ENOENT).message


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, NotFound),
        (errno.ENOTDIR, NotFound),
        (errno.EACCES, PermissionDenied),
        (errno.EAGAIN, LimitExceeded),
        (errno.ENOEXEC, InvalidRequest),
        (errno.E2BIG, InvalidRequest),
    ],
)
def test_refused_programs_have_the_right_error(number: int, kind: type[CloveError]) -> None:
    assert type(program_refused({"step": "exec", "errno": number}, "prog", "/")) is kind


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"step": "magic", "errno": errno.ELOOP}, "magic-link"),
        ({"step": "process", "errno": errno.EACCES}, "proc"),
        ({"step": "os", "errno": errno.EACCES}, "os"),
    ],
)
def test_refused_paths_name_their_rule(fields: dict[str, Any], rule: str) -> None:
    assert path_refused(fields, "/x").rule == rule


def test_a_senseless_path_is_a_bad_request() -> None:
    error = path_refused({"step": "path", "text": "a path must not hold a NUL"}, "/x")
    assert isinstance(error, InvalidRequest)
    assert "NUL" in error.message
    assert isinstance(path_refused({}, "/x"), CloveError)


def test_what_failed_is_left_out() -> None:
    less = weaker(SPEC, "net")
    assert less is not None
    assert less.namespaces == frozenset(NAMESPACES) - {"net"}
    less = weaker(SPEC, "cgroupns")
    assert less is not None
    assert "cgroup" not in less.namespaces


@pytest.mark.parametrize("step", ["seccomp", "landlock"])
def test_a_wall_that_failed_is_left_out_once(step: str) -> None:
    less = weaker(SPEC, step)
    assert less is not None
    assert not getattr(less, step)
    assert weaker(less, step) is None


@pytest.mark.parametrize("step", ["user", "mnt", "root", "exec", "cgroup", "nonsense"])
def test_without_these_nothing_of_a_sandbox_is_left(step: str) -> None:
    assert weaker(SPEC, step) is None


def test_each_thing_is_left_out_once() -> None:
    spec = SandboxSpec(argv=("x",), cgroup_procs=("/c/cgroup.procs",))
    less = weaker(spec, "cgroup")
    assert less is not None
    assert weaker(less, "cgroup") is None
    assert weaker(less, "net") is None


def test_less_of_the_network_is_never_the_hosts() -> None:
    spec = SandboxSpec(argv=("prog",), namespaces=frozenset(NAMESPACES), uid=7, egress=(80,))
    less = weaker(spec, "egress")
    assert less is not None
    assert less.egress is None
    assert "net" in less.namespaces
    assert weaker(less, "egress") is None
    without = weaker(spec, "net")
    assert without is not None
    assert without.egress is None
