"""Machines: list, register, change, remove."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clove.errors import LimitExceeded
from clove.loop.slices import in_slices
from clove.relay.absent import no_machine
from clove.relay.machines.machines import visible_to
from clove.relay.machines.presence import Presence
from clove.relay.records import MachineRecord, TokenKind
from clove.relay.rest.context import Context, shown_time
from clove.relay.rest.problems import Answer
from clove.relay.rest.route import Call
from clove.relay.rest.types import Machine, MachineFlag, Registered, Removed
from clove.relay.store.interface import MachineChanges

__all__ = ["add_machine", "change_machine", "get_machine", "list_machines", "remove_machine"]

ENCODED_TOGETHER: Final = 32
"""Machines of a page that are encoded in one turn of the reactor."""


async def list_machines(context: Context, call: Call) -> Answer:
    """Those that the bearer may see, as L{Machines<clove.relay.rest.types.Machines>}; encoded in slices, since the reports of many are long."""
    page = call.query
    found = await context.machines.page(visible_to(call.identity), page.after, page.limit + 1)
    more = len(found) > page.limit
    records = found[: page.limit]
    presences = await context.machines.presences([record.machine_id for record in records])
    shown: list[msgspec.Raw] = []
    async for some in in_slices(records, context.clock, ENCODED_TOGETHER):
        for record in some:
            machine = _machine(record, presences.get(record.machine_id))
            shown.append(msgspec.Raw(msgspec.json.encode(machine)))
    reply = {"machines": shown, "next": records[-1].machine_id if more else ""}
    return Answer(200, {"Content-Type": "application/json"}, msgspec.json.encode(reply))


async def get_machine(context: Context, call: Call) -> Machine:
    """One that the bearer may see; of others it is not told whether they are there."""
    record = await context.machines.get(call.path["machine_id"])
    if not visible_to(call.identity).include(record.machine_id, record.labels):
        raise no_machine()
    return (await _shown(context, [record]))[0]


async def add_machine(context: Context, call: Call) -> Registered:
    """A new machine with a token for its tunnel."""
    new = call.body
    _check_metadata(context, new.metadata)
    text, token = context.tokens.make(TokenKind.MACHINE, machine_id=new.machine_id, name=new.name)
    record = MachineRecord(
        machine_id=new.machine_id,
        name=new.name,
        provider=new.provider,
        labels=new.labels,
        metadata=new.metadata,
        created=token.created,
    )
    await context.machines.add(record, token)
    return Registered(
        machine_id=new.machine_id,
        token=text,
        token_id=token.id,
        created_at=shown_time(record.created),
    )


async def change_machine(context: Context, call: Call) -> Machine:
    """Rename, label or drain one."""
    if call.body.metadata is not None:
        _check_metadata(context, call.body.metadata)
    changes = MachineChanges(**msgspec.structs.asdict(call.body))
    record = await context.machines.change(call.path["machine_id"], changes)
    return (await _shown(context, [record]))[0]


async def remove_machine(context: Context, call: Call) -> Removed:
    """Forget one; its tunnel ends, its key and tokens are not valid any more."""
    await context.machines.remove(call.path["machine_id"])
    return Removed(machine_id=call.path["machine_id"])


def _check_metadata(context: Context, metadata: object) -> None:
    if len(msgspec.json.encode(metadata)) > context.limits.metadata:
        raise LimitExceeded(
            f"the metadata has more than {context.limits.metadata} bytes as JSON",
            hint="keep it elsewhere, and its address here",
        )


async def _shown(context: Context, records: list[MachineRecord]) -> list[Machine]:
    presences = await context.machines.presences([record.machine_id for record in records])
    return [_machine(record, presences.get(record.machine_id)) for record in records]


def _machine(record: MachineRecord, found: tuple[Presence, float] | None) -> Machine:
    presence, since = found or ("disconnected", record.last_seen)
    report: Any = record.isolation  # JSON of an object, which is encoded as it is
    return Machine(
        machine_id=record.machine_id,
        name=record.name,
        provider=record.provider,
        status="disconnected" if presence == "disconnected" else "connected",
        presence=presence,
        presence_since=shown_time(since),
        ip_address=record.address,
        created_at=shown_time(record.created),
        last_seen=shown_time(record.last_seen),
        metadata=record.metadata,
        labels=record.labels,
        versions=record.versions,
        isolation=report,
        has_key=record.public_key is not None,
        draining=record.draining,
        flags=[MachineFlag(what=flag.what, at=shown_time(flag.at)) for flag in record.flags],
    )
