"""Containers of a docker or podman that the user has: an image, and a kernel in it, step by step."""

__all__: list[str] = []
