"""The text of the metrics page, and the page over HTTP."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from clove.kernel.metrics.exporter import is_loopback_name, listen
from clove.kernel.metrics.prometheus import exposition
from clove.messages.metrics import AgentMetrics, SystemMetrics
from tests.unit.metrics.metrics_world import Record, World, reactor

SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)+\})? -?[0-9.e+]+')


def test_the_text_is_well_formed_whatever_agents_are_called() -> None:
    agents = [AgentMetrics(agent_id=1, name='a"b\\c\nd{}', status="running", syscalls=3)]
    text = exposition(SystemMetrics(), agents, 2, False).decode()
    lines = text.splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples), samples
    assert r'clove_agent_syscalls_total{agent_id="1",name="a\"b\\c\nd{}"} 3' in samples
    assert 'clove_agents{state="running"} 1' in samples
    assert "clove_clients 2" in samples
    assert len(lines) == 2 * text.count("# TYPE") + len(samples)
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


@given(st.lists(st.text(), max_size=4), st.integers(0, 2**53))
def test_prometheus_own_parser_reads_each_sample_back(names: list[str], syscalls: int) -> None:
    """Its parser alone: its writer takes 2.7 times as long (docs/libraries.md)."""
    agents = [
        AgentMetrics(agent_id=number, name=name, status="running", syscalls=syscalls)
        for number, name in enumerate(names)
    ]
    text = exposition(SystemMetrics(), agents, 2, False).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    found = families["clove_agent_syscalls"].samples if names else []
    assert [(one.labels["agent_id"], one.labels["name"], one.value) for one in found] == [
        (str(number), name, syscalls) for number, name in enumerate(names)
    ]
    assert len(families) == text.count("# TYPE")


async def test_only_spawned_agents_have_series(world: World) -> None:
    spawned, _ = world.principal(), world.principal()
    world.agents.list.append(Record(spawned.agent_id))
    text = (await world.metrics().prometheus()).decode()
    assert set(re.findall(r'agent_id="(\d+)"', text)) == {"1"}
    assert "clove_clients 1" in text


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("localhost", True),
        ("LOCALHOST:9100", True),
        ("127.0.0.1:9100", True),
        ("[::1]:9100", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("evil@localhost", False),
        ("localhost:x", False),
        ("localhost:99999999", False),
        ("localhost/", False),
        ("localhost#", False),
        ("[::1", False),
        ("127.0.0.1.", False),
        ("", False),
    ],
)
def test_names_of_this_machine(host: str, fine: bool) -> None:
    assert is_loopback_name(host) is fine


def _http(port: int, request: str) -> tuple[int, bytes]:
    """For a thread: the status and the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]), answer


async def test_prometheus_over_http(world: World) -> None:
    port = await listen(reactor, world.metrics(), 0)
    address: Any = port.getHost()
    assert address.host == "127.0.0.1"

    async def ask(head: str) -> tuple[int, bytes]:
        return await world.threads.run(_http, address.port, head + "Connection: close\n\n")

    try:
        status, answer = await ask("GET /metrics HTTP/1.1\nHost: localhost:1\n")
        assert status == 200
        assert b"text/plain; version=0.0.4" in answer
        assert b"clove_host_memory_bytes" in answer
        status, answer = await ask("HEAD /metrics HTTP/1.1\nHost: 127.0.0.1\n")
        assert (status, answer.partition(b"\r\n\r\n")[2]) == (200, b"")
        for head, wanted in (
            ("GET /metrics HTTP/1.1\nHost: evil.example\n", 403),
            ("GET /metrics HTTP/1.0\n", 403),
            ("GET /metrics HTTP/1.1\nHost: localhost\nOrigin: https://evil.example\n", 403),
            ("GET /metrics HTTP/1.1\nHost: localhost\nOrigin: null\n", 403),
            ("GET /metrics HTTP/1.1\nHost: localhost\nOrigin: http://localhost:3000\n", 200),
            ("GET /other HTTP/1.1\nHost: localhost\n", 404),
            ("POST /metrics HTTP/1.1\nHost: localhost\nContent-Length: 0\n", 405),
        ):
            status, answer = await ask(head)
            assert status == wanted, head
            assert (b"clove_host" in answer) == (wanted == 200)
    finally:
        stopping = port.stopListening()
        assert stopping is not None
        await stopping
