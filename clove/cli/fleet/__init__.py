"""The commands for machines of a relay: which relay and token they use, and what they ask of it."""
