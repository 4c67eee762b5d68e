"""`clove llm`: the language model, and what agents use of it."""

from __future__ import annotations

import sys
from typing import Any

import click

from clove.cli.console import Console, command_options
from clove.cli.groups import NearGroup
from clove.cli.option_types import Choice
from clove.cli.tables import STYLES, make_table, print_table
from clove.cli.text import counted
from clove.cli.usage import CUT, agents_of

__all__ = ["llm"]

LEVELS = ("low", "medium", "high")


@click.group(
    cls=NearGroup,
    epilog="""\b
Examples:
  clove llm usage
  clove llm usage --json | jq -s 'map(.llm.tokens) | add'
  clove llm ask 'Say hello'
  clove llm ask --model gemini-2.5-flash --system 'Be brief' - < question.txt

\b
--json goes with each.""",
)
def llm() -> None:
    """Ask the language model as agents do, and see what they use of it."""


@llm.command("usage", epilog="\b\nExamples:\n  clove llm usage\n  clove llm usage --all")
@click.option("--all", "connections", is_flag=True, help="Also connections that no agent has.")
@command_options
def usage(console: Console, connections: bool) -> None:
    """Show calls, tokens and budget of each agent that runs; a budget of - has no bound."""
    with console.client() as client:
        agents, truncated = agents_of(client, connections=connections)
    if console.as_json:
        fields = ("agent_id", "name", "status", "llm")
        console.each({field: one[field] for field in fields} for one in agents)
    if truncated:
        console.remark_truncated(CUT)
    if console.as_json:
        return
    if not agents:
        console.remark("no agents run")
        return
    titles = ("ID", "NAME", "STATE", "CALLS", "TOKENS", "BUDGET")
    rows = [
        (
            str(one["agent_id"]),
            str(one["name"]) or "-",
            str(one["status"]),
            str(one["llm"]["calls"]),
            str(one["llm"]["tokens"]),
            str(one["llm"]["budget"] or "-"),
        )
        for one in agents
    ]
    styles = [STYLES.get(str(one["status"]), "dim") for one in agents]
    print_table(make_table(titles, rows, numbers=("ID", *titles[3:]), styles=styles))


@llm.command(
    "ask",
    epilog="""\b
Examples:
  clove llm ask 'Say hello'
  clove llm ask --json --max-tokens 100 'Say hello'
  clove llm ask - < question.txt
""",
)
@click.argument("prompt")
@click.option("--model", help="Which one (default: the kernel's).")
@click.option("--system", help="An instruction that stands above the prompt.")
@click.option("--thinking", type=Choice(LEVELS), help="How much it thinks first.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens of the answer at most.")
@click.option(
    "--temperature", type=click.FloatRange(min=0, max=2), help="How much chance there is."
)
@command_options
def ask(
    console: Console,
    prompt: str,
    model: str | None,
    system: str | None,
    thinking: str | None,
    max_tokens: int | None,
    temperature: float | None,
) -> None:
    """Ask the model; `-` reads PROMPT from standard input. The answer comes line by line."""
    text = sys.stdin.read() if prompt == "-" else prompt
    fields: dict[str, Any] = {
        "model": model,
        "system_instruction": system,
        "thinking_level": thinking,
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    with console.client() as client:
        if console.as_json:
            console.data(client.think(text, **fields))
            return
        stream = client.think_stream(text, **fields)
        rest = ""
        for piece in stream:
            *lines, rest = (rest + piece).split("\n")
            for line in lines:
                console.line(line)
        if rest:
            console.line(rest)
        reply = stream.finish()
    console.remark(
        f"{counted(reply.get('tokens', 0), 'token')} of {reply.get('model') or 'the model'}"
    )
