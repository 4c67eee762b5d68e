"""`clove deploy`: a module for each of its subcommands, and what they share."""

__all__: list[str] = []
