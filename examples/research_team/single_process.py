"""The same team as functions of one process: simple, but they stand and fall together.

clove run examples/research_team/single_process.py "tidal power"
"""

from __future__ import annotations

import sys

from clove import CloveClient


def research(client: CloveClient, question: str) -> str:
    """Answer one question."""
    reply = client.think(question, system_instruction="A careful researcher; one short paragraph.")
    return str(reply["content"])


def write(client: CloveClient, topic: str, findings: dict[str, str]) -> str:
    """Make a report, in Markdown, of the findings."""
    notes = "\n".join(findings.values())
    reply = client.think(
        f"Summarise what is known about {topic}.\n{notes}",
        system_instruction="A clear and sober writer; one paragraph.",
    )
    parts = [f"# {topic}", str(reply["content"])]
    for question, answer in findings.items():
        parts += [f"## {question}", answer]
    parts.append(f"_Written with the model {reply['model']} ({reply['provider']})._")
    return "\n\n".join(parts) + "\n"


def coordinate(client: CloveClient, topic: str) -> str:
    """Divide the work, and give the report."""
    questions = [
        f"What is {topic}?",
        f"How does {topic} work?",
        f"Who needs {topic}, and what for?",
        f"What is still unsolved about {topic}?",
    ]
    findings = {question: research(client, question) for question in questions}
    return write(client, topic, findings)


def main() -> None:
    """Print a report: `single_process.py TOPIC` (a SPAWN puts the socket's path before it)."""
    with CloveClient() as client:
        print(coordinate(client, sys.argv[-1]), end="")


if __name__ == "__main__":
    main()
