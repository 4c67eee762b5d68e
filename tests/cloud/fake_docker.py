"""The program C{docker}, or C{podman}, whose containers are files: it speaks their command line and output.

What runs, and the join tokens that were put into volumes, lie where L{tests.cloud.fake_fleet} looks for instances and
tokens, in C{$CLOVE_FAKE_CLOUD}: a volume is an instance's identity, as the kernel's key lies in it. Standard library alone.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

CLOUD = Path(os.environ.get("CLOVE_FAKE_CLOUD", "cloud"))
TABLE = CLOUD / "docker.json"
CREATE = {
    **dict.fromkeys(("name", "label", "volume", "restart", "tmpfs", "cap-drop", "security-opt"), 1),
    **dict.fromkeys(("env", "network", "memory", "cpus", "pids-limit"), 1),
    "read-only": 0,
}
"""Options of C{create} that are used, and whether each has a value."""
BUILD = {"quiet": 0, "tag": 1, "label": 1, "build-arg": 1, "format": 1}


def main(words: list[str]) -> None:
    CLOUD.mkdir(exist_ok=True)
    with (CLOUD / "calls").open("a") as calls:
        calls.write(json.dumps({"words": words, "environ": dict(os.environ)}) + "\n")
    if (CLOUD / "no-daemon").exists():
        fail(
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
        )
    kept = (
        json.loads(TABLE.read_text())
        if TABLE.exists()
        else {"image": {}, "container": {}, "volume": {}}
    )
    kind, *rest = words
    if kind in ("image", "container", "volume"):
        verb, *rest = rest
        said = {"ls": listed, "rm": removed, "inspect": inspected, "create": volume}[verb](
            kept, kind, rest
        )
    else:
        said = {"build": build, "pull": pull, "create": create, "cp": copy, "start": start}[kind](
            kept, rest
        )
    beside = TABLE.with_suffix(".new")
    beside.write_text(json.dumps(kept, indent=1))
    beside.rename(TABLE)
    show_instances(kept)
    if said:
        print(said)


def fail(why: str) -> None:
    sys.exit(f"Error response from daemon: {why}")


def parsed(words: list[str], known: dict[str, int]) -> tuple[dict[str, list[str]], list[str]]:
    """Options before the first word that is none, as docker takes them."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest and rest[0].startswith("--"):
        name = rest.pop(0)[2:]
        if name not in known:
            sys.exit(f"unknown flag: --{name}")
        found.setdefault(name, []).append(rest.pop(0) if known[name] else "")
    return found, rest


def labels(options: dict[str, list[str]]) -> dict[str, str]:
    return dict(each.split("=", 1) for each in options.get("label", []))


def new_id(*parts: str) -> str:
    return hashlib.sha256("\0".join([*parts, str(os.getpid())]).encode()).hexdigest()


def listed(kept: dict[str, Any], kind: str, words: list[str]) -> str:
    options = argparse.ArgumentParser()
    for flag in ("--all", "--quiet", "--no-trunc"):
        options.add_argument(flag, action="store_true")
    options.add_argument("--filter", action="append")
    options.add_argument("--format")
    given = options.parse_args(words)
    found = kept[kind]
    for each in given.filter:
        what, _, value = each.partition("=")
        if what == "label":
            key, _, wanted = value.partition("=")
            found = {name: one for name, one in found.items() if one["labels"].get(key) == wanted}
        elif what == "reference":
            found = {name: one for name, one in found.items() if value in one["names"]}
        else:
            fail(f"invalid filter '{what}'")
    if kind == "container" and not given.all:
        found = {name: one for name, one in found.items() if one["running"]}
    return "\n".join(found)


def removed(kept: dict[str, Any], kind: str, words: list[str]) -> str:
    _, names = parsed(words, {"force": 0, "volumes": 0})
    for name in names:
        if name not in kept[kind]:
            fail(f"No such {kind}: {name}")
        if kind == "volume" and any(one["volume"] == name for one in kept["container"].values()):
            fail(f"remove {name}: volume is in use")
        del kept[kind][name]
    return "\n".join(names)


def inspected(kept: dict[str, Any], kind: str, words: list[str]) -> str:
    (name,) = words
    one = kept["container"].get(name)
    if one is None:
        print("[]")
        fail(f"No such container: {name}")
    state = {
        "Status": "running" if one["running"] else "exited" if one["dies"] else "created",
        "Running": one["running"],
        "ExitCode": 1 if one["dies"] else 0,
    }
    config = {"Image": one["image"], "Labels": one["labels"]}
    return json.dumps(
        [{"Id": name, "Name": f"/{one['name']}", "State": state, "Config": config}], indent=4
    )


def volume(kept: dict[str, Any], kind: str, words: list[str]) -> str:
    options, (name,) = parsed(words, {"label": 1})
    made = {"labels": labels(options), "key": new_id(name)[:12], "token": ""}
    kept["volume"].setdefault(
        name, made
    )  # docker gives one of this name that is there, with its own labels
    return name


def build(kept: dict[str, Any], words: list[str]) -> str:
    options, (context,) = parsed(words, BUILD)
    there = {path.name for path in Path(context).iterdir()}
    assert there > {"Dockerfile", "entrypoint", "health", "drain"}, there
    if not any(name.startswith("clove-") for name in there):
        fail("failed to solve: lstat clove-*.tar.gz: no such file or directory")
    if (CLOUD / "build-fails").exists():
        fail("failed to solve: write /opt/clove: no space left on device")
    made = "sha256:" + new_id(*options["tag"])
    kept["image"][made] = {"labels": labels(options), "names": options["tag"]}
    return made


def pull(kept: dict[str, Any], words: list[str]) -> str:
    _, (name,) = parsed(words, {"quiet": 0})
    if "nowhere" in name:
        fail(f'Get "https://{name.partition("/")[0]}/v2/": dial tcp: lookup: no such host')
    kept["image"]["sha256:" + new_id(name)] = {"labels": {}, "names": [name]}
    return name


def create(kept: dict[str, Any], words: list[str]) -> str:
    options, (image, *command) = parsed(words, CREATE)
    assert command == ["kernel"]
    (name,) = options["name"]
    if not any(image in one["names"] for one in kept["image"].values()):
        fail(f"No such image: {image}")
    if any(one["name"] == name for one in kept["container"].values()):
        fail(f'Conflict. The container name "/{name}" is already in use')
    held, _, place = options["volume"][0].partition(":")
    assert place == "/var/lib/clove"
    made = new_id(name)
    environ = dict(each.split("=", 1) for each in options["env"])
    kept["container"][made] = {
        "name": name,
        "labels": labels(options),
        "image": image,
        "running": False,
        "dies": (CLOUD / "dies").exists(),
        "volume": held,
        "machine": environ["CLOVE_MACHINE"],
    }
    return made


def copy(kept: dict[str, Any], words: list[str]) -> str:
    source, target = words
    assert source == "-"
    made, _, place = target.partition(":")
    assert place == "/var/lib/clove"
    held = kept["volume"][kept["container"][made]["volume"]]
    with tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read())) as archive:
        for member in archive:
            assert (member.uid, member.mode & 0o077) == (1000, 0), member
            if member.name == "secrets/join-token":
                file = archive.extractfile(member)
                assert file is not None
                held["token"] = file.read().decode()
    return ""


def start(kept: dict[str, Any], words: list[str]) -> str:
    (made,) = words
    kept["container"][made]["running"] = not kept["container"][made]["dies"]
    return made


def show_instances(kept: dict[str, Any]) -> None:
    """To the fleet: what runs, by the key in its volume, and its token."""
    running = {
        one["machine"]: one["volume"] for one in kept["container"].values() if one["running"]
    }
    places = CLOUD / "instances", CLOUD / "buckets" / "volumes" / "join"
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for path in place.iterdir():
            if path.name.removesuffix(".json") not in running:
                path.unlink()
    for machine, held in running.items():
        key = kept["volume"][held]["key"]
        (places[0] / f"{machine}.json").write_text(json.dumps({"id": key}))
        (places[1] / machine).write_text(kept["volume"][held]["token"])


if __name__ == "__main__":
    main(sys.argv[1:])
