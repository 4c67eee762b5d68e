"""What the calls of `clove.messages.state` give. Made by tools/results.py: do not edit."""

from typing import Any

from clove.client.results.base import Reply

__all__ = ["DeleteReply", "FetchReply", "KeysReply", "StoreReply"]


class StoreReply(Reply):
    """The key's new version."""

    key: str
    version: int


class FetchReply(Reply):
    """A key's value, or `"exists": false`."""

    exists: bool
    value: Any
    scope: str
    version: int


class DeleteReply(Reply):
    """Whether there was such a key."""

    deleted: bool


class KeysReply(Reply):
    """Sorted, each once. `truncated`: there are more than one reply may have."""

    keys: list[str]
    count: int
    truncated: bool
