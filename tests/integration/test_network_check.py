"""`clove doctor` says which way out there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from clove.cli.doctor import NETWORK_CHECK
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from clove.kernel.network_check import TRANSLATED, NetworkCheck
from clove.llm.options import DEFAULT_HOST
from clove.sharing.shares import Shares
from tests.connect_proxy import connect_proxy

PUBLIC = "93.184.216.34"


@implementer(IHostnameResolver)
class Names:
    """A resolver that knows some names."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = dict(known)

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *_: Any) -> Any:
        receiver.resolutionBegan(None)
        for address in self.known.get(hostName, ()):
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, portNumber))
        receiver.resolutionComplete()
        return receiver


async def found(
    known: Mapping[str, Sequence[str]], environ: dict[str, str] | None = None, **settings: Any
) -> dict[str, Any]:
    names = Names(**known)
    egress = EgressSettings(**settings)
    check = NetworkCheck(
        reactor,
        egress,
        environ or {},
        Lookups(names, Shares("names", "", 4), 8),
        WayOut(reactor, egress, names),
    )
    return {one["name"].removeprefix("way_out."): one for one in await check.findings()}


async def test_a_proxy_that_works_is_named() -> None:
    with connect_proxy() as proxy, connect_proxy() as server:
        there = ("127.0.0.1", server.port)
        proxy.hosts = {f"{PUBLIC}:443": there, f"{DEFAULT_HOST}:443": there}
        one = await found({DEFAULT_HOST: [PUBLIC]}, proxy=proxy.url)
        assert one["names"]["detail"] == f"{DEFAULT_HOST} is {PUBLIC}"
        assert one["proxy"]["available"]
        assert one["proxy"]["detail"] == f"{proxy.url} connects to {DEFAULT_HOST}:443"
        other = await found({}, proxy=proxy.url, proxy_resolves=True)
        assert other["names"]["detail"] == "the proxy looks them up"
        assert other["proxy"]["available"]


async def test_a_proxy_that_does_not_is_told_with_its_words() -> None:
    with connect_proxy() as proxy:
        proxy.credentials = "a:b"
        one = await found({DEFAULT_HOST: [PUBLIC]}, proxy=proxy.url)
        assert not one["proxy"]["available"]
        assert "407" in one["proxy"]["detail"]
        assert "proxy_credentials_file" in one["proxy"]["detail"]
        names = (await found({}, proxy=proxy.url))["names"]
        assert not names["available"]
        assert "egress.proxy_resolves" in names["remedy"]


async def test_a_proxy_of_the_environment_is_not_used_and_that_is_said() -> None:
    one = await found({}, {"https_proxy": "http://user:secret@proxy:1"})
    assert not one["proxy"]["available"]
    assert "https_proxy names one" in one["proxy"]["detail"]
    assert "[egress] proxy" in one["proxy"]["remedy"]
    assert "secret" not in json.dumps(one)
    assert (await found({}))["proxy"] == {
        "name": "way_out.proxy",
        "available": False,
        "detail": "none is configured",
        "remedy": "",
    }


async def test_nat64_is_found_and_compared_with_the_configuration() -> None:
    known = {TRANSLATED: ["192.0.0.170", "64:ff9b::c000:aa"]}
    assert "nat64" not in await found({})
    assert (await found(known))["nat64"]["available"]
    other = {TRANSLATED: ["2001:db8:64::c000:aa"]}
    one = (await found(other))["nat64"]
    assert not one["available"]
    assert one["remedy"] == 'set [egress] nat64 = "2001:db8:64::/96"'


def run(*words: str, prefix: Sequence[str] = ()) -> dict[str, Any]:
    ran = subprocess.run(
        [*prefix, sys.executable, "-P", "-m", NETWORK_CHECK, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()},
        check=False,
    )
    if prefix and ran.returncode:
        pytest.skip(f"no namespaces here: {ran.stderr[-200:]}")
    return {one["name"].removeprefix("way_out."): one for one in json.loads(ran.stdout)}


def test_a_host_without_a_network_is_told_what_that_means() -> None:
    one = run(prefix=["unshare", "--user", "--map-root-user", "--net"])
    for family in ("ipv4", "ipv6"):
        assert (one[family]["available"], one[family]["detail"]) == (False, "no route")
        assert "reach loopback alone" in one[family]["remedy"]
    assert not one["names"]["available"]


def test_a_configuration_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kernel.toml"
    path.write_text('[egress]\nca_file = "/nowhere.pem"\n')
    one = run(str(path))
    assert list(one) == ["configuration"]
    assert "egress.ca_file" in one["configuration"]["detail"]
