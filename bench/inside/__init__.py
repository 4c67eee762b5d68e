"""Scripts that the bench runs as agents."""
