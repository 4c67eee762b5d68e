"""The program C{kubectl}, whose cluster is a file: it speaks the command line and output that deployments use.

Pods that run, and the join tokens of their Secret, lie where L{tests.cloud.fake_fleet} looks for instances and tokens, in
C{$CLOVE_FAKE_CLOUD}; a pod's volume is its identity. Standard library alone.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

CLOUD = Path(os.environ.get("CLOVE_FAKE_CLOUD", "cloud"))
TABLE = CLOUD / "cluster.json"


def main(words: list[str]) -> None:
    CLOUD.mkdir(exist_ok=True)
    with (CLOUD / "calls").open("a") as calls:
        calls.write(json.dumps({"words": words, "environ": dict(os.environ)}) + "\n")
    if words[0] == "--context":
        words = words[2:]
    if (CLOUD / "no-cluster").exists():
        sys.exit(
            "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
        )
    kept = json.loads(TABLE.read_text()) if TABLE.exists() else {"objects": {}, "volumes": {}}
    verb, *rest = words
    {"get": get, "apply": apply, "delete": delete, "rollout": rollout}[verb](kept, rest)
    beside = TABLE.with_suffix(".new")
    beside.write_text(json.dumps(kept, indent=1))
    beside.rename(TABLE)
    show_instances(kept)


def name_of(kind: str, name: str, namespace: str) -> str:
    return f"{kind.lower()}/{'' if kind.lower() == 'namespace' else namespace}/{name}"


def get(kept: dict[str, Any], words: list[str]) -> None:
    kind, name, *options = words
    assert options[-3:] == ["--ignore-not-found", "--output", "json"], options
    namespace = options[1] if options[0] == "--namespace" else ""
    found = kept["objects"].get(name_of(kind, name, namespace))
    if found is not None:
        print(json.dumps(found))


def apply(kept: dict[str, Any], words: list[str]) -> None:
    wanted = ["--server-side", "--force-conflicts", "--field-manager", "clove", "--filename", "-"]
    assert words == wanted, words
    for one in json.load(sys.stdin)["items"]:
        meta = one["metadata"]
        namespace = meta.get("namespace", "")
        if (
            one["kind"] != "Namespace"
            and name_of("namespace", namespace, "") not in kept["objects"]
        ):
            sys.exit(f'Error from server (NotFound): namespaces "{namespace}" not found')
        kept["objects"][name_of(one["kind"], meta["name"], namespace)] = one
        if one["kind"] == "StatefulSet":
            for number in range(one["spec"]["replicas"]):
                kept["volumes"].setdefault(
                    f"{namespace}/{meta['name']}-{number}", secrets.token_hex(6)
                )
        print(f"{one['kind'].lower()}/{meta['name']} serverside-applied")
        if (CLOUD / "quota").exists() and one["kind"] == "StatefulSet":
            sys.exit("Error from server (Forbidden): exceeded quota: pods")


def delete(kept: dict[str, Any], words: list[str]) -> None:
    kind, *rest = words
    names = rest[: next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))]
    assert "--ignore-not-found" in rest
    if kind == "pod":
        return  # made anew at once
    (name,) = names
    for table in ("objects", "volumes"):
        kept[table] = {
            key: one
            for key, one in kept[table].items()
            if f"/{name}/" not in key
            and key != f"namespace//{name}"
            and not key.startswith(f"{name}/")
        }
    print(f'namespace "{name}" deleted')


def rollout(kept: dict[str, Any], words: list[str]) -> None:
    assert words[0] == "status"
    assert words[1].startswith("statefulset/")


def show_instances(kept: dict[str, Any]) -> None:
    """To the fleet: the pods that run, by their volume, and the tokens of their Secret."""
    running: dict[str, tuple[str, str]] = {}
    for one in kept["objects"].values():
        if one["kind"] != "StatefulSet":
            continue
        namespace, pool = one["metadata"]["namespace"], one["metadata"]["name"]
        held = kept["objects"].get(name_of("secret", "clove-join", namespace), {}).get("data", {})
        for number in range(one["spec"]["replicas"]):
            pod = f"{pool}-{number}"
            token = base64.b64decode(held.get(pod, "")).decode()
            running[pod] = kept["volumes"][f"{namespace}/{pod}"], token
    places = CLOUD / "instances", CLOUD / "buckets" / "secrets" / "join"
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for path in place.iterdir():
            if path.name.removesuffix(".json") not in running:
                path.unlink()
    for machine, (key, token) in running.items():
        (places[0] / f"{machine}.json").write_text(json.dumps({"id": key}))
        (places[1] / machine).write_text(token)


if __name__ == "__main__":
    main(sys.argv[1:])
