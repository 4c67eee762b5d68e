"""The researcher: answers questions one by one, and picks up where it was stopped.

It may be killed at any moment. So it confirms a task only when it has noted it
in the state store, and notes each answer before it goes on: after a restart it
finds both there, and does no work twice.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from clove import CloveClient

TASK = "task"
LISTENING = 10.0
"""Seconds to wait for a task, before asking again."""


def next_task(client: CloveClient) -> dict[str, Any]:
    """The unfinished task of an earlier life, or the next from the mailbox."""
    noted = client.fetch(TASK)
    if noted["exists"]:
        task: dict[str, Any] = noted["value"]
        client.emit_event("progress", {"text": "is back, and finds its task in the store"})
        return task
    while True:
        reply = client.recv_messages(1, wait=LISTENING, ack="manual")
        for mail in reply["messages"]:
            task = {**mail["message"], "from": mail["from_name"]}
            client.store(TASK, task, scope="agent")
            client.ack_messages([mail["id"]])
            return task


def answer(client: CloveClient, number: int, question: str, delay: float) -> str:
    """The answer to a question: from the store, or else from the model."""
    key = f"answer/{number}"
    noted = client.fetch(key)
    if noted["exists"]:
        client.emit_event("progress", {"text": f"has question {number} answered already"})
        return str(noted["value"])
    time.sleep(delay)  # a person would be reading now
    reply = client.think(question, system_instruction="A careful researcher; one short paragraph.")
    client.store(key, reply["content"], scope="agent")
    client.emit_event("finding", {"text": f"answered question {number}", "number": number})
    return str(reply["content"])


def main() -> None:
    """Research what is asked for, for ever."""
    delay = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    with CloveClient(sys.argv[1]) as client:
        while True:
            task = next_task(client)
            questions = task["questions"]
            findings = [
                {"question": question, "answer": answer(client, number, question, delay)}
                for number, question in enumerate(questions, 1)
            ]
            client.send_message({"findings": findings}, to_name=task["from"])
            for number in range(1, len(questions) + 1):
                client.delete_key(f"answer/{number}")
            client.delete_key(TASK)


if __name__ == "__main__":
    main()
