"""A relay's registry as a file, for deployments to the directory that stands for a cloud (L{tests.cloud.fake_terraform}).

A machine joins as a real one does: when its instance is there and its token in the bucket is valid, and then that
is used up; another instance of the same name is another key, and is refused.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clove.errors import AlreadyExists, NotFound

__all__ = ["FakeFleet"]


class FakeFleet:
    """As much of L{clove.client.fleet.FleetClient} as deployments use.

    @param directory: has C{fleet.json}, and in C{cloud} the cloud.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "fleet.json"
        self._cloud = directory / "cloud"

    def machine(self, machine_id: str) -> dict[str, Any]:
        kept = self._join()
        if machine_id not in kept["machines"]:
            raise NotFound(f"no machine {machine_id}")
        found = kept["machines"][machine_id]
        instance = self._instance(machine_id)
        here = found["key"] is not None and found["key"] == instance
        presence = "connected" if here else "never"
        return {
            "machine_id": machine_id,
            "name": found["name"],
            "labels": found["labels"],
            "has_key": found["key"] is not None,
            "presence": presence,
            "presence_since": instance or "",
            "versions": {"clove": "0"},
        }

    def add_machine(
        self, machine_id: str, *, name: str, labels: dict[str, str], provider: str = ""
    ) -> dict[str, Any]:
        kept = self._read()
        if machine_id in kept["machines"]:
            raise AlreadyExists(machine_id)
        kept["machines"][machine_id] = {"name": name, "labels": labels, "key": None}
        self._write(kept)
        return {"machine_id": machine_id}

    def change_machine(self, machine_id: str, *, name: str) -> None:
        kept = self._read()
        kept["machines"][machine_id]["name"] = name
        self._write(kept)

    def remove_machine(self, machine_id: str) -> None:
        kept = self._read()
        del kept["machines"][machine_id]
        for token in kept["tokens"].values():
            token["valid"] = token["valid"] and token["machine_id"] != machine_id
        self._write(kept)

    def issue_token(
        self, kind: str, *, machine_id: str, name: str, expires_hours: float
    ) -> dict[str, Any]:
        assert (kind, expires_hours) == ("join", 1.0)
        kept = self._read()
        token = f"clove_join_{secrets.token_hex(16)}"
        kept["tokens"][token] = {
            "id": token[-12:],
            "name": name,
            "machine_id": machine_id,
            "valid": True,
        }
        self._write(kept)
        return {"token": token}

    def tokens(self) -> Iterator[dict[str, Any]]:
        return iter(self._join()["tokens"].values())

    def revoke_token(self, token_id: str) -> None:
        kept = self._read()
        for token in kept["tokens"].values():
            token["valid"] = token["valid"] and token["id"] != token_id
        self._write(kept)

    def deploy(self, machine_id: str, script: str, content: str, **options: Any) -> dict[str, Any]:
        assert self.machine(machine_id)["presence"] == "connected"
        return {"agent_id": base64.b64encode(content.encode()).decode()}

    def stream(
        self, machine_id: str, agent_id: str, *, attach: bool
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        said = base64.b64decode(agent_id).decode().split("'")[1]
        yield "output", {"data": said.encode() + b"\n"}
        yield "exit", {"exit_code": 0}

    def _join(self) -> dict[str, Any]:
        """What there is, after every machine that can has joined."""
        kept = self._read()
        for machine_id, found in kept["machines"].items():
            instance = self._instance(machine_id)
            for bucket in sorted(self._cloud.glob("buckets/*")):
                held = bucket / "join" / machine_id
                token = kept["tokens"].get(held.read_text() if held.exists() else "", {})
                if instance and found["key"] is None and token.get("valid"):
                    assert token["machine_id"] == machine_id
                    token["valid"], found["key"] = False, instance
        self._write(kept)
        return kept

    def _instance(self, machine_id: str) -> str | None:
        try:
            made = json.loads((self._cloud / "instances" / f"{machine_id}.json").read_text())
        except FileNotFoundError:
            return None
        return str(made["id"])

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {"machines": {}, "tokens": {}}
        return found

    def _write(self, kept: dict[str, Any]) -> None:
        self._path.write_text(json.dumps(kept, indent=1))
