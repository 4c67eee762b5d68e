"""Kinds of machines to deploy to: a module for each, imported when it is asked for."""

__all__: list[str] = []
