"""Clove, a microkernel for AI agents.

`from clove import CloveClient` gives the blocking client, `AsyncClient` the one for asyncio; they are
imported on first use, so that `import clove` costs nothing in the daemons.
"""

from typing import TYPE_CHECKING, Any

from clove._version import __version__

if TYPE_CHECKING:
    from clove.client.aio import AsyncClient
    from clove.client.blocking import CloveClient

__all__ = ["AsyncClient", "CloveClient", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a client lazily (PEP 562)."""
    if name == "CloveClient":
        from clove.client.blocking import CloveClient

        return CloveClient
    if name == "AsyncClient":
        from clove.client.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
