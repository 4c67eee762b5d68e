"""What every subcommand has: the client, and the two ways of speaking.

For people: text on stdout, remarks on stderr, cleaned of control characters
where it goes to a terminal. For machines (`--json`): one JSON value a line on
stdout, nothing else there.
"""

from __future__ import annotations

import functools
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from clove.cli.text import clean, escaped

if TYPE_CHECKING:
    from clove.cli.fleet.context import Context
    from clove.client.blocking import CloveClient
    from clove.client.limits import ClientLimits
    from clove.errors import CloveError

__all__ = ["Console", "command_options", "local_options", "offline_options"]

CONTEXTS: Final = "~/.clove/config.yaml"
F = TypeVar("F", bound=Callable[..., Any])


class Console:
    """The settings that all subcommands share.

    @ivar socket: the kernel's, or None for the usual one.
    @ivar as_json: print JSON, for programs.
    @ivar context: NAME or NAME/MACHINE, as `--context` has it; None: what the environment or the file says.
    @ivar relay: the relay that a command for one is about; None for other commands.
    @ivar remote: the machine that is meant, where that is settled already.
    """

    def __init__(self, socket: str | None, as_json: bool, context: str | None = None) -> None:
        self.socket = socket
        self.as_json = as_json
        self.context = context
        self.remote: Context | None = None
        self.relay: Context | None = None
        self._remarked: set[str] = set()

    def machine(self) -> Context | None:
        """The machine that a context names; None: this host is meant.

        @raise CloveError: there is no such context, or none of its machines is named.
        @raise click.UsageError: two kernels are named.
        """
        if self.remote is None and self._may_be_remote():
            from clove.cli.fleet.context import machine_context

            self.remote = machine_context(self.context)
        return self.remote

    def _may_be_remote(self) -> bool:
        """Whether it is worth to import what reads contexts."""
        if self.socket and self.context:
            raise click.UsageError("--socket names a kernel of this host, --context one of a relay")
        if self.socket:
            return False
        if self.context or os.environ.get("CLOVE_CONTEXT") or os.environ.get("CLOVE_MACHINE"):
            return True
        return "CLOVE_SOCKET" not in os.environ and os.path.exists(os.path.expanduser(CONTEXTS))

    def client(
        self, *, timeout: float | None = 30.0, limits: ClientLimits | None = None
    ) -> CloveClient:
        """A client of the kernel that is meant, not connected yet: of this host, or of a context's machine."""
        machine = self.machine()
        if machine is None:
            return self.local_client(timeout=timeout, limits=limits)
        from clove.cli.fleet.machine_client import MachineClient

        return MachineClient(machine, timeout=timeout, limits=limits, told=self.remark_anywhere)

    def check_local(self, why: str = "this command is about the kernel of this host") -> None:
        """@raise click.UsageError: the command line names a machine; the command is about this host."""
        if self.context:
            raise click.UsageError(f"{why}: leave --context out")

    def local_client(
        self, *, timeout: float | None = 30.0, limits: ClientLimits | None = None
    ) -> CloveClient:
        """A client of this host's kernel, whatever the environment or a file says.

        @raise click.UsageError: the command line names a machine.
        """
        self.check_local()
        from clove.cli.local_client import LocalClient

        return LocalClient(self, timeout=timeout, limits=limits)

    def data(self, value: Any) -> None:
        """A value for a machine."""
        click.echo(escaped(json.dumps(value, ensure_ascii=False)))

    def each(self, values: Iterable[Any]) -> None:
        """A list for a machine: a value a line, as everything that has several; nothing for none."""
        for value in values:
            self.data(value)

    def remark_truncated(self, text: str) -> None:
        """Say of a list that it has not all: to people the text, to machines a last line of its own."""
        if self.as_json:
            self.data({"truncated": True})
        self.remark(text)

    def line(self, text: str, *, stream: str = "stdout", newline: bool = True) -> None:
        """One line of text, or a piece of one, to stdout or stderr."""
        target = sys.stderr if stream == "stderr" else sys.stdout
        shown = clean(text) if target.isatty() else text
        click.echo(shown, file=target, color=True, nl=newline)

    def entry(self, text: str, *, indent: int = 4, stream: str = "stdout") -> None:
        """A line of something; what a terminal has no room for goes on below, without being cut.

        @param indent: blanks before what goes on.
        """
        from clove.cli.folding import folded

        target = sys.stderr if stream == "stderr" else sys.stdout
        for line in folded(target, clean(text) if target.isatty() else text, indent):
            self.line(line, stream=stream)

    def remark(self, text: str) -> None:
        """A word about what happens, on stderr; machines don't get it."""
        if not self.as_json:
            click.echo(_one_line(f"clove: {text}"), err=True)

    def remark_anywhere(self, text: str) -> None:
        """A remark that begins and ends at the left of a terminal that a program may have as it is."""
        margin = "\r" if sys.stderr.isatty() and not self.as_json else ""
        click.echo(margin, nl=False, err=True)
        self.remark(text)
        click.echo(margin, nl=False, err=True)

    def remark_version(self, what: str, version: str) -> None:
        """Say so where a kernel or a relay is too far from this command; once for each."""
        from clove._version import __version__
        from clove.cli.fleet.version_distance import too_far_apart

        if what not in self._remarked and too_far_apart(__version__, version):
            self._remarked.add(what)
            near = "more than one minor version"
            self.remark(f"this command is {__version__}, the {what} {version}: {near} apart")

    def error(self, error: CloveError) -> None:
        """Say what went wrong, in one line."""
        hint = self._advice(error.hint) or self._lost(error)
        if self.as_json:
            self.data({**error.fields(), **({"hint": hint} if hint or error.hint else {})})
            return
        rule = f" (rule: {error.rule})" if error.rule else ""
        advice = f" - {hint}" if hint else ""
        click.echo(_one_line(f"clove: {error.message}{rule}{advice}"), err=True)

    def _lost(self, error: CloveError) -> str:
        """What to look at when a connection has ended that stood; "" for other errors."""
        if error.code != "connection_lost":
            return ""
        if self.remote is not None:
            name, machine = shlex.quote(self.remote.name), shlex.quote(self.remote.machine or "")
            return f"is the machine connected? clove machines show {machine} --context {name}"
        if self.relay:
            return ""
        return "did the kernel end? clove up says whether it runs, or starts it"

    def _advice(self, hint: str) -> str:
        """What a kernel or a relay advises, in commands; of a kernel on a machine, for that machine."""
        from clove.cli.hints import for_commands, on_a_machine

        found = for_commands(hint)
        if self.remote is None:
            return found
        return on_a_machine(found, f"{self.remote.name}/{self.remote.machine}")


def _one_line(text: str) -> str:
    return clean(" ".join(text.splitlines()))


def command_options(function: F) -> F:
    """Give a subcommand --json, --socket and --context too, and the console as first argument."""
    return _with_options(function)


def local_options(function: F) -> F:
    """The same for a subcommand about this host's kernel: it refuses --context, wherever that stands."""
    return _with_options(function, "this command is about the kernel of this host")


def offline_options(function: F) -> F:
    """The same for a subcommand that asks no kernel: it refuses --context, and needs no --socket."""
    return _with_options(function, "this command is about this host", offline=True)


def _with_options(function: F, local: str = "", *, offline: bool = False) -> F:
    """@param local: why there is no --context; "": there is."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @click.option(
        "--socket", metavar="PATH", default=None, hidden=offline, help="The kernel's socket."
    )
    @click.option(
        "--context",
        metavar="[NAME]/MACHINE",
        hidden=bool(local),
        help="A machine of a relay is meant.",
    )
    @click.pass_obj
    def command(
        console: Console,
        /,
        *args: Any,
        as_json: bool,
        socket: str | None,
        context: str | None,
        **kw: Any,
    ) -> Any:
        console.as_json = console.as_json or as_json
        console.socket = socket or console.socket
        console.context = context or console.context
        if local:
            console.check_local(local)
        return function(console, *args, **kw)

    return functools.update_wrapper(command, function)  # type: ignore[return-value]
