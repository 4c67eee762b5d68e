"""What a machine on Compute Engine asks of Google: access for its service account, and objects of Cloud Storage."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from tests.cloud.served import Served

__all__ = ["FakeGCP"]


class FakeGCP:
    """Metadata of one instance, and its bucket.

    @param machine: its id.
    @param bucket: a directory, whose name is the bucket's.
    """

    def __init__(self, machine: str, bucket: Path) -> None:
        self._machine = machine
        self._bucket = bucket
        self._access = f"ya29.{secrets.token_urlsafe(60)}"
        self.metadata = Served(self._answer_metadata)
        self.storage = Served(self._answer_object)

    def stop(self) -> None:
        """End both."""
        self.metadata.stop()
        self.storage.stop()

    def _answer_metadata(self, method: str, path: str, headers: Any) -> tuple[int, bytes]:
        if headers.get("Metadata-Flavor") != "Google":
            return 403, b""
        if path != "/computeMetadata/v1/instance/service-accounts/default/token":
            return 404, b""
        told = {"access_token": self._access, "expires_in": 3599, "token_type": "Bearer"}
        return 200, json.dumps(told).encode()

    def _answer_object(self, method: str, path: str, headers: Any) -> tuple[int, bytes]:
        if headers.get("Authorization") != f"Bearer {self._access}":
            return 401, b"<Error><Code>AuthenticationRequired</Code></Error>"
        key = path.removeprefix(f"/{self._bucket.name}/")
        if not key.startswith("bundle-") and key != f"join/{self._machine}":
            return 403, b"<Error><Code>AccessDenied</Code></Error>"
        return 200, (self._bucket / key).read_bytes()
