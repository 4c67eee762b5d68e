"""An agent that does nothing but say that it is there, and how to wait for what agents say."""

from __future__ import annotations

from clove import CloveClient

SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(1000)\n"


def until_says(client: CloveClient, name: str, word: str) -> None:
    """Wait for a line of an agent's output."""
    for line in client.follow_logs(name):
        if line["text"] == word:
            return
