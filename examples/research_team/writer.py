"""The writer: makes a report of findings.

It confirms a message only when the report is sent. Were it killed before, the
message would come again.
"""

from __future__ import annotations

import sys
from typing import Any

from clove import CloveClient

LISTENING = 10.0
"""Seconds to wait for findings, before asking again."""


def report(client: CloveClient, topic: str, findings: list[dict[str, str]]) -> str:
    """A report in Markdown."""
    notes = "\n".join(finding["answer"] for finding in findings)
    reply = client.think(
        f"Summarise what is known about {topic}.\n{notes}",
        system_instruction="A clear and sober writer; one paragraph.",
    )
    parts = [f"# {topic}", reply["content"]]
    for finding in findings:
        parts += [f"## {finding['question']}", finding["answer"]]
    parts.append(f"_Written with the model {reply['model']} ({reply['provider']})._")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write what is asked for, for ever."""
    with CloveClient(sys.argv[1]) as client:
        while True:
            reply = client.recv_messages(1, wait=LISTENING, ack="manual")
            for mail in reply["messages"]:
                task: dict[str, Any] = mail["message"]
                text = report(client, task["topic"], task["findings"])
                client.send_message({"report": text}, to_name=mail["from_name"])
                client.ack_messages([mail["id"]])
                client.emit_event("progress", {"text": "sent the report"})


if __name__ == "__main__":
    main()
