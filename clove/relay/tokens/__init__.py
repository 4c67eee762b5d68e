"""Tokens: how they look, what each may do, and how long it may be tried which ones are valid."""

__all__: list[str] = []
