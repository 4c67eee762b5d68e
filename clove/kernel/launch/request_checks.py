"""What is wrong in a SPAWN, in itself or since it cannot be enforced here. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from clove.errors import InvalidRequest, IsolationUnavailable, LimitExceeded
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.resource_limits import CONTROLLERS, DISK, ResourceLimits
from clove.messages.agents import SpawnRequest
from clove.messages.publishing import PublishRequest

__all__ = [
    "ALL_BYTES",
    "LABEL_LENGTH",
    "MOST_LABELS",
    "MOST_SECRETS",
    "accepts_less",
    "check_labels",
    "check_publishing",
    "check_request",
    "check_secrets",
    "with_ports",
]

MOST_LABELS: Final = 16
"""Labels of one agent."""
LABEL_LENGTH: Final = 256
"""Characters of a label's value."""
_LABEL: Final = re.compile(r"[A-Za-z0-9._/-]{1,64}")
MOST_SECRETS: Final = 32
"""Secrets of one agent."""
ALL_BYTES: Final = 256 << 10
"""Bytes of all of them."""
_VARIABLE: Final = re.compile(r"[^=\0\s]{1,128}")
_FILE: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


def check_request(
    request: SpawnRequest,
    controllers: frozenset[str],
    limits: ResourceLimits,
    bounds: AgentLimits,
) -> None:
    """Refuse what is wrong in itself or cannot be enforced here.

    @param controllers: of cgroup v2 that are at hand.
    @raise InvalidRequest: arguments or environment that no program can be given.
    @raise LimitExceeded: too many or too long arguments.
    @raise IsolationUnavailable: a limit or a network namespace asked for by
        name cannot be had, and the caller did not allow less.
    """
    _check_program(request)
    check_labels(request.labels or {})
    check_publishing(request)
    check_secrets(request)
    args, env = request.command or request.args or [], request.env or {}
    if len(args) > bounds.args or len(env) > bounds.args:
        raise LimitExceeded(f"at most {bounds.args} arguments and environment variables")
    words = [*args, *env, *env.values(), request.cwd or ""]
    if sum(map(len, words)) > bounds.args_bytes:
        raise LimitExceeded(f"arguments and environment have at most {bounds.args_bytes} bytes")
    if any("\0" in word for word in words) or any(not key or "=" in key for key in env):
        raise InvalidRequest("an argument or environment variable has a NUL, or a name is bad")
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise InvalidRequest("an argument or environment variable is not valid Unicode") from None
    if request.allow_degraded:
        return
    _check_enforced(request, limits, controllers)
    if request.network is False and not request.sandboxed:
        raise IsolationUnavailable(
            "network=false needs a network namespace, which an unsandboxed agent does not have",
            hint="set sandboxed=true, or leave network out",
        )


def _check_enforced(
    request: SpawnRequest, limits: ResourceLimits, controllers: frozenset[str]
) -> None:
    """@raise IsolationUnavailable: a limit that was named needs what this host does not have."""
    if DISK in limits.named and not request.sandboxed:
        raise InvalidRequest(
            "`disk` is a limit of a sandbox's workspace",
            hint="leave it out, or set sandboxed=true",
        )
    needed = {CONTROLLERS[name] for name in limits.named if name in CONTROLLERS}
    missing = sorted(needed - controllers)
    if missing and not accepts_less(request):
        raise IsolationUnavailable(
            f"the limits asked for need the cgroup v2 controller {', '.join(missing)}, "
            "which this kernel does not have",
            hint="give the kernel cgroups: systemd's Delegate=yes, or a container engine's writable mount "
            '(clove doctor says how here); leave the limits out, or set degrade to ["limits"] (--degrade limits): then they '
            "bind as far as rlimits and a look now and then do",
        )


def accepts_less(request: SpawnRequest) -> bool:
    """Limits may bind less than cgroups would."""
    return request.allow_degraded or "limits" in (request.degrade or ())


def _check_program(request: SpawnRequest) -> None:
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


def check_secrets(request: SpawnRequest) -> None:
    """No value is in what this raises.

    @raise InvalidRequest: one cannot be had as it is asked for.
    @raise LimitExceeded: there are too many, or they are too long.
    """
    secrets = request.secrets or {}
    if len(secrets) > MOST_SECRETS:
        raise LimitExceeded(f"an agent has at most {MOST_SECRETS} secrets")
    total = 0
    for name, secret in secrets.items():
        if not (_FILE if secret.file else _VARIABLE).fullmatch(name):
            raise InvalidRequest(
                f"{name[:64]!r} cannot be the name of a secret",
                hint="one that is a file has A-Z a-z 0-9 . _ - in its name, 128 of them at most",
            )
        if not secret.value:
            raise InvalidRequest(
                f"secret {name} has no value",
                hint="secrets are not written down: SPAWN the agent anew, with them",
            )
        if "\0" in secret.value and not secret.file:
            raise InvalidRequest(f"secret {name} has a NUL", hint="have it as a file")
        if name in (request.env or {}) and not secret.file:
            raise InvalidRequest(f"{name} is in `env` and in `secrets`", hint="leave one out")
        try:
            total += len(secret.value.encode())
        except UnicodeEncodeError:
            raise InvalidRequest(f"secret {name} is not valid Unicode") from None
    if total > ALL_BYTES:
        raise LimitExceeded(f"the secrets of an agent have at most {ALL_BYTES} bytes")
    if any(secret.file for secret in secrets.values()):
        _check_root(request)


def _check_root(request: SpawnRequest) -> None:
    """@raise InvalidRequest: the agent has, or may have, no files of its own."""
    if not request.sandboxed or request.allow_degraded:
        raise InvalidRequest(
            "a secret that is a file lies in a sandbox's own memory",
            hint="have it as a variable, or leave `sandboxed` and `allow_degraded` as they are",
        )


def with_ports(request: SpawnRequest, ports: Sequence[PublishRequest]) -> SpawnRequest:
    """The request with the ports that are published now."""
    if not ports and not request.publish:
        return request
    return msgspec.structs.replace(request, publish=list(ports) or None)
