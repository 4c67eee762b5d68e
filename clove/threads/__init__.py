"""Threads beside the reactor, for calls that have no asynchronous form.

`pool` calls functions in threads, `threads` lets callers take turns at them.
"""

__all__: list[str] = []
