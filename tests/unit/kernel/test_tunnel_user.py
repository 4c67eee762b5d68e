"""The user under which a tunnel may run beside a kernel of root."""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.remote.caller_socket import CallerSocket, user_id


def test_a_name_that_is_no_users_is_said() -> None:
    assert user_id(pwd.getpwuid(0).pw_name) == 0
    with pytest.raises(InvalidRequest, match="there is no user 'clove-nobody-has-this'") as raised:
        user_id("clove-nobody-has-this")
    assert "systemd-sysusers" in raised.value.hint


class Transport:
    """The kernel's end of a connection."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end


def check(end: socket.socket, tunnel_uid: int | None) -> None:
    made = CallerSocket(None, lambda *_: None, lambda: None, lambda _: None, tunnel_uid)
    made.check(Transport(end))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a process of another user")
def test_its_processes_hand_over_callers_and_those_of_others_do_not(short_dir: str) -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    path = f"{short_dir}/callers"
    os.chmod(short_dir, 0o755)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        os.chown(path, uid, -1)
        listener.listen()
        os.seteuid(uid)  # which the kernel is told of who connects
        try:
            client.connect(path)
        finally:
            os.seteuid(0)
        end, _ = listener.accept()
        with end:
            check(end, uid)
            for other in (None, uid + 1):
                with pytest.raises(PermissionDenied) as raised:
                    check(end, other)
                assert raised.value.rule == "peer-uid"
