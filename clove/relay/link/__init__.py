"""The links between relays that share a database, and which relay has which machine's tunnel."""

__all__: list[str] = []
