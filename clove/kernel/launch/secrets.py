"""Secrets of a SPAWN: what may be one, and where the program finds each. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from clove.errors import InvalidRequest, LimitExceeded

if TYPE_CHECKING:
    from clove.messages.agents import SpawnRequest

__all__ = ["ALL_BYTES", "MOST_SECRETS", "check_secrets", "secret_files", "secret_variables"]

MOST_SECRETS: Final = 32
"""Secrets of one agent."""
ALL_BYTES: Final = 256 << 10
"""Bytes of all of them."""
_VARIABLE: Final = re.compile(r"[^=\0\s]{1,128}")
_FILE: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


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


def secret_variables(request: SpawnRequest) -> dict[str, str]:
    """Those that are variables."""
    found = request.secrets or {}
    return {name: secret.value for name, secret in found.items() if not secret.file}


def secret_files(request: SpawnRequest) -> dict[str, str]:
    """Those that are files in /run/secrets."""
    return {name: one.value for name, one in (request.secrets or {}).items() if one.file}
