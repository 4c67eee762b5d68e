"""The files of a deployment's terraform directory: each is written whole or not at all, for its user alone. Blocking."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["read_variables", "write_private", "write_variables"]

VARIABLES: Final = "terraform.tfvars.json"
"""Terraform reads it by itself."""


def read_variables(directory: Path) -> dict[str, Any]:
    """The module's variables; none: empty."""
    try:
        found: dict[str, Any] = json.loads((directory / VARIABLES).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def write_variables(
    directory: Path, variables: Mapping[str, Any], token_files: Mapping[str, str]
) -> None:
    """Write the module's variables, with the files of the tokens that are to be in the bucket."""
    given = {**variables, "join_token_files": dict(token_files)}
    write_private(directory / VARIABLES, json.dumps(given, indent=1).encode() + b"\n")


def write_private(path: Path, data: bytes) -> None:
    """Write a file.

    @raise OSError: it cannot be written.
    """
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
        file.write(data)
    beside.rename(path)
