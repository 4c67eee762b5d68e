"""Spawning what `clove run` starts: under a free name, with its directory if that can be."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from clove.cli.run_program import Program
from clove.cli.text import default_name
from clove.errors import (
    AlreadyExists,
    CloveError,
    IsolationUnavailable,
    NotFound,
    PermissionDenied,
)

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient
    from clove.client.results import SpawnReply

__all__ = ["remark_on_owners", "spawn_program"]

NAMES_TO_TRY: Final = 20
_OTHERS: Final = stat.S_IROTH | stat.S_IXOTH


def spawn_program(
    client: CloveClient, program: Program, name: str | None, fields: Mapping[str, Any]
) -> tuple[SpawnReply, str]:
    """Spawn it; gives SPAWN's reply, and what is to be said about it.

    A script whose directory cannot come along runs without: the kernel copies the file.

    @param name: None: one like the program's that is free.
    @raise CloveError: it does not run.
    """
    if program.left_out and program.script:
        return _spawn_alone(client, program, name, fields, program.left_out)
    whole = dict(fields)
    if program.neighbours:
        whole["mounts"] = [*(fields["mounts"] or ()), {"path": program.neighbours}]
    try:
        reply = _spawn_named(client, name, program.stem, command=program.command, **whole)
    except (IsolationUnavailable, PermissionDenied) as error:
        if not (program.neighbours and program.script) or not _is_about_reading(error):
            raise
        return _spawn_alone(client, program, name, fields, error.message)
    except NotFound as error:
        if error.message.startswith("no such program") and fields["sandboxed"]:
            error.hint = error.hint or "a sandbox has the system's programs and what --dir gives it"
        raise
    if not _is_closed(client, program, reply):
        mounts = fields["mounts"] or ()
        remarks = (_remark_on_read_only(reply, mounts), remark_on_owners(reply, mounts))
        return reply, "; ".join(filter(None, remarks))
    client.kill(reply["agent_id"])
    reason = f"others may not read {program.neighbours}, and agents of root's kernel are others"
    if not program.script:
        hint = "let others read it (chmod -R o+rX), or keep it where its owner can be mapped"
        raise PermissionDenied(reason, rule="os", hint=hint)
    return _spawn_alone(client, program, name, fields, reason)


def _is_about_reading(error: CloveError) -> bool:
    """It says that a directory cannot be shown: by this host, by modes of files, or to this level."""
    if not isinstance(error, PermissionDenied):
        return True
    return error.rule == "os" or "can_read" in (error.hint or "")


def _remark_on_read_only(reply: Mapping[str, Any], mounts: Sequence[Mapping[str, Any]]) -> str:
    """Which directories cannot be written though it was asked for: they are the kernel's; else ""."""
    if not reply["isolation"]["namespaces"]["mnt"]:
        return ""
    shown = reply["isolation"].get("exposed", {}).get("write", [])
    asked = [mount["path"] for mount in mounts if mount.get("writable")]
    lost = [one for one in asked if not any(f"{one}/".startswith(f"{each}/") for each in shown)]
    return "; ".join(
        f"{path} is a part of the kernel or of Python and stays read-only" for path in lost
    )


def remark_on_owners(reply: Mapping[str, Any], mounts: Sequence[Mapping[str, Any]]) -> str:
    """Why files of granted directories are not the agent's, under a root kernel; else "".

    @param mounts: those that were asked for by name.
    """
    kept = reply["isolation"].get("owners", {}).get("kept", {})
    asked = [mount["path"] for mount in mounts if mount["path"] in kept]
    return "; ".join(f"the files in {path} are not the agent's: {kept[path]}" for path in asked)


def _is_closed(client: CloveClient, program: Program, reply: Mapping[str, Any]) -> bool:
    """Its directory is there, but its user may not read what is in it.

    Agents of a root kernel have users of their own, who have the owner's rights where the file
    system can map owners (`isolation.owners`).
    """
    mapped = reply["isolation"].get("owners", {}).get("mapped", {})
    if (
        not program.neighbours
        or program.neighbours in mapped
        or not reply["isolation"]["namespaces"]["mnt"]
    ):
        return False
    if os.stat(client.socket_path).st_uid != 0:
        return False
    if os.stat(program.neighbours).st_mode & _OTHERS != _OTHERS:
        return True
    return bool(program.script) and not os.stat(program.script).st_mode & stat.S_IROTH


def _spawn_alone(
    client: CloveClient,
    program: Program,
    name: str | None,
    fields: Mapping[str, Any],
    reason: str,
) -> tuple[SpawnReply, str]:
    """Spawn a script without its directory."""
    alone = {"script": program.script, "args": program.args, "socket_argument": False}
    reply = _spawn_named(client, name, program.stem, **alone, **fields)
    return reply, f"the script runs without what lies beside it: {reason}"


def _spawn_named(client: CloveClient, name: str | None, stem: str, **fields: Any) -> SpawnReply:
    """Spawn it; under a free name like the program's, if none was asked for."""
    stem = default_name(stem)
    names = [name] if name else [stem, *(f"{stem}-{n}" for n in range(2, NAMES_TO_TRY))]
    for candidate in names[:-1]:
        try:
            return client.spawn(candidate, **fields)
        except AlreadyExists:
            continue
    return client.spawn(names[-1], **fields)
