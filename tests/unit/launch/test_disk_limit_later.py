"""The limit of a workspace is made for an agent that has one, when it has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from clove.errors import Unavailable
from clove.kernel.launch.limits import AgentLimits
from clove.messages.agents import LimitsRequest
from clove.sandbox.interface import REMARK, ExitStatus
from tests.unit.launch.provisions import ID, Fixture, Script


async def test_an_agent_without_a_limit_has_nothing_that_watches_its_workspace(
    fixture: Fixture, script: Script
) -> None:
    await fixture.prepared(fixture.record(warm=False), script)
    assert fixture.asked_for_disks == 0
    await fixture.provisioner.release(ID)


async def test_a_limit_that_comes_later_is_watched_says_so_in_the_log_and_ends_the_agent(
    fixture: Fixture, script: Script
) -> None:
    provision = await fixture.prepared(fixture.record(warm=False), script)
    ended: Deferred[None] = Deferred()
    said: list[tuple[int, bytes]] = []
    launched = await provision.launch(lambda stream, data: said.append((stream, data)), first=True)
    assert "disk" not in launched.isolation
    provision.end = lambda: ended.callback(None)
    assert await provision.update_limits(LimitsRequest(disk=4096), ()) == (
        frozenset({"disk"}),
        frozenset({"disk"}),
    )
    workspace = Path(fixture.state_dir.path, f"agents/{ID}/workspace")
    workspace.joinpath("big").write_bytes(b"x" * 100_000)
    fixture.clock.advance(AgentLimits().disk_interval)
    await ended
    [(stream, line)] = said
    assert stream == REMARK
    assert b"over its disk limit of 4096 bytes" in line
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    assert not fixture.clock.getDelayedCalls()


async def test_a_limit_that_comes_after_the_agent_has_ended_watches_nothing(
    fixture: Fixture, script: Script
) -> None:
    provision = await fixture.prepared(fixture.record(warm=False), script)
    launched = await provision.launch(lambda stream, data: None, first=True)
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    with pytest.raises(Unavailable, match="has ended"):
        await provision.update_limits(LimitsRequest(disk=4096), ())
    assert fixture.asked_for_disks == 0
    assert not fixture.clock.getDelayedCalls()


async def test_a_limit_that_an_agent_begins_with_is_made_with_its_workspace(
    fixture: Fixture, script: Script
) -> None:
    record = fixture.record(warm=False, limits=LimitsRequest(disk=1 << 20))
    provision = await fixture.prepared(record, script)
    assert fixture.asked_for_disks == 1
    launched = await provision.launch(lambda stream, data: None, first=True)
    assert launched.isolation["disk"] in ("quota", "watched")
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    assert fixture.left == []
