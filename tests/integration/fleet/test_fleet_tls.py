"""Tunnels and remote agents over TLS: certificates and names are checked at both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from clove.client.fleet import FleetClient
from clove.client.remote import RemoteClient
from clove.errors import ConnectionLost, Unavailable
from tests.integration.fleet.fleet_processes import Fleet, tls_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A relay with a certificate for 127.0.0.1."""
    with tls_fleet(tmp_path, "127.0.0.1") as fleet:
        yield fleet


def test_a_kernel_and_a_caller_over_tls(fleet: Fleet) -> None:
    kernel = fleet.join("one", f'ca_file = "{fleet.ca_file}"')
    token = fleet.agent_token("one")
    with RemoteClient(fleet.url, "one", token=token, ca_file=fleet.ca_file) as client:
        assert client.noop(bytes(200_000)) == bytes(200_000)
    with CloveClient(kernel.socket) as operator:
        other = fleet.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unavailable):
            operator.tunnel_connect(other, "one")


def test_an_agents_output_over_tls(fleet: Fleet) -> None:
    fleet.join("one", f'ca_file = "{fleet.ca_file}"')
    url = f"https://127.0.0.1:{fleet.rest_port}"
    client = FleetClient(url, fleet.admin, ca_file=fleet.ca_file)
    made = client.deploy("one", "work.py", "print('x' * 1_000_000)\n", attach=True)
    stream = client.stream("one", made["agent_id"], attach=True)
    output = b"".join(fields["data"] for kind, fields in stream if kind == "output")
    assert output == b"x" * 1_000_000 + b"\n"


def test_a_caller_speaks_to_no_relay_that_it_cannot_trust(fleet: Fleet) -> None:
    token = "clove_agent_secret"
    with pytest.raises(ConnectionLost) as refused:
        RemoteClient(fleet.url, "one", token=token).connect()
    assert "not trusted" in str(refused.value)
    other = fleet.url.replace("127.0.0.1", "localhost")
    with pytest.raises(ConnectionLost) as refused:
        RemoteClient(other, "one", token=token, ca_file=fleet.ca_file).connect()
    assert "not trusted" in str(refused.value)
    assert token not in fleet.log


def test_a_kernel_sends_its_token_to_no_relay_that_it_cannot_trust(fleet: Fleet) -> None:
    plain = Fleet()
    try:
        plain.start()
        kernel = plain.join("one")
        with CloveClient(kernel.socket) as operator, pytest.raises(Unavailable) as refused:
            operator.tunnel_connect(fleet.url, "two", "clove_join_secret")
        assert "certificate verify failed" in str(refused.value)
        assert "secret" not in fleet.log + kernel.log
    finally:
        plain.stop()
