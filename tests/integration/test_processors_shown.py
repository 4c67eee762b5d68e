"""Agents run on few processors of a large host, so that what makes threads by their number makes few."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Host, host

COUNTED = "import os; found = len(os.sched_getaffinity(0))"
COMMAND = "import subprocess; found = int(subprocess.check_output(['nproc']))"

SYSCALL = "from clove import CloveClient; found = int(CloveClient().exec('nproc')['stdout'])"


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def narrow(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(request.param, "[limits.agents]\nprocessors = 1\n") as running:
        yield running


@pytest.mark.parametrize("how", ["warm", "cold", "unsandboxed"])
def test_an_agent_runs_on_as_many_as_the_configuration_says(narrow: Host, how: str) -> None:
    fields = {"sandboxed": False} if how == "unsandboxed" else {"warm": how == "warm"}
    with narrow.emptied():
        agent = narrow.spawn("unrestricted", **fields)
        assert [agent.ask("run", one) for one in (COUNTED, COMMAND, SYSCALL)] == [1, 1, 1]


def test_a_larger_quota_gets_more(narrow: Host) -> None:
    limits = {"cpu_quota": 200_000, "cpu_period": 100_000}
    with narrow.emptied():
        agent = narrow.spawn("standard", limits=limits, degrade=["limits"])
        assert agent.ask("run", COUNTED) == min(2, len(os.sched_getaffinity(0)))
