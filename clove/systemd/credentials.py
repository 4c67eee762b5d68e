"""Secrets that a unit was given (LoadCredential=, SetCredentialEncrypted= of systemd.exec(5)).

Each is a file that this service's user alone can read, in memory that is never swapped out, and there for as
long as the service runs. It is in no environment, no command line and no configuration file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

__all__ = ["DATABASE", "JOIN", "MODEL_KEY", "credential_path"]

JOIN: Final = "clove.join"
"""A join token (`clove machines join`), for the kernel's own tunnel or for one beside it."""
DATABASE: Final = "clove.database"
"""The connection string of the relay's PostgreSQL."""
MODEL_KEY: Final = "clove.model-key"
"""The key of the kernel's language model."""


def credential_path(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The file with this credential; "" if the unit was given none of this name."""
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    path = os.path.join(directory, name)
    return path if os.path.isabs(directory) and os.path.isfile(path) else ""
