"""`clove run`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console, command_options
from clove.cli.foreground import Foreground
from clove.cli.published_ports import remark_on_ports
from clove.cli.run_options import NO_INDEXES, RunIndexes, run_options, spawn_fields
from clove.cli.run_program import Caller, Program, find_program, interpreter_of
from clove.cli.run_spawn import spawn_program
from clove.cli.run_words import NOTHING, RunWords, split_words
from clove.cli.standard_input import is_stream
from clove.errors import CloveError

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["RunCommand", "run", "run_words"]

EPILOG = """\b
Examples:
  clove run agent.py --topic bees            what follows SCRIPT is the script's
  clove run -m pytest tests                  a module, from here or installed
  clove run -- git --version                 any program
  clove run --dir . -- make test             in this directory, which it may change
  clove run --dir .:ro --dir out agent.py    it may read this one and change ./out
  clove run --allow-domain pypi.org agent.py it may connect there
  clove run --requirements requirements.txt agent.py
                                             with these packages, installed once
  clove run --memory 512M --timeout 10m --restart on-failure agent.py
  clove run --publish 8080:8000 -- python3 -m http.server 8000
  clove run --level readonly agent.py        it may read and think
  clove run --detach --name worker agent.py  leave it running
  clove run --unsandboxed agent.py           here, with the kernel's own rights

\b
A script's directory comes along, read-only, and so does the virtual environment
that is active. Without --dir it starts in /workspace, an empty directory that
goes when it ends.

\b
Exit code: the program's own; 128 + n if signal n ended it; 1 if it could not be
started; 2 if the command line is wrong."""

WHAT = "SCRIPT|DIRECTORY|-m MODULE|-- PROGRAM"
_WORDS = "clove.run.words"
OTHERWISE = {
    **dict.fromkeys(("-v", "--volume", "--mount"), "--dir PATH[:ro][:AS]"),
    **dict.fromkeys(("-w", "--workdir", "--cwd"), "--dir (it starts in the first)"),
    **dict.fromkeys(("-c", "--cpu-quota"), "--cpus"),
    **dict.fromkeys(("--pids-limit", "--processes"), "--pids"),
    **dict.fromkeys(("--net", "--allow-net"), "--network or --allow-domain NAME"),
    "--shm-size": "--shm",
    "--tmpfs": "--tmp",
}
"""Options of docker and the like, and what does that here."""
_LOCK = "clove.run.lock"


class RunCommand(click.Command):
    """A command whose options end where the program begins."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; the rest is for L{find_program}."""
        valued = [
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag and not param.count
            for name in param.opts
        ]
        words = split_words(args, valued)
        ctx.meta[_WORDS] = words
        try:
            return super().parse_args(ctx, list(words.options))
        except click.NoSuchOption as error:
            other = OTHERWISE.get(error.option_name)
            if other is None:
                raise
            text = f"no such option {error.option_name}: did you mean {other}?"
            raise click.UsageError(text, ctx) from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands after `clove run` in the help."""
        return ["[OPTIONS]", WHAT, "[ARGS]..."]


@click.command(cls=RunCommand, epilog=EPILOG)
@run_options
@command_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    console: Console,
    name: str | None,
    detach: bool,
    forget: bool,
    **asked: Any,
) -> None:
    """Run a program as an agent in a sandbox of its own, and stream its output.

    SCRIPT is a Python file, DIRECTORY has a __main__.py, PROGRAM is looked up in
    the sandbox. Ctrl-C ends the agent.
    """
    if console.machine() is not None:
        from clove.cli.fleet.agent_run import run_on_machine

        whole = dict(asked, name=name, detach=detach, forget=forget)
        ctx.exit(run_on_machine(ctx, console, whole))
    asked = _with_profile(ctx, asked)
    kept = _keep(run_words(ctx), asked)
    indexes = _indexes(asked)
    program, fields = _prepare(ctx, console, asked, indexes)
    fields["attach"] = None if detach else True
    fields["forget"] = (forget and detach) or None  # else it is when all is told
    _connect(asked, fields, detached=detach)
    with console.client() as client:
        reply, remark = spawn_program(client, program, name, fields)
        said = (remark, kept, indexes.remark, remark_on_ports(reply["published"]))
        for each in filter(None, said):
            console.remark(each)
        if detach:
            _say_detached(console, reply)
            return
        if console.as_json:
            console.data({"event": "spawned", **reply})
        code = _attend(console, client, reply, fields, asked["detach_keys"])
        if forget:
            _forget(client, reply["agent_id"])
        ctx.exit(code)


def run_words(ctx: click.Context) -> RunWords:
    """What stands on the command line.

    @raise click.UsageError: nothing that could be run.
    """
    words: RunWords = ctx.meta[_WORDS]
    if words.form == NOTHING:
        raise click.UsageError(f"what shall run? Name {WHAT.replace('|', ', ')}.", ctx)
    return words


def _with_profile(ctx: click.Context, asked: dict[str, Any]) -> dict[str, Any]:
    """The options with those of the profile that is asked for.

    @raise CloveError: there is no such profile, or it is wrong.
    """
    chosen = asked.pop("profile")
    if chosen is None:
        return asked
    from clove.cli.profile_files import load_profile, merged  # reads TOML: not for every start

    return merged(load_profile(chosen, ctx.command).options, asked)


def _keep(words: RunWords, asked: dict[str, Any]) -> str:
    """Grant what is to stay, if that is asked for; gives what is to be said about it."""
    named, keep = asked.pop("workspace"), asked.pop("keep")
    if named is None and not keep:
        return ""
    from clove.cli.workspaces import new_name, open_workspace

    if named is not None and keep:
        raise click.UsageError("--workspace has a name of its own: leave --keep out")
    grant = open_workspace(named or new_name(os.path.basename(words.target)))
    asked["dirs"] = (*asked["dirs"], grant)
    return "" if named else f"what it makes in {grant.path} stays"


def _indexes(asked: dict[str, Any]) -> RunIndexes:
    """What the package indexes need that are asked for; their hosts are among the domains then."""
    kinds = asked.pop("indexes")
    if not kinds:
        return NO_INDEXES
    from clove.cli.run_indexes import indexes_of

    found = indexes_of(kinds, asked["dirs"], os.environ)
    if asked["domains"] or not asked["network"]:
        asked["domains"] = tuple(dict.fromkeys((*asked["domains"], *found.domains)))
    return found


def _forget(client: CloveClient, agent_id: int) -> None:
    """Forget an agent that has ended; one that lives on, since it was only left, stays."""
    with contextlib.suppress(CloveError):
        client.prune(agent_id=agent_id)


def _connect(asked: Mapping[str, Any], fields: dict[str, Any], *, detached: bool) -> None:
    """Give it our terminal, or our standard input.

    @raise click.UsageError: we have no terminal.
    """
    fields["tty"] = fields["stdin"] = None
    if asked["tty"]:
        from clove.cli.shown_agent import terminal_environment, terminal_size

        ours = sys.stdin.isatty() and sys.stdout.isatty()
        if not (ours or detached):
            raise click.UsageError("-t needs a terminal, and standard input or output is none")
        fields["tty"] = terminal_size() if ours else {}
        fields["env"] = {**terminal_environment(), **(fields["env"] or {})}
    elif not detached and (asked["interactive"] or is_stream()):
        fields["stdin"] = "stream"


def _attend(
    console: Console,
    client: CloveClient,
    reply: Mapping[str, Any],
    fields: Mapping[str, Any],
    detach_keys: str,
) -> int:
    """Pass on its output, and our input; gives our exit code."""
    if fields["tty"] is not None:
        return _show(console, client, reply, detach_keys)
    restarts, typed = fields["restart_policy"] != "never", fields["stdin"] is not None
    agent_id = reply["agent_id"]
    return Foreground(console, client, agent_id, restarts=restarts, typed=typed).attend()


def _show(console: Console, client: CloveClient, reply: Mapping[str, Any], detach_keys: str) -> int:
    """Show its terminal on ours; gives our exit code."""
    from clove.cli.ends import report_end
    from clove.cli.shown_agent import ShownAgent

    agent_id = reply["agent_id"]
    shown = ShownAgent(console, client, agent_id, reply["name"], detach_keys)
    return report_end(console, client.wait(agent_id)) if shown.show() else 0


def _prepare(
    ctx: click.Context, console: Console, asked: dict[str, Any], indexes: RunIndexes
) -> tuple[Program, dict[str, Any]]:
    """What to start, and the fields of SPAWN beside that.

    @raise click.UsageError: there is no such script or interpreter, or options contradict.
    """
    caller = Caller(
        cwd=os.getcwd(),
        environ=os.environ,
        sandboxed=not asked["unsandboxed"],
        python=asked.pop("python"),
        grants=asked["dirs"],
    )
    words, required = run_words(ctx), asked.pop("requirements")
    try:
        program = find_program(words, caller)
    except CloveError as error:
        raise click.UsageError(f"{error.message} ({error.hint})") from None
    if required:
        environment = _environment(ctx, console, required, caller)
        program = find_program(words, caller._replace(python=environment))
    fields = spawn_fields(asked, {**indexes.env, **program.env})
    if program.python is not None:
        fields["python"] = program.python
    fields["mounts"] = [each.mount for each in (*asked["dirs"], *indexes.grants)] or None
    return program, fields


def _environment(
    ctx: click.Context, console: Console, required: tuple[str, ...], caller: Caller
) -> str:
    """The directory of a virtual environment with what is required; ends as its build does, if that fails.

    @raise click.UsageError: the program would run on the host.
    """
    if not caller.sandboxed:
        raise click.UsageError(
            "--requirements is for sandboxes: what packages do when they are built "
            "and imported stays in there"
        )
    from clove.cli.environment_build import BuildFailed
    from clove.cli.run_environment import provide_environment

    try:
        provided = provide_environment(console, required, interpreter_of(caller))
    except BuildFailed as error:
        console.remark(f"{', '.join(required)} could not be installed: nothing was started")
        if console.as_json:
            console.data(error.fields())
        ctx.exit(error.exit_code)
    ctx.meta[_LOCK] = provided.lock
    return provided.path


def _say_detached(console: Console, reply: Mapping[str, Any]) -> None:
    if console.as_json:
        console.data(reply)
    else:
        console.line(f"{reply['name']} runs as agent {reply['agent_id']}")
