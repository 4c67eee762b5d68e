"""The clients: `blocking` (standard library only) and `deferred` (Twisted).

Both bind the same `vocabulary` and speak through the same pure `exchange`.
Nothing is imported here, so that importing one does not cost the other.
"""

__all__: list[str] = []
