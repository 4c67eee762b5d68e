"""Limits and figures of cgroup v2: where a tree may be, and what each agent has of it."""

__all__: list[str] = []
