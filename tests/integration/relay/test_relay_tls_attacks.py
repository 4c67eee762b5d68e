"""What is tried before and in a TLS handshake: old versions, none at all, one that never ends, a second one."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL

from clove.client.fleet import FleetClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.relay.relay_process import RelayProcess, relay_process
from tests.tls_identity import make_identity

TOKEN = "clove_agent_canary"


def config(key: str, certificate: str) -> str:
    os.chmod(key, 0o600)
    limits = "[limits.rest]\nrequest_timeout = 1\n"
    return f'[rest]\nport = 0\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n{limits}'


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    directory = tmp_path_factory.mktemp("relay")
    with relay_process(directory, config(*make_identity(directory, "127.0.0.1"))) as running:
        yield running
        assert "Traceback" not in running.log


def ports(relay: RelayProcess) -> list[int]:
    """Of REST and of WebSockets, as soon as both are told."""
    end = time.monotonic() + 20
    while len(found := re.findall(r"serves \w+ on \S+ port (\d+)", relay.log)) < 2:
        assert time.monotonic() < end, relay.log
        time.sleep(0.01)
    return [int(port) for port in found]


def lenient(newest: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that takes any certificate, and versions up to this one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
    return context


@pytest.mark.filterwarnings("ignore:.*TLSVersion.* is deprecated:DeprecationWarning")
def test_tls_before_1_2_is_refused_on_both_ports(relay: RelayProcess) -> None:
    for port in ports(relay):
        for newest in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with (
                socket.create_connection(("127.0.0.1", port), 30) as stream,
                pytest.raises(ssl.SSLError),
            ):
                lenient(newest).wrap_socket(stream)
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with (
                socket.create_connection(("127.0.0.1", port), 30) as stream,
                lenient(newest).wrap_socket(stream) as tls,
            ):
                assert tls.version() == newest.name.replace("_", ".")


BEGUN = [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"]
"""What a client says of a handshake."""


@pytest.fixture(scope="module")
def begun(relay: RelayProcess) -> Iterator[dict[bytes, list[socket.socket]]]:
    """A connection to each port for each of L{BEGUN}: they stand still at the same time."""
    with contextlib.ExitStack() as stack:
        found: dict[bytes, list[socket.socket]] = {said: [] for said in BEGUN}
        for said, streams in found.items():
            for port in ports(relay):
                stream = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
                stream.sendall(said)
                streams.append(stream)
        yield found


@pytest.mark.parametrize("said", BEGUN, ids=repr)
def test_a_handshake_that_stands_still_is_cut_off(
    said: bytes, relay: RelayProcess, begun: dict[bytes, list[socket.socket]]
) -> None:
    for stream in begun[said]:
        with contextlib.suppress(ConnectionResetError):
            assert stream.recv(100) == b""
    assert relay.ask("GET", "/api/v1/status", tls=lenient(ssl.TLSVersion.TLSv1_3))[0] == 200


def test_a_second_handshake_on_a_connection_is_refused(relay: RelayProcess) -> None:
    """Renegotiation costs a server more than a client, and has confused both."""
    for port in ports(relay):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        with socket.create_connection(("127.0.0.1", port), 30) as stream:
            stream.setblocking(True)
            tls = SSL.Connection(context, stream)
            tls.set_connect_state()
            tls.do_handshake()
            assert tls.renegotiate()
            with pytest.raises(SSL.Error):
                tls.do_handshake()


@pytest.mark.parametrize(
    ("names", "days"),
    [(("127.0.0.1",), -1), (("relay.example",), 1), ((), 1)],
    ids=["expired", "of another host", "of no host"],
)
def test_no_client_tells_its_token_where_the_certificate_is_not_good(
    names: tuple[str, ...], days: float, tmp_path: Path
) -> None:
    key, certificate = make_identity(tmp_path, *names, days=days)
    with relay_process(tmp_path, config(key, certificate)) as relay:
        rest, hub = ports(relay)
        remote = RemoteClient(f"wss://127.0.0.1:{hub}", "one", token=TOKEN, ca_file=certificate)
        with pytest.raises(CloveError, match="certificate"):
            remote.connect()
        fleet = FleetClient(f"https://127.0.0.1:{rest}", TOKEN, ca_file=certificate)
        with pytest.raises(CloveError, match="certificate"):
            fleet.status()
        assert " 401 " not in relay.log
        assert "Traceback" not in relay.log
