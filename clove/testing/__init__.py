"""Fakes that Clove ships, each verified against the real thing's own client."""
