"""The REST API: one table of routes, and what is done for each of them alike."""

__all__: list[str] = []
