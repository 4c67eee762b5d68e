"""Whence a request came, where a proxy hands it on, and whatever a client has put into the headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest
from clove.relay.forwarded import Proxies

PROXIES = Proxies(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "forwarded", "client"),
    [
        # nobody but a proxy is believed
        ("198.51.100.1", ["203.0.113.1"], [], "198.51.100.1"),
        ("198.51.100.1", [], ["for=203.0.113.1"], "198.51.100.1"),
        ("192.0.2.8", ["203.0.113.1"], [], "192.0.2.8"),
        # one that says nothing is the client
        ("10.0.0.1", [], [], "10.0.0.1"),
        # the right-most hop that is not trusted, not what the client has written before it
        ("10.0.0.1", ["203.0.113.1"], [], "203.0.113.1"),
        ("10.0.0.1", ["127.0.0.1, 203.0.113.1"], [], "203.0.113.1"),
        ("10.0.0.1", ["127.0.0.1", "203.0.113.1"], [], "203.0.113.1"),
        ("10.0.0.1", ["127.0.0.1, 203.0.113.1, 10.9.9.9, 192.0.2.7"], [], "203.0.113.1"),
        ("::ffff:10.0.0.1", ["203.0.113.1"], [], "203.0.113.1"),
        ("10.0.0.1", ["::ffff:203.0.113.1"], [], "203.0.113.1"),
        ("2001:db8:ffff::1", ["2001:db8::1"], [], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], [], "2001:db8::1"),
        ("10.0.0.1", ["203.0.113.1:4711"], [], "203.0.113.1"),
        ("10.0.0.1", [], ["for=203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", [], ['For="[2001:db8::1]:4711";proto=https;by=10.0.0.1'], "2001:db8::1"),
        ("10.0.0.1", [], ["for=127.0.0.1", "for=203.0.113.1;host=x, for=10.1.1.1"], "203.0.113.1"),
        ("10.0.0.1", [], ['for="203.0.113.1\\""'], "10.0.0.1"),
        # what is not understood counts as the proxy that said it
        ("10.0.0.1", ["unknown"], [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1, unknown, 10.0.0.2"], [], "10.0.0.2"),
        ("10.0.0.1", ["203.0.113.1, "], [], "10.0.0.1"),
        ("10.0.0.1", [], ["for=_hidden"], "10.0.0.1"),
        ("10.0.0.1", [], ["for=unknown, for=10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [], ["proto=https"], "10.0.0.1"),
        ("10.0.0.1", [], ["for=1.1.1.1;for=203.0.113.1"], "10.0.0.1"),
        ("10.0.0.1", [", ".join(["203.0.113.1"] * 65)], [], "10.0.0.1"),
        # an open quotation mark of the client's swallows nothing of the proxy's
        ("10.0.0.1", [], ['for="1.1.1.1', "for=203.0.113.1"], "10.0.0.1"),
        ("10.0.0.1", [], ['for=1.1.1.1;x="', 'for="203.0.113.1"'], "10.0.0.1"),
        # a header that the proxy does not write is the client's: both have to say the same
        ("10.0.0.1", ["203.0.113.1"], ["for=1.1.1.1"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], ["for=203.0.113.1"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.1"], ["for=203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", ["203.0.113.1"], ["broken"], "10.0.0.1"),
    ],
)
def test_the_client_is_the_first_hop_that_is_not_trusted(
    peer: str, forwarded_for: list[str], forwarded: list[str], client: str
) -> None:
    assert PROXIES.client(peer, forwarded_for, forwarded) == client


lines = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.lists(
            st.sampled_from(
                ["for=", "by=", '"', "\\", ",", ";", " ", "1.1.1.1", "[::1]", "unknown", ":1"]
            ),
            max_size=12,
        ).map("".join),
    ),
    max_size=4,
)


@given(lines)
def test_whatever_a_client_sends_does_not_hide_where_it_came_from(sent: list[str]) -> None:
    """A proxy adds its own hop behind it: the client is that, or counts as the proxy."""
    assert PROXIES.client("10.0.0.1", [*sent, "203.0.113.1"]) == "203.0.113.1"
    assert PROXIES.client("10.0.0.1", [", ".join([*sent, "203.0.113.1"])]) == "203.0.113.1"
    for own in (
        "for=203.0.113.1",
        'for="203.0.113.1:99"',
        "by=10.0.0.1;for=203.0.113.1;proto=http",
    ):
        assert PROXIES.client("10.0.0.1", (), [*sent, own]) in ("203.0.113.1", "10.0.0.1")
        assert PROXIES.client("10.0.0.1", sent, [own]) in ("203.0.113.1", "10.0.0.1")


@pytest.mark.parametrize("wrong", ["x", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_what_is_no_network_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequest, match="no network"):
        Proxies([wrong])
