"""Which addresses of a relay a deployment takes, and from where they lead there."""

from __future__ import annotations

import pytest

from clove.deploy.addresses import check_hub, check_reachable, is_loopback
from clove.errors import InvalidRequest


@pytest.mark.parametrize(
    "hub", ["wss://relay.example.org:8765", "wss://relay.example.org", "ws://[::1]:8765/"]
)
def test_addresses_of_websockets_are_taken(hub: str) -> None:
    assert check_hub(hub) == hub


@pytest.mark.parametrize(
    "hub",
    [
        *("", "relay.example.org", "https://relay.example.org", "wss://", "wss://["),
        *("wss://h:99999", "wss://h:0", "wss://h:1 2", "wss://ann@h", "wss://h/more", "wss://h\n"),
    ],
)
def test_other_texts_are_refused_with_an_example(hub: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_hub(hub)
    assert "--hub wss://relay.example.org:8765" in refused.value.hint


@pytest.mark.parametrize(
    ("hub", "said"),
    [
        ("wss://127.0.0.2:8765", "a pod cannot reach the relay"),
        ("wss://[::1]:8765", "a pod cannot reach the relay"),
        ("wss://localhost:8765", "a pod cannot reach the relay"),
        ("wss://0.0.0.0:8765", "a pod cannot reach the relay"),
        ("ws://relay.example.org:8765", "without TLS"),
    ],
)
def test_a_machine_elsewhere_needs_another_address_than_this_machines_and_tls(
    hub: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        check_reachable(hub, "a pod")
    check_reachable("wss://relay.example.org:8765", "a pod")


def test_an_address_that_only_looks_like_loopback_is_not() -> None:
    assert is_loopback("ws://127.0.0.1:1")
    assert not is_loopback("ws://127.example.org:1")
