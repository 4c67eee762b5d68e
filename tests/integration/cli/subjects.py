"""What a call of a command is about, made anew for each call."""

from __future__ import annotations

from pathlib import Path

from clove import CloveClient
from clove.deploy import bundle
from clove.deploy.bundle import Bundle, Target
from tests.integration.cli.prepared import HOSTILE, Prepared

__all__ = [
    "agent",
    "backup",
    "bundles",
    "context",
    "copied",
    "copied_file",
    "deployment",
    "emitter",
    "ended",
    "environment",
    "fakes",
    "hostile_file",
    "joined",
    "joining",
    "key",
    "login",
    "machine",
    "no_kernel",
    "nothing",
    "own_kernel",
    "paused",
    "relay_place",
    "relay_up",
    "script_file",
    "small_bundle",
    "spare",
    "stored",
    "token",
    "workspace",
]

Names = dict[str, str]
"""That stand in braces in a row."""


def nothing(prepared: Prepared) -> Names:
    return {}


def agent(prepared: Prepared) -> Names:
    return {"agent": prepared.agent()}


def paused(prepared: Prepared) -> Names:
    names = agent(prepared)
    prepared.here.pause(names["agent"])
    return names


def ended(prepared: Prepared) -> Names:
    return {"agent": prepared.ended()}


def machine(prepared: Prepared) -> Names:
    return {"machine": prepared.machine()}


def token(prepared: Prepared) -> Names:
    return {"token": prepared.token()}


def script_file(prepared: Prepared) -> Names:
    return {"script": prepared.file("print('hello')\n"), "name": f"run-{prepared.number()}"}


def copied_file(prepared: Prepared) -> Names:
    return {"file": prepared.file("text", f"copies/{prepared.number()}.txt")}


def hostile_file(prepared: Prepared) -> Names:
    prepared.clove("cp", prepared.file(f"text {HOSTILE}\n", "hostile.txt"), "web:")
    return {"hostile": "web:hostile.txt"}


def copied(prepared: Prepared) -> Names:
    name = f"copy-{prepared.number()}.txt"
    prepared.clove("cp", prepared.file("text"), f"web:{name}")
    return {"file": name}


def key(prepared: Prepared) -> Names:
    key = f"jobs/{prepared.number()}"
    prepared.here.store(key, "text")
    return {"key": key}


def workspace(prepared: Prepared) -> Names:
    return {"name": prepared.workspace()}


def environment(prepared: Prepared) -> Names:
    prepared.environment()
    return {}


def context(prepared: Prepared) -> Names:
    return {"name": prepared.context()}


def stored(prepared: Prepared, names: Names, said: str) -> None:
    prepared.here.store("watched", "x")


def emitter(prepared: Prepared) -> Names:
    """An agent that says something all the time."""
    name = f"clock-{prepared.number()}"
    prepared.there.spawn(name, command=["sh", "-c", "while :; do echo tick; sleep 0.05; done"])
    return {"agent": name}


def joining(prepared: Prepared) -> Names:
    """A machine that is about to join, from the kernel beside."""
    with CloveClient(prepared.spare.socket) as spare:
        spare.tunnel_disconnect()
    machine = f"spare-{prepared.number()}"
    token = prepared.relay.issue_token("join", machine_id=machine)["token"]
    return {"url": prepared.fleet.url, "machine": machine, "token": str(token)}


def joined(prepared: Prepared) -> Names:
    names = joining(prepared)
    with CloveClient(prepared.spare.socket) as spare:
        spare.tunnel_connect(names["url"], names["machine"], names["token"])
    return names


def spare(prepared: Prepared) -> Names:
    return {"CLOVE_SOCKET": prepared.spare.socket}


def no_kernel(prepared: Prepared) -> Names:
    """A place for a kernel of its own."""
    directory = f"{prepared.home}/k"
    return {"socket": f"{directory}/s", "directory": directory}


def own_kernel(prepared: Prepared) -> Names:
    names = no_kernel(prepared)
    words = ["up", "--no-systemd", "--socket", names["socket"], "--state-dir", names["directory"]]
    prepared.clove(*words)
    return names


def relay_place(prepared: Prepared) -> Names:
    directory = f"{prepared.home}/r"
    config = prepared.file("[rest]\nport = 0\n[hub]\nport = 0\n", "relay.toml")
    return {"where": f"--config {config} --state-dir {directory}", "file": f"{prepared.home}/b"}


def relay_up(prepared: Prepared) -> Names:
    names = relay_place(prepared)
    prepared.clove("relay", "up", "--no-systemd", *names["where"].split())
    Path(names["file"]).unlink(missing_ok=True)
    return names


def backup(prepared: Prepared) -> Names:
    names = relay_up(prepared)
    prepared.clove("relay", "backup", names["file"], *names["where"].split())
    prepared.clove("relay", "down", *names["where"].split())
    return names


def login(prepared: Prepared) -> Names:
    return {"url": prepared.context_url, "name": f"in{prepared.number()}"}


def deployment(prepared: Prepared) -> Names:
    """A container, deployed to a Docker and a relay that are files."""
    prepared.deploy()
    return {}


def fakes(prepared: Prepared) -> Names:
    return prepared.fakes


def small_bundle(directory: Path, target: Target) -> Bundle:
    """What stands for one: to make it takes 15 s, and has tests of its own."""
    path = directory / f"clove-0.1.0-{target.name}.tar.gz"
    path.write_bytes(b"bundle")
    return Bundle(path, target, "0.1.0-3fa94c21", "a" * 64)


def bundles() -> None:
    """Have the command make that."""
    bundle.make_bundle = small_bundle  # type: ignore[assignment]


DRY = "--label env=test --dry-run"
