"""Facts of a journal, as steps read them: a person may have changed the file. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from clove.errors import InvalidRequest

__all__ = ["KnownFacts", "check_facts"]

Text = str | msgspec.UnsetType
Names = dict[str, str | None] | msgspec.UnsetType | None


class _Types(msgspec.Struct, kw_only=True):
    """What the steps of all targets keep, by name; a step may keep more."""

    machines: list[str] | msgspec.UnsetType = msgspec.UNSET
    versions: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    instances: Names = msgspec.UNSET
    addresses: Names = msgspec.UNSET
    image: str | msgspec.UnsetType | None = msgspec.UNSET
    linger: bool | msgspec.UnsetType = msgspec.UNSET
    claimed: bool | msgspec.UnsetType = msgspec.UNSET
    bucket: Text = msgspec.UNSET
    bundle: Text = msgspec.UNSET
    container: Text = msgspec.UNSET
    directory: Text = msgspec.UNSET
    home: Text = msgspec.UNSET
    machine: Text = msgspec.UNSET
    mode: Text = msgspec.UNSET
    namespace: Text = msgspec.UNSET
    os: Text = msgspec.UNSET
    prefix: Text = msgspec.UNSET
    python: Text = msgspec.UNSET
    python_path: Text = msgspec.UNSET
    release: Text = msgspec.UNSET
    root: Text = msgspec.UNSET
    settings: Text = msgspec.UNSET
    sha256: Text = msgspec.UNSET
    staging: Text = msgspec.UNSET
    state: Text = msgspec.UNSET
    user: Text = msgspec.UNSET
    version: Text = msgspec.UNSET


class KnownFacts(dict[str, Any]):
    """The facts of all steps; one that is missing is an error for a person.

    @ivar name: of the deployment.
    """

    name = ""

    def __missing__(self, key: str) -> Any:
        """@raise InvalidRequest: always."""
        raise InvalidRequest(
            f"the journal of {self.name} does not say {key!r}",
            hint="it was changed by hand: put back what it said, or remove by hand what it lists",
        )


def check_facts(step: str, facts: dict[str, Any]) -> None:
    """Refuse those that no step could have kept.

    @raise ValueError: one has another type.
    """
    try:
        msgspec.convert(facts, _Types)
    except msgspec.ValidationError as error:
        raise ValueError(f"facts of {step}: {error}") from None
