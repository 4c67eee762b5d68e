"""The blocking client against a real kernel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import AlreadyExists, ConnectionLost, NotFound, PermissionDenied, TimedOut


@pytest.fixture
def client(kernel: Any) -> Iterator[CloveClient]:
    with CloveClient(kernel.socket) as client:
        yield client


@pytest.fixture
def script(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "agent.py"
        path.write_text(text)
        return str(path)

    return write


def test_greets_and_echoes(client: CloveClient) -> None:
    assert client.protocol_version == 2
    assert client.agent_id == client.hello()["agent_id"] > 0
    assert client.noop(bytes(range(256))) == bytes(range(256))
    assert client.noop(bytes(1 << 20)) == bytes(1 << 20)


def test_files(client: CloveClient, tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    assert client.write_file(path, "grüße")["bytes_written"] == 7
    assert client.write_file(path, "AAE=", mode="append", encoding="base64")["bytes_written"] == 2
    assert client.read_file(path, encoding="base64")["size"] == 9
    assert client.read_file(path, limit=2)["content"] == "gr"
    with pytest.raises(NotFound):
        client.read_file(str(tmp_path / "none"))


def test_the_largest_reply(client: CloveClient, tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * (15 << 20))
    assert len(client.read_file(str(path))["content"]) == 15 << 20


def test_commands(client: CloveClient) -> None:
    reply = client.exec("cat; echo $GREETING >&2; exit 3", stdin="in", env={"GREETING": "hi"})
    assert (reply["success"], reply["exit_code"]) == (False, 3)
    assert (reply["stdout"], reply["stderr"]) == ("in", "hi\n")
    stream = client.exec_stream("echo one; echo two >&2")
    assert sorted(stream) == [("stderr", "two\n"), ("stdout", "one\n")]
    assert stream.result is not None
    assert stream.result["exit_code"] == 0
    assert client.exec("sleep 60", timeout=0.1)["timed_out"] is True


def test_thinking(client: CloveClient) -> None:
    reply = client.think("Say something about bees", max_tokens=50)
    assert reply["content"]
    assert reply["provider"] == "offline"
    stream = client.think_stream("Say something about bees", max_tokens=50)
    assert "".join(stream) == reply["content"]
    assert stream.result is not None
    assert stream.result["content"] == reply["content"]


def test_messages(client: CloveClient, kernel: Any) -> None:
    with CloveClient(kernel.socket) as other:
        other.register_name("other")
        with pytest.raises(AlreadyExists):
            client.register_name("other")
        sent = client.send_message({"n": 1}, to_name="other")
        assert sent["delivered_to"] == other.agent_id
        client.send_message("two", to=other.agent_id, ttl=60)
        mails = other.recv_messages(wait=30)["messages"]
        assert [mail["message"] for mail in mails] == [{"n": 1}, "two"]
        assert mails[0]["from"] == client.agent_id
        client.send_message("again", "other")
        kept = other.recv_messages(ack="manual")["messages"]
        assert other.ack_messages([mail["id"] for mail in kept])["success"] is True
        assert client.broadcast("all")["delivered_count"] >= 1
        assert other.recv_messages(wait=30)["count"] == 1


def test_a_wait_for_messages_ends_when_one_comes(client: CloveClient, kernel: Any) -> None:
    with CloveClient(kernel.socket) as other:
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(client.recv_messages(wait=30)))
        thread.start()
        assert client.noop(b"meanwhile") == b"meanwhile"
        other.send_message("hello", to=client.agent_id)
        thread.join(30)
        assert results[0]["messages"][0]["message"] == "hello"


def test_state(client: CloveClient) -> None:
    version = client.store("test/a", {"x": [1, None]})["version"]
    assert client.fetch("test/a")["value"] == {"x": [1, None]}
    with pytest.raises(AlreadyExists):
        client.store("test/a", 2, if_version=version + 1)
    client.store("test/b", None, scope="agent", ttl=60)
    assert client.list_keys("test/")["keys"] == ["test/a", "test/b"]
    assert client.delete_key("test/a")["deleted"] is True
    assert client.fetch("test/a")["exists"] is False


def test_events(client: CloveClient, kernel: Any) -> None:
    with CloveClient(kernel.socket) as other:
        other.subscribe("CUSTOM", push=True)
        client.subscribe(["CUSTOM"])
        assert client.emit_event("lunch", {"at": 12})["delivered_to"] == 2
        event = other.next_event(10)
        assert event is not None
        assert (event["type"], event["source_agent_id"]) == ("CUSTOM", client.agent_id)
        assert event["data"]["custom_type"] == "lunch"
        assert client.poll_events()["count"] == 1
        assert client.unsubscribe("CUSTOM")["unsubscribed"] == ["CUSTOM"]
        assert other.next_event(0) is None


def test_permissions(client: CloveClient) -> None:
    assert client.get_permissions()["permissions"]["level"] == "unrestricted"
    assert client.why("READ", {"path": "/etc/passwd"})["allowed"] is True
    assert client.set_permissions(level="readonly")["success"] is True
    assert client.get_permissions()["permissions"]["level"] == "readonly"


def test_metrics_and_audit(client: CloveClient) -> None:
    assert client.get_system_metrics()["metrics"]["cpu"]["count"] >= 1
    assert client.get_agent_metrics()["metrics"]["agent_id"] == client.agent_id
    assert client.get_all_agent_metrics()["success"] is True
    client.set_audit_config(log_ipc=True)
    client.send_message("audited", to=client.agent_id)
    assert client.get_audit_log("IPC", agent_id=client.agent_id)["count"] >= 1


def test_asynchronous_requests(client: CloveClient) -> None:
    accepted = client.exec("echo later", async_=True, request_id="r1")
    assert accepted["status"] == "accepted"
    results: list[Any] = []
    while not results:
        results = client.poll_async()["results"]
    assert results[0]["request_id"] == "r1"
    assert "later" in results[0]["payload"]


def test_an_agents_life_cycle(client: CloveClient, script: Any) -> None:
    path = script("import sys, time\nprint('up', sys.argv[2:], flush=True)\ntime.sleep(300)")
    agent = client.spawn("life", path, args=["a", "b"])
    stream = client.follow_logs("life")
    line = next(stream)
    assert (line["text"], line["stream"]) == ("up ['a', 'b']", "stdout")
    assert client.pause("life")["paused"] is True
    states = {one["name"]: one["state"] for one in client.list_agents()}
    assert states["life"] == "paused"
    assert client.resume(agent["id"])["resumed"] is True
    assert client.kill("life")["killed"] is True
    assert list(stream) == []
    end = client.wait("life")
    assert end["reason"] == "killed"
    assert client.logs("life")["lines"][0]["text"] == "up ['a', 'b']"
    with pytest.raises(NotFound):
        client.kill("life")


def test_a_sandboxed_agent_has_the_client(client: CloveClient, script: Any) -> None:
    path = script(
        "import sys\nfrom clove import CloveClient\n"
        "with CloveClient(sys.argv[1]) as c: print(c.agent_id, c.noop(b'in'))\n"
        "with CloveClient() as c: print(c.agent_id)\n"
    )
    agent = client.spawn("inside", path)
    lines = [line["text"] for line in client.follow_logs("inside")]
    assert lines == [f"{agent['id']} b'in'", str(agent["id"])]
    assert client.wait("inside")["exit_code"] == 0


def test_waiting_for_an_agent_has_a_time_out(client: CloveClient, script: Any) -> None:
    agent = client.spawn("slow", script("import time; time.sleep(300)"))
    with pytest.raises(TimedOut):
        client.wait("slow", timeout=0.05)
    client.timeout = 0.05
    with pytest.raises(TimedOut):
        client.ask(_patient(client, agent["id"]))
    client.timeout = 30
    client.kill("slow")


def _patient(client: CloveClient, agent_id: int) -> Any:
    """A WAIT for ever that the client itself gives up."""
    from clove.client.methods import agents

    call = agents.wait(agent_id)
    call.patience = 0.0
    return call


def test_http_refuses_the_metadata_service(client: CloveClient) -> None:
    with pytest.raises(PermissionDenied) as caught:
        client.http("http://169.254.169.254/latest/meta-data")
    assert caught.value.rule


def test_a_lost_connection_keeps_name_and_mailbox(client: CloveClient, kernel: Any) -> None:
    client.register_name("keeper")
    identity = client.agent_id
    assert client._connection.channel is not None
    client._connection.channel.close(ConnectionLost("cut by the test"))
    with CloveClient(kernel.socket) as other:
        other.send_message("while you were out", to_name="keeper")
    assert client.recv_messages(wait=30)["messages"][0]["message"] == "while you were out"
    assert client.agent_id == identity


def test_a_restarted_kernel_is_found_again(own_kernel: Any) -> None:
    with CloveClient(own_kernel.socket) as client:
        assert client.noop(b"1") == b"1"
        own_kernel.stop()
        own_kernel.start()
        assert client.store("k", 1)["success"] is True
