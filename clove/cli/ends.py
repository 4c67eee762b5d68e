"""How an agent's end is told, and with which exit code ours follows."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.results import WaitReply

__all__ = ["report_end"]


def report_end(console: Console, end: WaitReply, *, readerless: bool = False) -> int:
    """Say how it ended, where that is not plain; gives the exit code for us.

    @param readerless: nothing read its output any more, by which SIGPIPE is plain.
    """
    if console.as_json:
        console.data({"event": "exited", **end})
    number = end.get("signal")
    reason = end.get("reason") or "exited"
    if number:
        if number != signal.SIGPIPE or not readerless:
            console.remark(f"the agent ended by {_signal_name(number)} ({reason})")
        return (128 + int(number)) & 0xFF
    if reason not in ("exited", "killed"):
        console.remark(f"the agent was ended: {reason}")
    code = end.get("exit_code")
    return 1 if code is None else int(code) & 0xFF


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
