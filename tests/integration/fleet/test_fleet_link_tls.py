"""The link between relays over TLS: the other's certificate is checked, and the name in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.fleet.two_relays import Relays, two_relays
from tests.postgresql import PostgreSQL
from tests.tls_identity import make_identity


@contextlib.contextmanager
def secured(
    postgresql: PostgreSQL, directory: Path, *, host: str = "127.0.0.1", trusted: bool = True
) -> Iterator[Relays]:
    """Two relays with a certificate for 127.0.0.1.

    @param host: by which they say that they are reached.
    @param trusted: they know the authority that has signed it.
    """
    key, certificate = make_identity(directory, "127.0.0.1")
    Path(key).chmod(0o600)
    tls = f'\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    link = f'\n[link]\nport = 0\nurl = "wss://{host}"\n'
    if trusted:
        link += f'ca_file = "{certificate}"\n'
    with two_relays(postgresql, tls, link, certificate) as both:
        both[0].join("one", f'ca_file = "{certificate}"')
        yield both


def test_a_caller_at_the_other_relay_goes_by_tls(postgresql: PostgreSQL, tmp_path: Path) -> None:
    with secured(postgresql, tmp_path) as (first, second):
        token = first.agent_token("one")
        with RemoteClient(second.url, "one", token=token, ca_file=second.ca_file) as client:
            assert client.noop(bytes(200_000)) == bytes(200_000)
        assert "(wss://127.0.0.1:" in second.log


@pytest.mark.parametrize(
    "given", [{"host": "localhost"}, {"trusted": False}], ids=["host", "authority"]
)
def test_a_relay_with_a_certificate_for_another_is_not_spoken_to(
    postgresql: PostgreSQL, tmp_path: Path, given: dict[str, object]
) -> None:
    with secured(postgresql, tmp_path, **given) as (first, second):  # type: ignore[arg-type] # parameters
        token = first.agent_token("one")
        client = RemoteClient(second.url, "one", token=token, ca_file=second.ca_file)
        with pytest.raises(CloveError) as refused:
            client.connect()
        assert refused.value.code == "unavailable"
        assert "certificate" in str(refused.value)
        assert "is not reached" in second.log
        with RemoteClient(first.url, "one", token=token, ca_file=first.ca_file) as near:
            near.noop()
