"""What the commands of all targets share: their options, and how a deployment is carried out."""

from __future__ import annotations

import contextlib
import functools
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from clove.cli.console import Console
from clove.cli.deploy.shown import Shown, show_plan
from clove.cli.fleet.relay_options import choice_options, label_option
from clove.deploy.addresses import check_hub
from clove.deploy.engine import begin, carry_out, check_same, plan, undo
from clove.deploy.journal import Journal, Record, check_name, deployments, home, read
from clove.deploy.kinds import Place, find_kind, make_target
from clove.deploy.relay import Relay
from clove.errors import InvalidRequest, NotFound, Unavailable

__all__ = [
    "Asked",
    "TargetCommand",
    "deployment_options",
    "far_relay",
    "interrupts_told",
    "place_of",
]

F = TypeVar("F", bound=Callable[..., Any])

_NOT_REPEATED = ("dry_run", "destroy", "yes", "as_json")
"""Options of one run, which the command that goes on does not have."""


class Asked(NamedTuple):
    """What all targets are asked for.

    @ivar command: what was typed, without what concerns this run alone.
    """

    console: Console
    relay: Relay
    hub: str
    labels: Mapping[str, str]
    dry_run: bool
    destroy: bool
    yes: bool
    command: str

    def deploy(self, kind: str, name: str, options: Mapping[str, Any]) -> None:
        """Plan, carry out or undo a deployment.

        @param options: of the target, JSON; with C{labels} and C{hub} they are what the journal has.
        """
        chosen = find_kind(kind)
        given = {**options, "labels": dict(self.labels), "hub": self.hub}
        record = Record(
            name=check_name(name),
            target=kind,
            options=given,
            relay=self.relay.url,
            machines=chosen.machines(name, options),
            command=self.command,
            created=time.time(),
        )
        if self.destroy:
            self._destroy(name, kind)
        elif self.dry_run:
            self._plan(record)
        else:
            self._carry_out(record)

    def _plan(self, record: Record) -> None:
        kind = find_kind(record.target)
        old = read(record.name) if record.name in deployments() else None
        if old is not None:
            check_same(old, record, _changeable(kind))
        target = kind.make(place_of(record, self.relay), record.options)
        show_plan(self.console, record, plan(target, old))

    def _carry_out(self, record: Record) -> None:
        kind = find_kind(record.target)
        target = kind.make(place_of(record, self.relay), record.options)
        with Journal.locked(record.name) as journal, interrupts_told(self.console, record.command):
            begin(journal, record, _changeable(kind))
            facts = carry_out(journal, target, Shown(self.console))
        if self.console.as_json:
            told = {"event": "deployed", "name": record.name, "machines": record.machines}
            self.console.data({**told, "facts": facts})
            return
        for machine in record.machines:
            self.console.line(machine)
        self.console.remark(f"now: clove agent run SCRIPT --machine {record.machines[0]}")

    def _destroy(self, name: str, kind: str) -> None:
        with Journal.locked(name) as journal:
            record = journal.record
            if record is None:
                raise NotFound(f"there is no deployment {name}", hint="clove deploy list")
            if record.target != kind:
                raise InvalidRequest(
                    f"{name} is a deployment to {record.target}",
                    hint=f"{record.command} --destroy",
                )
            _confirm(record, self.yes)
            made = any(entry.state != "undone" for entry in record.steps)
            if made and record.relay != self.relay.url:
                raise InvalidRequest(
                    f"{name} is at the relay {record.relay}", hint=f"say --relay {record.relay}"
                )
            relay = self.relay.dialled_at(record.options.get("hub", self.hub))
            target = make_target(record.target, place_of(record, relay), record.options)
            with interrupts_told(self.console, f"{record.command} --destroy"):
                undo(journal, target, Shown(self.console))
        if self.console.as_json:
            self.console.data({"event": "destroyed", "name": name})
        else:
            self.console.line(f"{name} is gone")


def place_of(record: Record, relay: Relay) -> Place:
    """Where a deployment is."""
    labels = record.options.get("labels", {})
    return Place(record.name, home() / record.name, relay, labels)


def _changeable(kind: Any) -> tuple[str, ...]:
    return (*kind.CHANGEABLE,)


def _confirm(record: Record, yes: bool) -> None:
    """@raise InvalidRequest: there is no terminal on which to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest(
            f"{record.name} is destroyed only when that is confirmed", hint="add --yes"
        )
    steps = ", ".join(entry.step for entry in record.steps if entry.state != "undone")
    click.confirm(f"Undo {record.name} ({record.target}: {steps})?", abort=True, err=True)


@contextlib.contextmanager
def interrupts_told(console: Console, command: str) -> Iterator[None]:
    """Say what goes on with it when Ctrl-C has ended a run."""
    try:
        yield
    except KeyboardInterrupt:
        console.remark(f"interrupted; go on with: {command}")
        raise SystemExit(128 + signal.SIGINT) from None


def far_relay(
    console: Console,
    relay: str | None,
    token_file: str | None,
    ca_file: str | None,
    hub: str | None,
) -> Relay:
    """The relay that a command means; its token is read when it is first needed.

    @raise CloveError: an address is none, or the certificates cannot be read.
    """
    from clove.cli.fleet.context import chosen_context
    from clove.client.relay_replies import address_of

    chosen = chosen_context(console.context, relay=relay, token_file=token_file, ca_file=ca_file)
    address_of(chosen.relay, plain=False)
    authority = ""
    if chosen.ca_file:
        try:
            authority = Path(chosen.ca_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"cannot read {chosen.ca_file}: {error}") from None
    return Relay(
        chosen.relay,
        check_hub(hub or chosen.hub),
        chosen.fleet,
        authority,
    )


class TargetCommand(click.Command):
    """A target's command that takes no arguments: what looks like a deployment's name is for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        allowed, ctx.allow_extra_args = ctx.allow_extra_args, True
        rest = super().parse_args(ctx, args)
        ctx.allow_extra_args = allowed
        if ctx.args and not ctx.resilient_parsing:
            name = shlex.quote(ctx.args[0])
            ctx.fail(f"it takes no arguments: did you mean --name {name}?")
        return rest


_OPTIONS = (
    label_option("Give its machines this label; may be repeated."),
    click.option("--dry-run", is_flag=True, help="Say what would be done and what it costs."),
    click.option("--destroy", is_flag=True, help="Undo what was made, and nothing else."),
    click.option("-y", "--yes", is_flag=True, help="With --destroy: do not ask."),
    click.option("--hub", metavar="URL", help="What the machine dials [the context's]."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for machines."),
    choice_options,
)


def deployment_options(function: F) -> F:
    """Give a target's command these options; it gets L{Asked} as its first argument."""

    @click.pass_context
    def command(
        ctx: click.Context,
        /,
        labels: dict[str, str],
        dry_run: bool,
        destroy: bool,
        yes: bool,
        hub: str | None,
        as_json: bool,
        context: str | None,
        relay: str | None,
        token_file: str | None,
        ca_file: str | None,
        **given: Any,
    ) -> Any:
        console: Console = ctx.obj
        console.as_json = console.as_json or as_json
        console.context = context or console.context
        found = far_relay(console, relay, token_file, ca_file, hub)
        words = _words(ctx)
        asked = Asked(console, found, found.hub, labels, dry_run, destroy, yes, words)
        return function(asked, **given)

    functools.update_wrapper(command, function)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def _words(ctx: click.Context) -> str:
    """What was typed, without the options of this run alone."""
    words = ["clove", *ctx.command_path.split()[1:]]
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        if source is not click.core.ParameterSource.COMMANDLINE or param.name in _NOT_REPEATED:
            continue
        value = ctx.params[param.name or ""]
        if isinstance(param, click.Argument):
            words += [str(each) for each in (value if param.nargs != 1 else [value])]
            continue
        flag = param.opts[0]
        if isinstance(value, dict):
            words += [word for key, each in value.items() for word in (flag, f"{key}={each}")]
        elif isinstance(param, click.Option) and param.is_flag:
            words.append(flag if value else (param.secondary_opts or [flag])[0])
        else:
            many = value if isinstance(value, tuple) else (value,)
            words += [word for each in many for word in (flag, str(each))]
    return shlex.join(words)
