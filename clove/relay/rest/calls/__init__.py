"""What each route does: it asks a domain object and makes the reply."""

__all__: list[str] = []
