"""What the kernel asks of its state store."""

# ruff: noqa: N805 - methods of a zope interface have no self

from __future__ import annotations

from msgspec import Raw, Struct
from zope.interface import Attribute, Interface

from clove.kernel.answers import Answer
from clove.messages.state import Scope

__all__ = ["Found", "IStateStore"]


class Found(Struct, frozen=True, gc=False):
    """A key that exists."""

    value: Raw
    scope: Scope
    version: int


class IStateStore(Interface):
    """Keys in three scopes: `agent` (one space for each agent), `session`, `global`.

    Each space has its own keys. Without a scope a look-up takes the first that
    exists in the caller's own space, then session, then global. A key's version
    is one above the last, for ever: also a key that was deleted, expired and
    stored again never has a version that it had before.

    What is asked is done in the order in which it was asked, whenever the answers come; so
    what comes after L{close} finds the agent's own space empty. Only L{keys} may see changes that
    were asked for later. To cancel a Deferred is not to
    wait for it: the change may be made all the same.
    """

    on_changed = Attribute(
        "None or callable(agent_id, key, scope, action), called after a change. The action"
        " is `store`, `delete` or `expire`; the agent id is of the agent that did it (for"
        " `expire`: that wrote the key last)."
    )

    def store(
        agent_id: int,
        key: str,
        value: Raw,
        scope: Scope = "global",
        ttl: float | None = None,
        if_version: int | None = None,
        family: int | None = None,
    ) -> Answer[int]:
        """Set a key; gives its version.

        @param ttl: seconds until it is gone. None: it stays, also if it had one.
        @param if_version: version that it must have now; 0: it must not exist.
        @param family: the family that it counts for; None: a family of its own.
        @raise InvalidRequest: an empty key, or control characters in it.
        @raise AlreadyExists: it has another version.
        @raise LimitExceeded: no room.
        """

    def fetch(agent_id: int, key: str, scope: Scope | None = None) -> Answer[Found | None]:
        """Look a key up."""

    def delete(agent_id: int, key: str, scope: Scope | None = None) -> Answer[bool]:
        """Delete what fetch would find; tells whether there was anything."""

    def keys(
        agent_id: int, prefix: str = "", scope: Scope | None = None, family: int | None = None
    ) -> Answer[tuple[list[str], bool]]:
        """Keys that fetch would find, sorted, and whether there are more than that.

        A key that is there all the time until the answer comes is among them; one that is stored or
        deleted meanwhile may be.

        @param family: the family the time of which it takes; None: a family of its own.
        """

    def close(agent_id: int) -> Answer[None]:
        """Forget an agent's own space. What it wrote elsewhere stays."""

    def stop() -> Answer[None]:
        """No more delayed calls; what was asked before is done."""
