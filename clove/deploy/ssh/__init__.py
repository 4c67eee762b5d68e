"""How `clove deploy ssh` reaches a machine, looks at it, and installs there. Blocking."""

__all__: list[str] = []
