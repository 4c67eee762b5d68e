"""The relay's page: files as browsers get them. C{calls/dashboard.py} serves them."""

__all__: list[str] = []
