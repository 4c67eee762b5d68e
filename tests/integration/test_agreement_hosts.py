"""One policy, two enforcers: each host through HTTP and by connect(2), in the same agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agreement_hosts import CONFIG, KNOWN, PLACES, POLICIES, TRY
from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.integration.gateway_upstream import Upstream, upstream
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[tuple[Host, Upstream]]:
    with host(str(request.param), CONFIG) as running, upstream(running.kernel.directory) as servers:
        yield running, servers


def filled(value: Any, servers: Upstream) -> Any:
    """A part of the tables with the ports of the servers in it."""
    text = json.dumps(value)
    for name, server in (
        ("PLAIN", servers.plain),
        ("SECURE", servers.secure),
        ("LINES", servers.lines),
    ):
        text = text.replace(f'"{name}"', str(server.port)).replace(name, str(server.port))
    return json.loads(text)


@pytest.mark.parametrize("policy", POLICIES)
def test_both_doors_agree_on_hosts(here: tuple[Host, Upstream], policy: str) -> None:
    running, servers = here
    agent = running.spawn(filled(POLICIES[policy], servers), network=True)
    try:
        found = agent.ask("run", f"PLACES = {filled(PLACES, servers)!r}\n{TRY}")
        assert isinstance(found, dict), found
        differing = {name for name, (syscall, direct) in found.items() if syscall != direct}
        assert differing == set(KNOWN.get(policy, {}))
    finally:
        running.client.kill(agent.id)


def test_what_is_allowed_is_reached_by_both(here: tuple[Host, Upstream]) -> None:
    """Two doors that are shut agree as well."""
    running, servers = here
    agent = running.spawn(filled(POLICIES["api"], servers), network=True)
    place = {"api": filled(PLACES["api"], servers)}
    assert agent.ask("run", f"PLACES = {place!r}\n{TRY}") == {"api": [True, True]}
    running.client.kill(agent.id)


def test_every_known_difference_of_hosts_is_described() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "agreement.md").read_text()
    for name in {name for differences in KNOWN.values() for name in differences.values()}:
        assert f"| `{name}` |" in text
