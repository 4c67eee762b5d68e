"""What an agent is started from, as it is written down: in JSON, strictly read. Pure.

A record says all that SPAWN settled: the request, the permissions that came of it, ids, limits,
and which program runs. A L{clove.kernel.launch.provisioner.Provisioner} starts the agent anew from
it alone, in this kernel or in another one of the same host.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clove.errors import InvalidRequest
from clove.kernel.launch.program import ProgramRecord
from clove.kernel.launch.resource_limits import ResourceLimits
from clove.kernel.mounts.mount_request import Grants
from clove.messages.agents import SecretValue, SpawnRequest
from clove.policy import Permissions

__all__ = ["VERSION", "AgentRecord", "read_record", "write_record"]

VERSION: Final = 1


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent.

    @ivar version: of this form.
    @ivar request: what SPAWN asked for: name, arguments, environment, isolation, restart policy.
    @ivar permissions: what came of it, within its parent's.
    @ivar ancestors: see L{clove.kernel.principal.Principal}, as of C{agent_id} and C{family}.
    @ivar network: it may connect to hosts itself.
    @ivar grants: paths of the host that its parent granted by name; None outside of sandboxes.
    @ivar limits: within its parent's; None before they are settled.
    @ivar uid: the user id that it runs under; None: the kernel's, or not leased yet.
    @ivar program: None until it is found.
    """

    version: int = VERSION
    agent_id: int
    ancestors: tuple[int, ...]
    family: int
    request: SpawnRequest
    permissions: Permissions
    network: bool
    grants: Grants | None = None
    limits: ResourceLimits | None = None
    uid: int | None = None
    program: ProgramRecord | None = None

    def replace(self, **changes: Any) -> AgentRecord:
        """The same with other values."""
        return msgspec.structs.replace(self, **changes)


def write_record(record: AgentRecord) -> bytes:
    """A record as a JSON object, in one line; of secrets the names alone."""
    request = record.request
    if request.secrets:
        named = {name: SecretValue(file=one.file) for name, one in request.secrets.items()}
        record = record.replace(request=msgspec.structs.replace(request, secrets=named))
    return msgspec.json.encode(record)


def read_record(text: bytes) -> AgentRecord:
    """A record from what L{write_record} made.

    @raise InvalidRequest: it is no record, of another version, or has a field that is not known.
    """
    try:
        plain = msgspec.json.decode(text)
        version = plain.get("version") if isinstance(plain, dict) else None
        if version != VERSION:
            raise InvalidRequest(
                f"the record of an agent has version {version!r}, and not {VERSION}",
                hint="read it with the release of Clove that wrote it",
            )
        record = msgspec.json.decode(text, type=AgentRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"this is no record of an agent: {error}") from None
    unknown = _unknown(plain, msgspec.to_builtins(record), "")
    if unknown:
        raise InvalidRequest(f"the record of an agent has a field that is not known: {unknown}")
    return record


def _unknown(given: Any, known: Any, where: str) -> str:
    """The path of the first name that is in one and not in the other; "" if there is none."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            path = f"{where}.{name}" if where else name
            found = path if name not in known else _unknown(value, known[name], path)
            if found:
                return found
    elif isinstance(given, list) and isinstance(known, (list, tuple)):
        for number, (value, other) in enumerate(zip(given, known, strict=False)):
            if found := _unknown(value, other, f"{where}[{number}]"):
                return found
    return ""
