"""What a call of a command is about, made anew for each call."""

from __future__ import annotations

from pathlib import Path

from clove import CloveClient
from clove.deploy import bundle
from clove.deploy.bundle import Bundle, Target
from tests.integration.cli.scene import HOSTILE, Scene

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


def nothing(scene: Scene) -> Names:
    return {}


def agent(scene: Scene) -> Names:
    return {"agent": scene.agent()}


def paused(scene: Scene) -> Names:
    names = agent(scene)
    scene.here.pause(names["agent"])
    return names


def ended(scene: Scene) -> Names:
    return {"agent": scene.ended()}


def machine(scene: Scene) -> Names:
    return {"machine": scene.machine()}


def token(scene: Scene) -> Names:
    return {"token": scene.token()}


def script_file(scene: Scene) -> Names:
    return {"script": scene.file("print('hello')\n"), "name": f"run-{scene.number()}"}


def copied_file(scene: Scene) -> Names:
    return {"file": scene.file("text", f"copies/{scene.number()}.txt")}


def hostile_file(scene: Scene) -> Names:
    scene.clove("cp", scene.file(f"text {HOSTILE}\n", "hostile.txt"), "web:")
    return {"hostile": "web:hostile.txt"}


def copied(scene: Scene) -> Names:
    name = f"copy-{scene.number()}.txt"
    scene.clove("cp", scene.file("text"), f"web:{name}")
    return {"file": name}


def key(scene: Scene) -> Names:
    key = f"jobs/{scene.number()}"
    scene.here.store(key, "text")
    return {"key": key}


def workspace(scene: Scene) -> Names:
    return {"name": scene.workspace()}


def environment(scene: Scene) -> Names:
    scene.environment()
    return {}


def context(scene: Scene) -> Names:
    return {"name": scene.context()}


def stored(scene: Scene, names: Names, said: str) -> None:
    scene.here.store("watched", "x")


def emitter(scene: Scene) -> Names:
    """An agent that says something all the time."""
    name = f"clock-{scene.number()}"
    scene.there.spawn(name, command=["sh", "-c", "while :; do echo tick; sleep 0.05; done"])
    return {"agent": name}


def joining(scene: Scene) -> Names:
    """A machine that is about to join, from the kernel beside."""
    with CloveClient(scene.spare.socket) as spare:
        spare.tunnel_disconnect()
    machine = f"spare-{scene.number()}"
    token = scene.relay.issue_token("join", machine_id=machine)["token"]
    return {"url": scene.fleet.url, "machine": machine, "token": str(token)}


def joined(scene: Scene) -> Names:
    names = joining(scene)
    with CloveClient(scene.spare.socket) as spare:
        spare.tunnel_connect(names["url"], names["machine"], names["token"])
    return names


def spare(scene: Scene) -> Names:
    return {"CLOVE_SOCKET": scene.spare.socket}


def no_kernel(scene: Scene) -> Names:
    """A place for a kernel of its own."""
    directory = f"{scene.home}/k"
    return {"socket": f"{directory}/s", "directory": directory}


def own_kernel(scene: Scene) -> Names:
    names = no_kernel(scene)
    words = ["up", "--no-systemd", "--socket", names["socket"], "--state-dir", names["directory"]]
    scene.clove(*words)
    return names


def relay_place(scene: Scene) -> Names:
    directory = f"{scene.home}/r"
    config = scene.file("[rest]\nport = 0\n[hub]\nport = 0\n", "relay.toml")
    return {"where": f"--config {config} --state-dir {directory}", "file": f"{scene.home}/b"}


def relay_up(scene: Scene) -> Names:
    names = relay_place(scene)
    scene.clove("relay", "up", "--no-systemd", *names["where"].split())
    Path(names["file"]).unlink(missing_ok=True)
    return names


def backup(scene: Scene) -> Names:
    names = relay_up(scene)
    scene.clove("relay", "backup", names["file"], *names["where"].split())
    scene.clove("relay", "down", *names["where"].split())
    return names


def login(scene: Scene) -> Names:
    return {"url": scene.context_url, "name": f"in{scene.number()}"}


def deployment(scene: Scene) -> Names:
    """A container, deployed to a Docker and a relay that are files."""
    scene.deploy()
    return {}


def fakes(scene: Scene) -> Names:
    return scene.fakes


def small_bundle(directory: Path, target: Target) -> Bundle:
    """What stands for one: to make it takes 15 s, and has tests of its own."""
    path = directory / f"clove-0.1.0-{target.name}.tar.gz"
    path.write_bytes(b"bundle")
    return Bundle(path, target, "0.1.0-3fa94c21", "a" * 64)


def bundles() -> None:
    """Have the command make that."""
    bundle.make_bundle = small_bundle  # type: ignore[assignment]


DRY = "--label env=test --dry-run"
