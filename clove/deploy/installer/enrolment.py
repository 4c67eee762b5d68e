"""The configuration by which an installed kernel joins a relay at its first start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from clove.deploy.installer.bundle_directory import Problem
from clove.deploy.installer.layout import Layout

__all__ = ["Enrolment", "read_enrolment"]

MOST_TOKEN = 4096
"""Bytes of a file that may be a join token."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a kernel needs to join.

    @ivar relay: the relay's WebSocket, like C{wss://relay.example.org:8765}.
    @ivar machine: the machine's id there.
    @ivar token: good for one connection; never shown.
    @ivar authority: a file with the authority that signs the relay's certificate, if that is a private one.
    """

    relay: str
    machine: str
    token: bytes
    authority: str | None = None

    def settings_path(self, layout: Layout) -> Path:
        """Where the kernel's configuration is."""
        return layout.settings / "clove/clove.toml"

    def token_path(self, layout: Layout) -> Path:
        """Where the join token is put."""
        return layout.settings / "clove/join"

    def settings(self, layout: Layout) -> str:
        """The kernel's configuration, as TOML (whose strings are JSON's)."""
        lines = ["# Written by Clove's installer.", "[tunnel]"]
        lines.append(f"relay_url = {json.dumps(self.relay)}")
        lines.append(f"machine_id = {json.dumps(self.machine)}")
        lines.append(f"join_token_file = {json.dumps(str(self.token_path(layout)))}")
        if self.authority:
            lines.append(f"ca_file = {json.dumps(self.authority)}")
        return "\n".join(lines) + "\n"


def read_enrolment(
    relay: str | None, machine: str | None, token_file: str | None, authority: str | None
) -> Enrolment | None:
    """What was asked for by the command's options; None: nothing.

    @raise Problem: some of it is missing, or the token cannot be read.
    """
    if not (relay or machine or token_file):
        return None
    if not (relay and machine and token_file):
        raise Problem(
            "--relay, --machine and --join-token-file go together",
            "a token is made by: clove machines join MACHINE",
        )
    if not relay.startswith(("wss://", "ws://")):
        raise Problem(
            f"--relay {relay} is no WebSocket's address", "like wss://relay.example.org:8765"
        )
    try:
        token = Path(token_file).read_bytes().strip()
    except OSError as error:
        raise Problem(f"the join token cannot be read: {error}", "see --join-token-file") from None
    if not token.startswith(b"clove_") or len(token) > MOST_TOKEN:
        raise Problem(f"{token_file} has no token", "one is made by: clove machines join MACHINE")
    path = str(Path(authority).resolve()) if authority else None
    return Enrolment(relay, machine, token + b"\n", path)
