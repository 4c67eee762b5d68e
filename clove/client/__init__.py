"""The clients: `blocking`, `aio` (both standard library only) and `deferred` (Twisted).

All inherit one list of `methods` and share the same pure `exchange`.
Nothing is imported here, so that importing one does not cost the other.
"""

__all__: list[str] = []
