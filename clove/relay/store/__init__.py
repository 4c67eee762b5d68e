"""What outlives a relay: tokens and machines, behind one interface."""

__all__: list[str] = []
