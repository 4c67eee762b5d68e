"""A call of every command of `clove`: what is typed, and what has to be there for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from clove._version import __version__
from tests.cloud.containers import use_fakes
from tests.integration.cli import subjects as a
from tests.integration.cli.prepared import Prepared
from tests.integration.cli.subjects import Names, nothing

__all__ = ["ROWS", "Row"]


class Row(NamedTuple):
    """@ivar command: as it stands behind `clove`.
    @ivar rest: what follows; names in braces are those that C{before} gives.
    @ivar before: makes what the call is about, anew for each.
    @ivar raw: a pipe gets data of agents as it is.
    @ivar json: with --json it prints JSON.
    @ivar typed: on standard input.
    @ivar until: once that was written, it is interrupted.
    @ivar meanwhile: is called while it runs.
    @ivar prepare: is called in its process.
    @ivar silent: it says nothing to people.
    @ivar long: why lines may be longer than a terminal; else they may not.
    """

    command: str
    rest: str = ""
    before: Callable[[Prepared], Names] = nothing
    code: int = 0
    raw: bool = False
    json: bool = True
    typed: str = ""
    until: str = ""
    meanwhile: Callable[[Prepared, Names, str], Any] | None = None
    prepare: Callable[[], None] | None = None
    environ: Callable[[Prepared], Names] = nothing
    long: str = ""
    silent: bool = False


DRY = "--label env=test --hub wss://relay.example.org:8765 --dry-run"
UP = "--no-systemd --socket {socket} --state-dir {directory}"
ON = "--machine build-7"
ROWS: Final = (
    Row("run", "--name {name} {script}", a.script_file),
    Row("workspace list", "", a.workspace),
    Row("workspace path", "{name}", a.workspace, long="a path"),
    Row("workspace rm", "--force {name}", a.workspace),
    Row("cache list", "", a.environment),
    Row("cache prune", "--all", a.environment),
    Row("profile list"),
    Row("profile show", "coding", long="a file"),
    Row("profile check", "coding", long="a path"),
    Row("ps", "-a"),
    Row("attach", "{agent}", a.emitter, code=130, until="tick"),
    Row("exec", "web echo hi"),
    Row("logs", "web", raw=True),
    Row("kill", "{agent}", a.agent),
    Row("restart", "{agent}", a.agent),
    Row("pause", "{agent}", a.agent),
    Row("resume", "{agent}", a.paused),
    Row("update", "{agent} --publish 0:8000", a.agent),
    Row("rename", "{agent} {agent}-2", a.agent),
    Row("wait", "{agent}", a.ended),
    Row("inspect", "web", long="paths"),
    Row("prune", "{agent}", a.ended),
    Row("ls", "-l web:/"),
    Row("cat", "{hostile}", a.hostile_file, raw=True),
    Row("cp", "{file} web:", a.copied_file),
    Row("rm", "web:{file}", a.copied, silent=True),
    Row("diff", "web"),
    Row("stats"),
    Row("top", "--count 1"),
    Row("events", "--count 1 STATE_CHANGED", meanwhile=a.stored),
    Row("audit", "--tail 20"),
    Row("state list"),
    Row("state get", "note", raw=True),
    Row("state set", "{key} text", a.key),
    Row("state delete", "{key}", a.key),
    Row("llm usage", "--all"),
    Row("llm ask", "hello", long="what the model says"),
    Row("why", "web READ /etc/passwd"),
    Row("up", UP, a.no_kernel, long="a path"),
    Row("down", "--force --socket {socket}", a.own_kernel),
    Row("tunnel join", "{url} {machine}", a.joining, typed="{token}", environ=a.spare),
    Row("tunnel status", "", a.joined, environ=a.spare),
    Row("tunnel callers"),
    Row("tunnel leave", "", a.joined, environ=a.spare),
    Row("relay up", "--no-systemd {where}", a.relay_place, long="a path"),
    Row("relay status", "{where}", a.relay_up, long="a path"),
    Row("relay backup", "{file} {where}", a.relay_up, long="a path, a hash"),
    Row("relay down", "{where}", a.relay_up),
    Row("relay restore", "--replace {file} {where}", a.backup),
    Row("login", "{url} --name {name}", a.login, typed="{admin}"),
    Row("logout", "{name}", a.context),
    Row("config list"),
    Row("config show"),
    Row("config get", "relay"),
    Row("config set", "machine build-7"),
    Row("config use", "{name}", a.context),
    Row("config remove", "{name}", a.context),
    Row("status"),
    Row("machines list", "", a.machine),
    Row("machines show", "{machine}", a.machine),
    Row("machines join", "{machine}", a.machine),
    Row("machines rename", "{machine} front", a.machine),
    Row("machines label", "{machine} env=test", a.machine),
    Row("machines drain", "{machine}", a.machine),
    Row("machines denials"),
    Row("machines remove", "{machine}", a.machine),
    Row("machines doctor", "build-7"),
    Row("machines logs", "{machine}", a.machine),
    Row("machines ssh", "build-7 -- uptime"),
    Row("agent run", f"{ON} --name {{name}} {{script}}", a.script_file),
    Row("agent create", f"{ON} {{script}}", a.script_file),
    Row("agent list", f"{ON} -a"),
    Row("agent inspect", f"{ON} web", long="paths"),
    Row("agent logs", f"{ON} web", raw=True),
    Row("agent attach", f"{ON} {{agent}}", a.emitter, code=130, until="tick"),
    Row("agent exec", f"{ON} web echo hi"),
    Row("agent cp", f"{ON} {{file}} web:", a.copied_file),
    Row("agent stop", f"{ON} {{agent}}", a.agent),
    Row("forward", "build-7:web:8000 0", until="\n"),
    Row("deploy ssh", f"ann@build-9 {DRY}"),
    Row("deploy docker", f"--name box {DRY}"),
    Row("deploy kubernetes", f"--image registry.example.org/clove:1 --count 2 {DRY}"),
    Row("deploy aws", f"--name fleet --count 2 {DRY}"),
    Row("deploy gcp", f"--name fleet --count 2 --project p {DRY}"),
    Row(
        "deploy upgrade",
        f"box --to {__version__}",
        a.deployment,
        environ=a.fakes,
        prepare=use_fakes,
    ),
    Row("deploy bundle", "", prepare=a.bundles, long="a path, a hash"),
    Row("deploy list", "", a.deployment, environ=a.fakes),
    Row("deploy show", "box", a.deployment, environ=a.fakes, long="paths, addresses"),
    Row("tokens create", "--kind agent --label env=prod"),
    Row("tokens list", "--all", a.token),
    Row("tokens narrow", "{token} --label env=prod --label zone=a", a.token),
    Row("tokens revoke", "{token}", a.token),
    Row("tokens rotate", "{token}", a.token),
    Row("tokens show", "{token}", a.token),
    Row("completion", "bash", long="a program"),
    Row("doctor"),
)
