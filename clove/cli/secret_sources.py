"""Secrets for a program: where they come from, and how they are read.

What `clove run` is told is where a secret is, never the secret itself, so that it is in no command line,
profile or history. SPAWN has it in `secrets`, of which INSPECT shows the names, and nothing else anything.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clove.errors import (
    CloveError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TimedOut,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clove.cli.option_types import Secret

__all__ = ["keyring_words", "read_secret", "secret_fields", "secret_path"]

MOST: Final = 64 << 10
"""Bytes of a secret."""
PATIENCE: Final = 60
"""Seconds that a command may take, in which it may ask somebody."""


def secret_path(name: str) -> Path:
    """The file of the user's own secret of this name."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    directory = Path(base if base.startswith("/") else "~/.config").expanduser()
    return directory / "clove/secrets" / name


def secret_fields(
    variables: Iterable[Secret], files: Iterable[Secret]
) -> dict[str, dict[str, Any]] | None:
    """SPAWN's `secrets`: those that are variables, and those that are files in the sandbox.

    @raise CloveError: as L{read_secret}.
    """
    found: dict[str, dict[str, Any]] = {}
    for secret in variables:
        found[secret.name] = {"value": read_secret(secret)}
    for secret in files:
        found[secret.name] = {"value": read_secret(secret, whole=True), "file": True}
    return found or None


def read_secret(secret: Secret, *, whole: bool = False) -> str:
    """The secret, without a newline at its end.

    @param whole: with it, and perhaps with NULs.
    @raise CloveError: it is not there, or cannot be read; what was read is not in it.
    """
    if secret.source.startswith("@"):
        raw = _of_file(secret, Path(secret.source[1:]).expanduser(), private=False)
    elif secret.source:
        raw = _of_command(secret, ["/bin/sh", "-c", secret.source[1:]])
    else:
        raw = _own(secret)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"secret {secret.name} is no UTF-8") from None
    if not whole:
        text = text.removesuffix("\n").removesuffix("\r")
    if not text or ("\0" in text and not whole):
        raise InvalidRequest(f"secret {secret.name} is empty, or has a NUL")
    return text


def _own(secret: Secret) -> bytes:
    """Of a file of the user's, else of the keyring."""
    import shutil

    path = secret_path(secret.name)
    if "/" not in secret.name and path.exists():
        return _of_file(secret, path, private=True)
    tool = shutil.which("secret-tool")
    if tool is not None:
        try:
            return _of_command(secret, [tool, "lookup", *keyring_words(secret.name)])
        except CloveError:
            pass
    raise NotFound(
        f"no secret {secret.name}",
        hint=f"write it into {path} (chmod 600), store it with `secret-tool store --label clove "
        f"service clove name {secret.name}`, or say where it is: {secret.name}=@FILE",
    )


def keyring_words(name: str) -> list[str]:
    """How the keyring knows a secret of this name: the last arguments of secret-tool."""
    return ["service", "clove", "name", name]


def _of_file(secret: Secret, path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise PermissionDenied(
                    f"secret {secret.name}: others may use {path}",
                    rule="secret-mode",
                    hint=f"chmod 600 {path}",
                )
            raw = file.read(MOST + 1)
    except OSError as error:
        raise Unavailable(f"secret {secret.name}: {path}: {error.strerror}") from None
    if len(raw) > MOST:
        raise InvalidRequest(f"secret {secret.name} has more than {MOST} bytes")
    return raw


def _of_command(secret: Secret, words: list[str]) -> bytes:
    import subprocess

    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise TimedOut(f"secret {secret.name}: its command takes more than {PATIENCE} s") from None
    except OSError as error:
        raise Unavailable(f"secret {secret.name}: {error.strerror}") from None
    if done.returncode:
        raise Unavailable(f"secret {secret.name}: its command ended with {done.returncode}")
    if len(done.stdout) > MOST:
        raise InvalidRequest(f"secret {secret.name} has more than {MOST} bytes")
    return done.stdout
