"""Measurements: how fast the kernel is, and how well it keeps agents apart."""
