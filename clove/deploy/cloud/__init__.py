"""Machines in clouds: what they do at their first boot, and how terraform makes them."""

__all__: list[str] = []
