"""The variables of a deployment's terraform module. Blocking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from clove.regular import write_whole

__all__ = ["read_variables", "write_variables"]

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
    write_whole(directory / VARIABLES, json.dumps(given, indent=1).encode() + b"\n")
