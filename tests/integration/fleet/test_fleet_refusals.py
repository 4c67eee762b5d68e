"""Who is not let in, and what ends for those whose token is revoked (attacks.md, rows 20 to 23)."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from clove.errors import CloveError, PermissionDenied, Unavailable
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.waiting import until


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


def await_flag(fleet: Fleet, what: str) -> None:
    """It is written within a second."""
    until(
        lambda: [flag["what"] for flag in fleet.ask("GET", "/machines/one")["flags"]] == [what],
        "the machine is flagged",
    )


def test_revoking_a_token_cuts_what_it_opened_and_no_more(fleet: Fleet) -> None:
    fleet.join("one")
    issued = fleet.ask("POST", "/tokens/agent", {"target_machine": "one", "name": "gone"})
    other = fleet.client("one")
    other.noop()
    client = fleet.client("one", issued["token"])
    client.spawn("talks", command=["sh", "-c", "while echo on; do sleep 0.01; done"])
    ended: list[CloveError] = []

    def follow() -> None:
        try:
            for _ in client.follow_logs("talks"):
                pass
        except CloveError as error:
            ended.append(error)

    work = threading.Thread(target=follow)
    work.start()
    with PeerV1(fleet.hub_port) as peer:
        peer.say("agent_auth", name="v1", token=issued["token"], target_machine="one")
        assert peer.hear()["type"] == "auth_ok"
        fleet.ask("DELETE", f"/tokens/{issued['id']}")
        with pytest.raises(EOFError):
            peer.hear()
        work.join(20)
        assert ended
    with pytest.raises(PermissionDenied):
        fleet.client("one", issued["token"]).noop()
    assert other.noop(b"mine") == b"mine"
    client.close()
    other.close()


def test_refused_connections_are_in_the_audit(fleet: Fleet) -> None:
    fleet.join("one")
    token = fleet.agent_token("one")
    with PeerV1(fleet.hub_port) as peer:
        peer.say("agent_auth", name="v1", token=token, target_machine="other")
        assert peer.hear()["type"] == "auth_error"
    with PeerV1(fleet.hub_port) as peer:
        peer.say("kernel_auth", machine_id="one", token="clove_machine_wrong")
        assert peer.hear()["type"] == "auth_error"
    tunnel, agent = fleet.ask("GET", "/audit?kind=connection")["entries"]
    assert (tunnel["what"], tunnel["machine_id"]) == ("tunnel", "one")
    assert (agent["what"], agent["machine_id"]) == ("remote agent", "other")
    assert agent["source"] == "127.0.0.1"


def test_a_removed_machine_is_cut_and_does_not_come_back(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    fleet.ask("DELETE", "/machines/one")
    with CloveClient(kernel.socket) as operator:
        until(lambda: "not known" in operator.tunnel_status()["problem"], "it is refused")
        assert not operator.tunnel_status()["connected"]


def test_another_key_for_a_known_machine_is_refused(fleet: Fleet) -> None:
    fleet.join("one")
    token = fleet.ask("POST", "/tokens/join", {"machine_id": "two"})["token"]
    kernel = fleet.join("three")
    with CloveClient(kernel.socket) as operator:
        with pytest.raises(Unavailable) as refused:
            operator.tunnel_connect(fleet.url, "one", token)
        assert "not known here by that key" in str(refused.value)
    await_flag(fleet, "wrong_key")
    with fleet.client("one") as client:
        assert client.noop(b"mine") == b"mine"


def test_a_join_token_joins_once_and_its_own_machine(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    spent = Path(kernel.directory, "join").read_text()
    token = fleet.ask("POST", "/tokens/join", {"machine_id": "two"})["token"]
    other = fleet.join("three")
    with CloveClient(other.socket) as operator:
        for wrong, machine in ((spent, "four"), (token, "four"), ("", "four")):
            with pytest.raises(Unavailable):
                operator.tunnel_connect(fleet.url, machine, wrong)
            assert not operator.tunnel_status()["connected"]
        assert operator.tunnel_connect(fleet.url, "two", token)["connected"]


def test_a_copied_disk_is_refused_while_the_first_answers_and_flagged(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    copy = KernelProcess(f"{kernel.directory}/copy", kernel.config)
    Path(copy.directory).mkdir()
    copy.start()
    try:
        with CloveClient(copy.socket) as operator:
            operator.tunnel_disconnect()
            shutil.rmtree(f"{copy.state_dir}/tunnel", ignore_errors=True)
            shutil.copytree(f"{kernel.state_dir}/tunnel", f"{copy.state_dir}/tunnel")
            with pytest.raises(Unavailable) as refused:
                operator.tunnel_connect(fleet.url, "one")
            assert "another kernel with this machine's key" in str(refused.value)
            with fleet.client("one") as client:
                assert client.noop(b"first") == b"first"
            await_flag(fleet, "copied_key")
            kernel.stop()
            until(
                lambda: fleet.ask("GET", "/machines/one")["presence"] != "connected", "it is gone"
            )
            assert operator.tunnel_connect(fleet.url, "one")["connected"]
    finally:
        copy.stop()


def test_a_kernel_signs_for_no_other_relay_than_its_own(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    with running_fleet() as other, CloveClient(kernel.socket) as operator:
        with pytest.raises(Unavailable) as refused:
            operator.tunnel_connect(other.url, "one")
        assert "has joined" in str(refused.value)


def test_a_machine_that_joins_another_relay_shows_it_another_key(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    until(lambda: Path(kernel.state_dir, "tunnel", "relay").exists(), "the relay's id is kept")
    key = Path(kernel.state_dir, "tunnel", "key").read_bytes()
    with running_fleet() as other, CloveClient(kernel.socket) as operator:
        token = other.ask("POST", "/tokens/join", {"machine_id": "one"})["token"]
        assert operator.tunnel_connect(other.url, "one", token)["connected"]
        with other.client("one") as client:
            assert client.noop(b"there") == b"there"
    assert Path(kernel.state_dir, "tunnel", "key").read_bytes() != key


def test_a_join_token_file_moves_no_machine_to_another_relay(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    until(lambda: Path(kernel.state_dir, "tunnel", "relay").exists(), "the relay's id is kept")
    with running_fleet() as other:
        token = other.ask("POST", "/tokens/join", {"machine_id": "one"})["token"]
        kernel.stop()
        Path(kernel.directory, "join").write_text(token)
        kernel.config = kernel.config.replace(fleet.url, other.url)
        kernel.start()
        with CloveClient(kernel.socket) as operator:
            until(lambda: "has joined" in operator.tunnel_status()["problem"], "it is refused")
            assert not operator.tunnel_status()["connected"]
        assert other.ask("GET", "/machines")["machines"] == []


def test_the_key_and_the_pin_are_the_kernels_alone(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    directory = Path(kernel.state_dir, "tunnel")
    until(lambda: (directory / "relay").exists(), "the relay's id is kept")
    assert directory.stat().st_mode & 0o777 == 0o700
    for name in ("key", "relay"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600
    secret = base64.b64encode((directory / "key").read_bytes()).decode()
    joined = Path(kernel.directory, "join").read_text()
    for text in (kernel.log, fleet.log):
        assert secret not in text
        assert joined not in text
        assert joined[:30] not in text


def test_a_page_of_a_browser_reaches_no_hub(fleet: Fleet) -> None:
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{fleet.rest_port}"):
        with PeerV1(fleet.hub_port, f"Origin: {origin}\r\n") as peer:
            assert peer.status in (400, 403)


FIRST = {
    "no JSON": b"{",
    "no object": b"[1]",
    "no type": b'{"name":"x"}',
    "a syscall": b'{"type":"syscall","opcode":0,"payload":""}',
    "a number": b'{"type":"agent_auth","name":1,"token":"x","target_machine":"one"}',
    "version 3": b'{"type":"agent_auth","name":"x","token":"x","target_machine":"one",'
    b'"protocol_version":3}',
    "no key": b'{"type":"kernel_auth","machine_id":"one","protocol_version":2}',
    "no token": b'{"type":"kernel_auth","machine_id":"one"}',
}


def test_what_does_not_say_who_it_is_gets_an_error_and_a_close(fleet: Fleet) -> None:
    for text in FIRST.values():
        with PeerV1(fleet.hub_port) as peer:
            peer.say_text(text)
            answer = peer.hear()
            assert answer["type"] == "auth_error", (text, answer)
            assert answer["error"]
            with pytest.raises(EOFError):
                peer.hear()


def test_many_wrong_tokens_lock_their_address_out(fleet: Fleet) -> None:
    fleet.join("one")
    token = fleet.agent_token("one")
    for _ in range(10):
        with PeerV1(fleet.hub_port) as peer:
            peer.say("agent_auth", name="x", token="clove_agent_x", target_machine="one")
            assert peer.hear()["code"] == "not_authenticated"
    with PeerV1(fleet.hub_port) as peer:
        peer.say("agent_auth", name="x", token=token, target_machine="one")
        assert "too many attempts" in peer.hear()["error"]
