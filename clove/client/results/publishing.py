"""What the calls of `clove.messages.publishing` give. Made by tools/results.py: do not edit."""

from typing import TypedDict

__all__ = ["PublishedPort"]


class PublishedPort(TypedDict):
    """A port that is published, and how many connections to it there are."""

    port: int
    host: str
    host_port: int
    connections: int
