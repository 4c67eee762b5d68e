"""The hostile agent; `TABLE` has all its attacks by name."""

from tests.soak.hostile import descriptors, inside, network, requests, spawning, streams
from tests.soak.hostile.frame import TABLE

__all__ = ["TABLE", "descriptors", "inside", "network", "requests", "spawning", "streams"]
