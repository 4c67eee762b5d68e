"""The coordinator: divides the work, hands it on, and delivers the report."""

from __future__ import annotations

import sys
from typing import Any

from clove import CloveClient

LISTENING = 10.0
"""Seconds to wait for a colleague's answer, before asking again."""


def questions(topic: str) -> list[str]:
    """What there is to find out."""
    return [
        f"What is {topic}?",
        f"How does {topic} work?",
        f"Who needs {topic}, and what for?",
        f"What is still unsolved about {topic}?",
    ]


def wait_for(client: CloveClient, what: str) -> Any:
    """The next message that has this field; the field's value."""
    while True:
        for mail in client.recv_messages(1, wait=LISTENING)["messages"]:
            if what in mail["message"]:
                client.emit_event("progress", {"text": f"got the {what} of {mail['from_name']}"})
                return mail["message"][what]


def main() -> None:
    """See one topic through: `coordinator.py SOCKET TOPIC CUSTOMER`."""
    topic, customer = sys.argv[2], sys.argv[3]
    with CloveClient(sys.argv[1]) as client:
        asked = questions(topic)
        client.send_message({"questions": asked}, to_name="researcher")
        client.emit_event("progress", {"text": f"asked the researcher {len(asked)} questions"})
        findings = wait_for(client, "findings")
        client.send_message({"topic": topic, "findings": findings}, to_name="writer")
        client.emit_event("progress", {"text": "asked the writer for a report"})
        client.send_message({"report": wait_for(client, "report")}, to_name=customer)


if __name__ == "__main__":
    main()
