"""HTTP to the outside, for agents, under their permissions."""

__all__: list[str] = []
