"""Ids of agents, messages and audit entries over several kernels of one state directory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from clove import CloveClient
from clove.errors import LimitExceeded
from clove.kernel.id_file import Reserved, _line
from tests.integration.conftest import SLEEP, KernelProcess


def _given(kernel: KernelProcess, script: str, number: int) -> tuple[int, int, int]:
    """An agent's id, a message's, and that of the newest audit entry."""
    with CloveClient(kernel.socket) as client:
        agent = client.spawn(f"agent-{number}", script)["agent_id"]
        client.store("mine", number, scope="agent")
        message = client.send_message("hello", to=agent)["message_id"]
        entry = client.get_audit_log(limit=1)["entries"][0]["id"]
        assert agent > client.agent_id
    return agent, message, entry


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_id_comes_again_in_the_next_kernel(own_kernel: KernelProcess, end: int) -> None:
    script = Path(own_kernel.directory, "a.py")
    script.write_text(SLEEP)
    before = (0, 0, 0)
    for number in range(3):
        given = _given(own_kernel, str(script), number)
        assert all(now > then for now, then in zip(given, before, strict=True))
        assert given[0] < 2**31
        assert max(given[1:]) < 2**53
        if end == signal.SIGTERM:
            assert max(given) < 1000, "a kernel that ends well skips nothing"
        before = given
        own_kernel.stop(end)
        own_kernel.start()


def test_a_damaged_file_stops_the_start(short_dir: str) -> None:
    kernel = KernelProcess(short_dir)
    kernel.start()
    kernel.stop(signal.SIGTERM)
    Path(kernel.state_dir, "ids").write_text("nothing\n")
    with pytest.raises(pytest.fail.Exception, match="which ids were given"):
        kernel.start()
    os.unlink(f"{kernel.state_dir}/ids")
    kernel.start()
    kernel.stop(signal.SIGTERM)


def test_after_the_last_id_of_agents_what_lives_goes_on(own_kernel: KernelProcess) -> None:
    own_kernel.stop(signal.SIGTERM)
    left = Reserved(agents=2**31 - 2, messages=5, audit=5)
    Path(own_kernel.state_dir, "ids").write_bytes(2 * _line(left))
    own_kernel.start()  # which connects once to see that it answers
    script = Path(own_kernel.directory, "a.py")
    script.write_text(SLEEP)
    with CloveClient(own_kernel.socket) as client:
        assert client.noop(b"here") == b"here"
        assert client.agent_id == 2**31 - 1
        with pytest.raises(LimitExceeded, match="no ids for agents left"):
            client.spawn("late", str(script))
        with pytest.raises(LimitExceeded, match="no ids for agents left"):
            CloveClient(own_kernel.socket).noop()
        assert client.send_message("to myself", to=2**31 - 1)["message_id"] == 5
        assert client.recv_messages()["messages"][0]["from"] == 2**31 - 1
    assert "ids for agents and connections are left" in own_kernel.log


@pytest.mark.skipif(os.getuid() != 0, reason="agents of a rootless kernel are its own user")
def test_each_live_agent_has_a_user_of_its_own(own_kernel: KernelProcess) -> None:
    script = Path(own_kernel.directory, "a.py")
    script.write_text(SLEEP)
    users = {}
    with CloveClient(own_kernel.socket) as client:
        for number in range(3):
            agent = client.spawn(f"agent-{number}", str(script), warm=number != 1)
            status = Path(f"/proc/{agent['pid']}/status").read_text()
            [_, *ids] = status.partition("\nUid:")[2].partition("\n")[0].split()
            users[agent["agent_id"]] = set(map(int, ids))
    assert users == {id: {0x70000000 + id} for id in users}
