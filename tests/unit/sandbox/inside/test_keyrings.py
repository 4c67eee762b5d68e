"""A user whose quota of keys is used up, as 200 agents of one rootless kernel do it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from clove.sandbox.inside import syscalls
from clove.sandbox.inside.namespaces import new_session_keyring

ADD_KEY = {"x86_64": 248, "aarch64": 217}
USER_KEYRING = (1 << 64) - 4
UNUSED = 0x6FFF_FF01
"""A user id that nothing else has."""


def outcome(function: Callable[[], object]) -> int:
    """What a function fails with when another user calls it, whose quota is used up."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setresuid(UNUSED, UNUSED, UNUSED)
            new_session_keyring(filtered=False)  # a first one is above any quota
            number = ADD_KEY[os.uname().machine]
            for key in range(10_000):
                try:
                    syscalls.call(number, b"keyring", b"k%d" % key, None, 0, USER_KEYRING)
                except OSError as error:
                    code = 2 if error.errno != errno.EDQUOT else 3
                    break
            if code == 3:
                function()
                code = 0
        except OSError as error:
            code = error.errno or 4
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 2:
        pytest.skip("no keys in this kernel, or forbidden")
    return code


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user: needs root")
@pytest.mark.skipif(os.uname().machine not in ADD_KEY, reason="the number of add_key is unknown")
def test_a_quota_that_is_used_up_stops_no_process_that_can_call_for_no_key() -> None:
    assert outcome(lambda: new_session_keyring(filtered=True)) == 0
    assert outcome(lambda: new_session_keyring(filtered=False)) == errno.EDQUOT
