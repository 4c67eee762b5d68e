"""The `clove` command. Each subcommand is a module, imported when it is used."""

__all__: list[str] = []
