"""Clove, a microkernel for AI agents.

`from clove import CloveClient` gives the blocking client; it is imported on
first use, so that `import clove` costs nothing in the daemons.
"""

from typing import TYPE_CHECKING, Any

from clove._version import __version__

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["CloveClient", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the blocking client lazily (PEP 562)."""
    if name == "CloveClient":
        from clove.client.blocking import CloveClient

        return CloveClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
