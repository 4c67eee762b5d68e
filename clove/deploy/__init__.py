"""Deployments: a machine taken step by step from nothing to a kernel that answers at a relay (docs/deploy.md)."""

__all__: list[str] = []
