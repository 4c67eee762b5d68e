"""Kernels as pods of a cluster that the user's kubectl reaches, step by step."""

__all__: list[str] = []
