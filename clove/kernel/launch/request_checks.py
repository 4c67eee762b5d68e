"""What is wrong in a SPAWN whatever the host is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from clove.errors import InvalidRequest, LimitExceeded
from clove.messages.agents import SpawnRequest
from clove.messages.publishing import PublishRequest

__all__ = [
    "LABEL_LENGTH",
    "MOST_LABELS",
    "check_labels",
    "check_program",
    "check_publishing",
    "with_ports",
]

MOST_LABELS: Final = 16
"""Labels of one agent."""
LABEL_LENGTH: Final = 256
"""Characters of a label's value."""
_LABEL: Final = re.compile(r"[A-Za-z0-9._/-]{1,64}")


def check_program(request: SpawnRequest) -> None:
    """@raise InvalidRequest: it does not say clearly what runs, and where."""
    if request.script is None and request.command is None:
        raise InvalidRequest(
            "SPAWN needs `script` (a Python file) or `command` (a program and its arguments)"
        )
    if request.command is not None:
        if request.script is not None:
            raise InvalidRequest(
                "SPAWN takes `script` or `command`, not both",
                hint="to run a script without the socket's path as its first argument, "
                'use `command`: ["python3", SCRIPT, ...]',
            )
        if request.args:
            raise InvalidRequest(
                "`args` are a script's arguments", hint="put a program's into `command`"
            )
        if not request.socket_argument:
            raise InvalidRequest("a command gets no socket's path: leave `socket_argument` out")
        if not request.command[0]:
            raise InvalidRequest("the program in `command` has no name")
    if request.tty is not None and request.stdin not in ("closed", "stream"):
        raise InvalidRequest(
            "what an agent on a terminal reads is typed there",
            hint="leave `stdin` out, and send INPUT",
        )
    cwd = request.cwd
    if cwd is not None and (not cwd.startswith("/") or ".." in cwd.split("/")):
        raise InvalidRequest(
            "`cwd` is an absolute path without ..", hint="it is a path as the agent sees it"
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """@raise LimitExceeded, InvalidRequest: there are too many, or one is no label."""
    if len(labels) > MOST_LABELS:
        raise LimitExceeded(f"an agent has at most {MOST_LABELS} labels")
    for name, value in labels.items():
        if not _LABEL.fullmatch(name) or len(value) > LABEL_LENGTH:
            raise InvalidRequest(
                f"{name[:64]!r} is no label",
                hint="its name has 1 to 64 of A-Z a-z 0-9 . _ / -, its value at most "
                f"{LABEL_LENGTH} characters",
            )


def check_publishing(request: SpawnRequest) -> None:
    """@raise InvalidRequest: it publishes ports, and has or may have no network of its own."""
    if not request.publish:
        return
    if not request.sandboxed:
        raise InvalidRequest(
            "an agent without a sandbox listens on the host itself", hint="leave `publish` out"
        )
    if request.allow_degraded:
        raise InvalidRequest(
            "ports are published of a network of the agent's own, which `allow_degraded` may give up",
            hint='leave `publish` or `allow_degraded` out; `degrade`: ["limits"] is no hindrance',
        )


def with_ports(request: SpawnRequest, ports: Sequence[PublishRequest]) -> SpawnRequest:
    """The request with the ports that are published now."""
    if not ports and not request.publish:
        return request
    return msgspec.structs.replace(request, publish=list(ports) or None)
