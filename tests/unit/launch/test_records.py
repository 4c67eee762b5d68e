"""Records of agents: written, read strictly, and started from anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clove.errors import InvalidRequest, LimitExceeded, Unavailable
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.program import ProgramRecord
from clove.kernel.launch.record import AgentRecord, read_record, write_record
from clove.kernel.launch.resource_limits import settle_limits
from clove.kernel.mounts.interpreter import Interpreter, Part
from clove.kernel.mounts.mount_request import Grants
from clove.policy import Level, for_level
from clove.sandbox.interface import ExitStatus
from tests.unit.launch.provisions import (
    BASE,
    ID,
    Fixture,
    Script,
    ignore_output,
    principal_of,
)


async def test_a_record_says_what_was_settled_and_starts_the_agent_anew(
    fixture: Fixture, script: Script
) -> None:
    asked = fixture.record(warm=False, args=["x"], env={"A": "b"}, restart_policy="always")
    first = await fixture.prepared(asked, script)
    record = first.record
    assert (record.uid, record.limits and record.limits.max_pids) == (BASE, 64)
    assert record.program is not None
    await fixture.provisioner.release(ID)
    again = read_record(write_record(record))
    assert again == record
    provision = await fixture.prepared(again)
    assert provision.record == record
    launched = await provision.launch(ignore_output, first=True)
    assert launched.spec.argv[-1] == "x"
    assert launched.spec.env["A"] == "b"
    launched.sandbox.done.callback(ExitStatus(code=0))
    await fixture.provisioner.release(ID)


async def test_a_record_has_the_permissions_of_now(fixture: Fixture, script: Script) -> None:
    record = fixture.record(warm=False)
    principal = principal_of(record)
    await fixture.provisioner.prepare(principal, record, script.find)
    principal.permissions = for_level(Level.READONLY)
    kept = fixture.provisioner.record_of(ID)
    assert kept is not None
    assert kept.permissions == for_level(Level.READONLY)
    await fixture.provisioner.release(ID)


@pytest.mark.parametrize("change", ["other", "gone", "link", "elsewhere"])
async def test_a_script_that_is_not_what_it_was_starts_nothing(
    fixture: Fixture, script: Script, change: str
) -> None:
    record = (await fixture.prepared(fixture.record(), script)).record
    assert record.program is not None
    await fixture.provisioner.release(ID)
    path = Path(script.path)
    if change == "other":
        path.write_text("print(2)\n")
    elif change == "gone":
        path.unlink()
    elif change == "link":
        path.rename(path.with_suffix(".old"))
        path.symlink_to(path.with_suffix(".old"))
    else:
        nowhere = record.program.__class__(path="/tmp/a.py", source="", digest="00")
        record = record.replace(program=nowhere)
    with pytest.raises(Unavailable, match="script"):
        await fixture.prepared(record)
    await fixture.provisioner.release(ID)
    assert fixture.left == []


async def test_a_record_without_a_program_starts_nothing(fixture: Fixture) -> None:
    with pytest.raises(InvalidRequest, match="names no program"):
        await fixture.prepared(fixture.record())
    await fixture.provisioner.release(ID)


async def test_a_record_is_of_one_user_id_and_waits_for_no_other(
    fixture: Fixture, script: Script
) -> None:
    record = (await fixture.prepared(fixture.record(), script)).record
    with pytest.raises(LimitExceeded, match="in use"):
        await fixture.prepared(record.replace(agent_id=6))
    with pytest.raises(Unavailable, match="none of those"):
        await fixture.prepared(record.replace(agent_id=7, uid=BASE - 1))
    for number in (ID, 6, 7):
        await fixture.provisioner.release(number)
    assert fixture.left == []


# reading


def changed(record: AgentRecord, change: Callable[[dict[str, Any]], None]) -> bytes:
    plain = msgspec.to_builtins(record)
    change(plain)
    return msgspec.json.encode(plain)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plain: plain.update(version=2), "version 2"),
        (lambda plain: plain.pop("version"), "version None"),
        (lambda plain: plain.update(colour="red"), "colour"),
        (lambda plain: plain["request"].update(colour="red"), "colour"),
        (lambda plain: plain["permissions"].update(can_fly=True), "permissions.can_fly"),
        (lambda plain: plain["grants"].update(execute=["/x"]), "grants.execute"),
        (lambda plain: plain["limits"].update(colour=1), "limits.colour"),
        (lambda plain: plain["program"].update(colour="red"), "colour"),
        (lambda plain: plain["program"]["interpreter"].update(colour=1), "interpreter.colour"),
        (
            lambda plain: plain["program"]["interpreter"]["parts"][0].update(colour=1),
            r"parts\[0\].colour",
        ),
        (lambda plain: plain.pop("family"), "family"),
        (lambda plain: plain.update(agent_id="five"), "agent_id"),
    ],
)
def test_what_is_not_known_in_a_record_is_an_error_with_words(
    fixture: Fixture, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    part = Part("/srv/python/bin", "/srv/python/bin", True, (1, 2))
    program = ProgramRecord(
        path="/a.py",
        source="/a.py",
        digest="00",
        interpreter=Interpreter("/srv/python/bin/p", "/srv/python/bin/p", parts=(part,)),
    )
    limits = settle_limits(None, AgentLimits())
    whole = fixture.record().replace(program=program, grants=Grants(("/a",)), limits=limits)
    assert read_record(write_record(whole)) == whole
    with pytest.raises(InvalidRequest, match=words):
        read_record(changed(whole, change))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_record_is_an_error(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_record(text)
