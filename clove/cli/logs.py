"""`clove logs`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console, command_options
from clove.cli.sinks import sinks
from clove.cli.target import AGENT, name_or_id
from clove.cli.text import counted, duration, parse_duration
from clove.client.blocking import CloveClient

if TYPE_CHECKING:
    from clove.client.results import LogLine

__all__ = ["logs", "show"]

EPILOG = """\b
Examples:
  clove logs researcher                what it has written so far
  clove logs -f researcher             and what it will write
  clove logs -f -n 20 researcher       the last 20 lines, and what it will write
  clove logs --since 10m researcher    of the last ten minutes
  clove logs --since 250 researcher    from line 250 on"""


_LONG = 3600.0
"""Seconds to wait for output before asking again."""


class Since(click.ParamType):  # type: ignore[type-arg]
    """A line's number, or a time span back from now."""

    name = "line or time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | timedelta:
        """A number of a line, or a span."""
        text = str(value)
        if text.isascii() and text.isdigit():
            return int(text)
        try:
            return parse_duration(text)
        except ValueError as error:
            self.fail(f"{error}, nor the number of a line", param, ctx)


@click.command(epilog=EPILOG)
@click.argument("agent", type=AGENT)
@click.option("-f", "--follow", is_flag=True, help="Go on until the agent has ended.")
@click.option(
    "--since", type=Since(), default=0, help="From this line on (250), or this long ago (10m)."
)
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(min=0),
    metavar="LINES",
    help="The last so many lines alone.",
)
@command_options
def logs(
    console: Console, agent: str, follow: bool, since: int | timedelta, tail: int | None
) -> None:
    """Show the output of AGENT (a name or an id), also of one that has ended."""
    oldest = None if isinstance(since, int) else datetime.now(UTC) - since
    start = since if isinstance(since, int) else 0
    with console.client() as client:
        try:
            which = name_or_id(client, agent)
            if oldest is None and tail is None and not start and not console.as_json:
                _pass_on(console, client, which, follow)
                return
            for line in _lines(console, client, which, start, follow=follow, tail=tail):
                if oldest is None or duration(line["timestamp"], oldest) <= timedelta(0):
                    show(console, line)
        except KeyboardInterrupt:
            return


def _pass_on(console: Console, client: CloveClient, agent: str | int, follow: bool) -> None:
    """The bytes as they are, in so far as they are still held; then, if asked, as they come."""
    targets = sinks(console)
    since, came = 0, "earlier bytes"
    while True:
        page = client.read_output(agent, since=since, wait=_LONG if follow else 0)
        if page["lost"]:
            console.remark(f"{page['lost']} {came} are no longer held")
        at = 0
        for piece in page["pieces"]:
            targets[piece["stream"]].write(page["data"][at : at + piece["size"]])
            at += piece["size"]
        since = page["next"]
        if page["ended"] or not (follow or page["data"]):
            break
        came = "bytes came too fast and"
    for target in targets.values():
        target.finish()


def _lines(
    console: Console,
    client: CloveClient,
    agent: str | int,
    start: int,
    *,
    follow: bool,
    tail: int | None,
) -> Iterator[LogLine]:
    """The lines that are held, or the last of them, and then those that come."""
    held: deque[LogLine] = deque(maxlen=tail)
    while True:
        page = client.logs(agent, since=start)
        if page.get("lost") and tail is None:
            console.remark(f"no longer held: {counted(page['lost'], 'earlier line')}")
        held.extend(page["lines"])
        start = page["next"]
        if not page["lines"]:
            break
    yield from held
    if follow:
        yield from _followed(console, client, agent, start)


def _followed(
    console: Console, client: CloveClient, agent: str | int, start: int
) -> Iterator[LogLine]:
    """The lines as they come; says how many came faster than they could be shown."""
    for line in client.follow_logs(agent, since=start):
        if line["offset"] > start:
            console.remark(f"{counted(line['offset'] - start, 'line')} came too fast to be held")
        start = line["offset"] + 1
        yield line


def show(console: Console, line: Mapping[str, Any]) -> None:
    """Print one line of an agent's output, to the stream that it wrote it to."""
    if console.as_json:
        console.data(line)
    else:
        console.line(line["text"], stream=line["stream"], newline=not line.get("partial"))
