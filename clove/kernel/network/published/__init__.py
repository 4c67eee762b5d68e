"""Ports of sandboxed agents that are reachable on the host's loopback, each by an operator's order."""

from clove.kernel.network.published.limits import PublishLimits
from clove.kernel.network.published.publisher import Publisher

__all__ = ["PublishLimits", "Publisher"]
