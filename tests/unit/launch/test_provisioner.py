"""The provisioner by itself: what it makes for an agent, and takes away again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.errors import IsolationUnavailable, Unavailable
from clove.kernel.network.published import ports
from clove.messages.agents import LimitsRequest
from clove.messages.publishing import PublishRequest
from clove.sandbox.interface import ExitStatus
from tests.unit.launch.provisions import (
    BASE,
    ID,
    Child,
    Fixture,
    Refusing,
    Script,
    ignore_output,
    principal_of,
)


async def test_an_agent_gets_all_that_its_sandbox_shows_and_release_takes_it_away(
    fixture: Fixture, script: Script
) -> None:
    provision = await fixture.prepared(fixture.record(warm=False), script)
    copy = Path(fixture.state_dir.path, f"agents/{ID}/app/a.py")
    assert copy.read_bytes() == script.text
    assert fixture.sockets == {fixture.state_dir.socket(ID)}
    assert script.closed == 1
    launched = await provision.launch(ignore_output, first=True)
    assert launched.cgroup == f"/cgroup/{ID}"
    assert launched.spec.cgroup_procs == (f"/cgroup/{ID}/cgroup.procs",)
    assert launched.isolation["cgroups"]["memory_limit"]
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    assert fixture.left == []
    await fixture.provisioner.release(ID)
    assert fixture.provisioner.record_of(ID) is None


async def test_what_an_agent_may_see_next_waits_for_its_next_start(
    fixture: Fixture, script: Script
) -> None:
    record = fixture.record(warm=False, network=True)
    principal = principal_of(record)
    provision = await fixture.provisioner.prepare(principal, record, script.find)
    launched = await provision.launch(ignore_output, first=True)
    assert principal.view is launched.sandbox
    fixture.launcher.error = Unavailable("no more of it")
    with pytest.raises(Unavailable):
        await provision.launch(ignore_output, first=False)
    assert principal.view is None
    assert len(fixture.gateways) == 1  # of the first, which still runs
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    assert fixture.left == []


async def test_an_agent_without_network_has_no_gateway(fixture: Fixture, script: Script) -> None:
    provision = await fixture.prepared(fixture.record(warm=False), script)
    launched = await provision.launch(ignore_output, first=True)
    assert fixture.gateways == []
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)


async def test_a_restart_continues_what_was_paused_when_it_ended(
    fixture: Fixture, script: Script
) -> None:
    provision = await fixture.prepared(fixture.record(warm=False), script)
    for first in (True, False):
        launched = await provision.launch(ignore_output, first=first)
        launched.sandbox.done.callback(ExitStatus(code=0))
    assert fixture.cgroups.made[ID].told == ["thaw"]
    await fixture.provisioner.release(ID)


async def test_a_preforked_child_becomes_the_agent_and_each_restart_forks_one(
    fixture: Fixture, script: Script
) -> None:
    fixture.launcher.pool = [preforked := Child()]
    provision = await fixture.prepared(fixture.record(), script)
    assert [bind.target for bind in preforked.opened] == ["/app", "/workspace", "/tmp/clove.sock"]
    for first in (True, False):
        launched = await provision.launch(ignore_output, first=first)
        launched.sandbox.done.callback(ExitStatus(code=0))
    assert [child for _, child in fixture.launcher.launched] == [
        preforked,
        *fixture.launcher.forked,
    ]
    assert len(fixture.launcher.forked) == 1
    await fixture.provisioner.release(ID)
    assert preforked.abandoned == 0


async def test_a_script_that_is_no_text_starts_cold_and_its_child_ends(fixture: Fixture) -> None:
    fixture.launcher.pool = [preforked := Child()]
    archive = Script(f"{fixture.directory}/a.pyz", b"PK\0\0")
    provision = await fixture.prepared(fixture.record(), archive)
    await provision.launch(ignore_output, first=True)
    assert (preforked.abandoned, fixture.launcher.launched[0][1]) == (1, None)
    await fixture.provisioner.release(ID)


async def test_a_child_that_is_not_needed_ends(fixture: Fixture, script: Script) -> None:
    fixture.launcher.pool = [preforked := Child()]
    await fixture.prepared(fixture.record(), script)
    await fixture.provisioner.release(ID)
    assert preforked.abandoned == 1
    assert fixture.left == []


async def test_one_that_may_have_one_process_alone_is_not_forked(
    fixture: Fixture, script: Script
) -> None:
    await fixture.prepared(fixture.record(limits=LimitsRequest(max_pids=1)), script)
    assert fixture.launcher.forked == []
    await fixture.provisioner.release(ID)


@pytest.mark.parametrize("step", ["find", "listen", "cgroup", "load"])
async def test_whatever_fails_release_takes_the_rest_away(
    fixture: Fixture, script: Script, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise Unavailable("not here")

    async def fail_later(*_: Any) -> Any:
        fail()

    if step == "find":
        monkeypatch.setattr(script, "find", fail_later)
    elif step == "listen":
        fixture.sockets = Refusing()
    elif step == "cgroup":
        fixture.cgroups.error = OSError(28, "No space left on device")
    else:
        monkeypatch.setattr(script, "load", fail)
    with pytest.raises(Unavailable):
        await fixture.prepared(fixture.record(), script)
    await fixture.provisioner.release(ID)
    assert fixture.left == []
    assert fixture.leases.lease(2 * ID) == BASE


@pytest.mark.parametrize("stays", [False, True], ids=["removed", "left"])
async def test_a_user_id_is_given_back_when_nothing_of_its_holder_is_left(
    fixture: Fixture, script: Script, stays: bool
) -> None:
    await fixture.prepared(fixture.record(), script)
    cgroup = fixture.cgroups.made[ID]
    if stays:
        cgroup.error = OSError(16, "Device or resource busy")
    await fixture.provisioner.release(ID)
    await fixture.provisioner.release(ID)
    assert fixture.leases.lease(2 * ID) == BASE + int(stays)


async def test_a_dry_run_gets_a_sandbox_like_the_agents_without_what_names_it(
    fixture: Fixture, script: Script
) -> None:
    record = fixture.record(warm=False)
    principal = principal_of(record)
    with pytest.raises(Unavailable):
        await fixture.provisioner.clone(principal, 1 << 40)
    provision = await fixture.provisioner.prepare(principal, record, script.find)
    launched = await provision.launch(ignore_output, first=True)
    clone = await fixture.provisioner.clone(principal, 1 << 40)
    assert clone.spec.cgroup_procs == (f"/cgroup/{1 << 40}/cgroup.procs",)
    assert {bind.target for bind in launched.spec.binds} - {
        bind.target for bind in clone.spec.binds
    } == {"/tmp/clove.sock"}
    assert "CLOVE_AGENT_ID" not in clone.spec.env
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    assert fixture.leases.lease(2 * ID) == BASE + 1  # the dry run still has it
    await fixture.provisioner.release(1 << 40)
    assert fixture.leases.lease(3 * ID) == BASE
    assert fixture.left == []


async def test_an_agent_that_ends_while_its_limits_change_is_said_to_have_ended(
    fixture: Fixture, script: Script
) -> None:
    provision = await fixture.prepared(fixture.record(warm=False), script)
    fixture.cgroups.limit = lambda cgroup, limits: cgroup  # type: ignore[attr-defined]
    updating = Deferred.fromCoroutine(provision.update_limits(LimitsRequest(cpu_shares=512), []))
    await fixture.provisioner.release(ID)
    with pytest.raises(Unavailable, match="has ended"):
        await updating
    assert fixture.left == []


async def test_on_a_linux_too_old_to_publish_ports_an_agent_without_them_starts(
    fixture: Fixture, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def require_cookies() -> int:
        raise IsolationUnavailable("ports can be published from Linux 5.14 on")

    monkeypatch.setattr(ports, "require_cookies", require_cookies)
    provision = await fixture.prepared(fixture.record(warm=False), script)
    launched = await provision.launch(ignore_output, first=True)
    with pytest.raises(IsolationUnavailable):
        provision.open_ports().publish([PublishRequest(port=80)])
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)
    with pytest.raises(Unavailable):
        provision.open_ports().publish([PublishRequest(port=80)])
