"""What `clove agent run` has a relay start: the options of `clove run`, as far as a machine elsewhere can have them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from clove.cli.run_options import spawn_fields
from clove.cli.run_words import MODULE, PROGRAM, RunWords
from clove.errors import InvalidRequest

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["Deployment", "deployment_of", "refuse_local"]

MOST: Final = 512 << 10
"""Bytes of a script, or of a file of requirements."""
_STAYS: Final = (
    "a directory that stays is one of this host",
    "copy what is to stay while it runs: clove agent cp AGENT:PATH TARGET --machine MACHINE",
)
_REFUSED: Final = {
    "workspace": ("--workspace", *_STAYS),
    "keep": ("--keep", *_STAYS),
    "indexes": (
        "--index",
        "what your pip or npm is told is told on this host",
        "name the index and its host: -e PIP_INDEX_URL=URL --allow-domain NAME",
    ),
    "published": (
        "--publish",
        "ports of a machine are opened by its own operator",
        "reach the agent's port from here: clove forward MACHINE:AGENT:PORT",
    ),
    "unsandboxed": (
        "--unsandboxed",
        "a relay's callers start agents in sandboxes alone",
        "on that machine itself: clove run --unsandboxed",
    ),
    "allow_degraded": (
        "--allow-degraded",
        "how little isolation will do, a machine's own operator says",
        "on that machine itself: clove run --allow-degraded",
    ),
    "degrade": (
        "--degrade",
        "whether limits may go unenforced, a machine's own operator says",
        "choose a machine that enforces them: clove machines doctor MACHINE",
    ),
}
"""Options of `clove run` that are about this host: what they are called, why not, and what to do instead."""


def refuse_local(asked: Mapping[str, Any]) -> None:
    """@raise click.UsageError: an option is about this host."""
    for name, (option, why, instead) in _REFUSED.items():
        if asked[name]:
            raise click.UsageError(f"{option} is for agents of this host: {why}; {instead}")
    if asked["python"] and "/" in asked["python"]:
        raise click.UsageError(
            "--python: an interpreter of this host is not on the machine. Name one that is there, "
            "such as python3.12"
        )
    if any(one.startswith("./") or one in (".", "..") for one in asked["denied"]):
        raise click.UsageError("--deny: paths are those of the sandbox: name them from / on")


class Deployment(NamedTuple):
    """What is sent.

    @ivar what: a script, or a command with files, as L{FleetClient.deploy} has them.
    @ivar options: likewise.
    @ivar key: of the call; "": it is not repeatable.
    """

    what: Mapping[str, Any]
    options: Mapping[str, Any]
    key: str

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return len(self.what.get("archive", b""))

    def start(self, fleet: FleetClient, machine: str, *, attach: bool = False) -> dict[str, Any]:
        """Start it on one machine.

        @param attach: its output is read from the first byte on, and at our pace.
        """
        return fleet.deploy(
            machine, **self.what, idempotency_key=self.key, attach=attach, **self.options
        )

    def start_on_all(
        self, fleet: FleetClient, selector: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Start it on all machines that are chosen; gives a result for each."""
        return fleet.deploy_on_all(
            **self.what, selector=selector, idempotency_key=self.key, **self.options
        )


def deployment_of(
    words: RunWords, asked: Mapping[str, Any], key: str, extra: Mapping[str, Any]
) -> Deployment:
    """Read what is to be sent.

    @param asked: the options, none of which L{refuse_local} refuses.
    @param extra: more fields of the request.
    @raise InvalidRequest: it cannot be read, or is too much.
    @raise click.UsageError: it is not there.
    """
    directory = _directory(asked)
    requirements = "\n".join(_read(path) for path in asked["requirements"])
    typed = bool(extra.get("tty")) or extra.get("stdin") == "stream"
    alone = not (directory or requirements or typed or asked["python"])
    what, options = _what(words, directory, asked["python"] or "python3", alone=alone)
    fields = spawn_fields({**asked, "dirs": ()}, {})
    permissions = fields["permissions"]
    options |= {
        "name": asked["name"],
        "requirements": requirements,
        "permissions": {"level": permissions} if isinstance(permissions, str) else permissions,
        **{name: fields[name] for name in _FIELDS},
        **extra,
    }
    if fields["warm"] is False:
        options["warm"] = False
    return Deployment(
        what, {name: value for name, value in options.items() if value or value is False}, key
    )


_FIELDS: Final = (*("env", "network", "limits", "restart_policy", "timeout", "labels", "secrets"),)


def _directory(asked: Mapping[str, Any]) -> str:
    """The one that is sent; "" for none.

    @raise click.UsageError: another machine cannot have it so.
    """
    if not asked["dirs"]:
        return ""
    first, *others = asked["dirs"]
    if others:
        raise click.UsageError("--dir: one directory is sent to a machine, with all in it")
    if first.link:
        raise click.UsageError(
            "--dir: what is sent lies in /workspace, where it starts: leave :AS out"
        )
    if not os.path.isdir(first.path):
        raise click.UsageError("--dir: a directory is sent; name the one that the file is in")
    return str(first.path)


def _what(
    words: RunWords, directory: str, python: str, *, alone: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is run, with its files; and options that come of that.

    @param alone: a script can be sent as a text.
    """
    from clove.cli.archive import pack_directory, pack_script

    target, args = words.target, list(words.args)
    archive = pack_directory(directory) if directory else b""
    if words.form == PROGRAM:
        return _command([target, *args], archive)
    if words.form == MODULE:
        return _command([python, "-m", target, *args], archive)
    if directory:
        inside = os.path.join(directory, target)
        runs = os.path.isdir(inside) or (target.endswith(".py") and os.path.isfile(inside))
        return _command([python, target, *args] if runs else [target, *args], archive)
    if os.path.isdir(target):
        _check_main(target)
        return _command([python, ".", *args], pack_directory(target))
    text = _read(target)
    name = os.path.basename(target)
    if alone:
        script = {"script_name": name, "script_content": text}
        return script, {"args": args, "socket_argument": False}
    return _command([python, name, *args], pack_script(target))


def _check_main(directory: str) -> None:
    """@raise click.UsageError: Python cannot run it as it is sent."""
    if not os.path.isfile(os.path.join(directory, "__main__.py")):
        raise click.UsageError(
            f"{directory!r} is a directory without __main__.py (to run something in it: "
            f"clove agent run --dir {directory} SCRIPT)"
        )
    if os.path.isfile(os.path.join(directory, "__init__.py")):
        parent, name = os.path.split(os.path.abspath(directory))
        raise click.UsageError(
            f"{directory!r} is a package (clove agent run --dir {parent} -m {name})"
        )


def _command(words: list[str], archive: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"command": words, "archive": archive}, {}


def _read(script: str) -> str:
    try:
        with open(script, "rb") as file:
            raw = file.read(MOST + 1)
    except FileNotFoundError:
        raise click.UsageError(
            f"no such script: {script!r} (a program is run so: clove agent run -- PROGRAM)"
        ) from None
    except OSError as error:
        raise InvalidRequest(f"cannot read {script}: {error.strerror}") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"{script} is no UTF-8", hint="a program is run so: clove agent run --dir . -- PROGRAM"
        ) from None
    if len(raw) > MOST:
        raise InvalidRequest(
            f"{script} has more than {MOST} bytes", hint="send its directory: --dir DIRECTORY"
        )
    return text
