"""The output of agents: the last lines in memory, and files on disk."""
