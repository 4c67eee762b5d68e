"""Where kernels listen and clients look when nobody says where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clove.socket_paths import (
    CONTRACT,
    SYSTEM,
    belongs_to,
    default_state_dir,
    own_sockets,
    usual_sockets,
)

ME = os.geteuid()
SOMEBODY = 54321


def test_roots_path_is_the_same_whatever_is_left_in_its_environment(short_dir: str) -> None:
    for environ in ({}, {"XDG_RUNTIME_DIR": "/run/user/1000", "XDG_STATE_HOME": short_dir}):
        assert set(own_sockets(0, environ)) <= {SYSTEM, "/var/lib/clove/clove.sock"}
        assert usual_sockets(0, environ)[-1] == CONTRACT


def place(directory: str, uid: int = SOMEBODY) -> list[str]:
    return own_sockets(uid, {"XDG_RUNTIME_DIR": directory, "HOME": "/home/somebody"})


STATE = "/home/somebody/.local/state/clove/clove.sock"


@pytest.mark.skipif(ME != 0, reason="needs root to make another user's directory")
def test_a_runtime_directory_counts_if_it_is_the_users_own(short_dir: str) -> None:
    assert place(short_dir) == [STATE], "root's, as su leaves it"
    os.chown(short_dir, SOMEBODY, SOMEBODY)
    assert place(short_dir) == [f"{short_dir}/clove/clove.sock", STATE]
    os.chmod(short_dir, 0o770)
    assert place(short_dir) == [STATE], "its group may make names in it"
    os.chmod(short_dir, 0o700)
    link = Path(short_dir, "link")
    link.symlink_to(short_dir)
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert place(str(link)) == [STATE], "a link may lead elsewhere later"


@pytest.mark.parametrize("directory", ["", "relative", "/nowhere", "/etc/passwd", "/" + "x" * 120])
def test_a_runtime_directory_that_is_none_does_not_count(directory: str) -> None:
    assert place(directory) == [STATE]


def test_a_path_that_is_too_long_for_a_socket_is_passed_over(short_dir: str) -> None:
    long = f"{short_dir}/{'x' * 90}"
    os.mkdir(long, 0o700)
    environ = {"XDG_RUNTIME_DIR": long, "XDG_STATE_HOME": long, "HOME": short_dir}
    assert all(long not in path for path in own_sockets(SOMEBODY, environ))


def test_a_user_without_a_home_has_the_contracts_path_alone() -> None:
    assert own_sockets(SOMEBODY, {}) == []
    assert default_state_dir(SOMEBODY, {}) == ""
    assert usual_sockets(SOMEBODY, {}) == [SYSTEM, CONTRACT]


def test_a_client_asks_its_own_kernel_first_then_roots_then_the_contracts(short_dir: str) -> None:
    found = usual_sockets(SOMEBODY, {"HOME": "/home/somebody"})
    assert found == [STATE, SYSTEM, CONTRACT]


def test_a_directory_is_private_if_no_other_user_can_write_it(short_dir: str) -> None:
    assert belongs_to(short_dir, ME)
    assert not belongs_to(short_dir, ME + 1)
    assert not belongs_to("/tmp", ME)
    os.chmod(short_dir, 0o702)
    assert not belongs_to(short_dir, ME)
