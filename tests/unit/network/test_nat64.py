from __future__ import annotations

import pytest

from clove.errors import InvalidRequest
from clove.kernel.network.nat64 import WELL_KNOWN, Nat64, prefix_in

TABLE = [
    ("2001:db8::/32", "2001:db8:808:808::"),
    ("2001:db8:100::/40", "2001:db8:108:808:8::"),
    ("2001:db8:122::/48", "2001:db8:122:808:8:800::"),
    ("2001:db8:122:300::/56", "2001:db8:122:308:8:808::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:8:808:800:0"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::808:808"),
    (WELL_KNOWN, "64:ff9b::808:808"),
]
"""RFC 6052, 2.4, with 8.8.8.8 for its 192.0.2.33, which is not public."""


@pytest.mark.parametrize(("prefix", "address"), TABLE)
def test_addresses_are_translated_both_ways(prefix: str, address: str) -> None:
    nat64 = Nat64(prefix)
    assert nat64.to_ipv6("8.8.8.8") == address
    assert nat64.to_ipv4(address) == "8.8.8.8"


def test_what_the_rfc_has_as_an_example_is_read() -> None:
    assert Nat64("2001:db8:122:300::/56").to_ipv4("2001:db8:122:3c0:0:221::") == "192.0.2.33"
    assert Nat64("2001:db8:122::/48").to_ipv4("2001:db8:122:c000:2:2100::") == "192.0.2.33"


def test_other_addresses_stand_for_themselves() -> None:
    nat64 = Nat64(WELL_KNOWN)
    for address in ("8.8.8.8", "2001:4860::1", "64:ff9b:1::808:808", "::1", "no address:"):
        assert nat64.to_ipv4(address) == address


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "x"])
def test_only_public_addresses_are_reached_by_it(address: str) -> None:
    assert Nat64(WELL_KNOWN).to_ipv6(address) is None


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("64:ff9b::c000:aa", WELL_KNOWN),
        ("64:ff9b::192.0.0.171", WELL_KNOWN),
        ("2001:db8:122:344:c0:0:aa00:0", "2001:db8:122:344::/64"),
        ("2001:db8:c000:aa::", "2001:db8::/32"),
        ("2001:4860::1", ""),
        ("192.0.0.170", ""),
    ],
)
def test_a_networks_prefix_is_found_in_what_it_answers(address: str, prefix: str) -> None:
    assert prefix_in(["192.0.0.170", address]) == prefix


@pytest.mark.parametrize("prefix", ["64:ff9b::/95", "64:ff9b::1/96", "10.0.0.0/8", "x", "::/128"])
def test_a_prefix_that_no_network_has_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidRequest):
        Nat64(prefix)
