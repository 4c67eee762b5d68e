"""The registry of machines, and whether each is connected."""

__all__: list[str] = []
