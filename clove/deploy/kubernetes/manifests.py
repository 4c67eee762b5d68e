"""What a deployment is to a cluster: the shipped manifests, with its names, machines and image. Pure but for reading them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

__all__ = ["LABEL", "Pool", "namespace_of", "objects", "secrets"]

LABEL: Final = "clove.deployment"
"""What is made has the deployment's name as this label."""
_FILES: Final = (
    "kernels/namespace",
    "kernels/settings",
    "kernels/network",
    "pool/pool",
    "seccomp/installer",
)
_POOL: Final = "clove-kernel"
"""The pool's name in the manifests; a pod has it before its number, and is the machine."""


class Pool(NamedTuple):
    """Pods with kernels.

    @ivar size: how many pods.
    @ivar name: of the deployment; pod and machine are C{NAME-0}, C{NAME-1}, ...
    @ivar image: what they run.
    @ivar hub: what they dial.
    @ivar authority: whether the relay's certificate has an authority of its own.
    @ivar storage: of each, such as C{10Gi}; memory, cpus: limits of each, "" as in the manifest.
    @ivar privileged: for clusters without user namespaces for pods.
    @ivar relay_network: CIDR of a private network in which the relay is; "": it is public, or a service of the cluster.
    """

    name: str
    size: int
    image: str
    hub: str
    authority: bool = False
    storage: str = ""
    memory: str = ""
    cpus: str = ""
    privileged: bool = False
    relay_network: str = ""


def namespace_of(name: str) -> str:
    """The namespace that is the deployment's own."""
    return f"clove-{name}"


def objects(pool: Pool) -> list[dict[str, Any]]:
    """All but secrets, in the order in which they are applied."""
    found = [_placed(one, pool) for one in _shipped()]
    found.append(_placed(_profile(), pool))
    return found


def secrets(pool: Pool, tokens: Mapping[str, str], authority: str) -> list[dict[str, Any]]:
    """What is secret of it.

    @param tokens: machine to join token.
    """
    made = [_secret("clove-join", tokens)] if tokens else []
    made += [_secret("clove-authority", {"ca.crt": authority})] if authority else []
    return [_placed(one, pool) for one in made]


def _shipped() -> Iterator[dict[str, Any]]:
    import yaml

    root = files("clove.deploy").joinpath("files", "kubernetes")
    for name in _FILES:
        yield from yaml.safe_load_all(root.joinpath(f"{name}.yaml").read_text())


def _profile() -> dict[str, Any]:
    text = files("clove.deploy").joinpath("files", "docker", "seccomp.json").read_text()
    data = {"seccomp.json": json.dumps(json.loads(text))}
    meta = {"name": "clove-seccomp"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def _secret(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
    meta = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": data}


def _placed(one: dict[str, Any], pool: Pool) -> dict[str, Any]:
    """An object in the deployment's namespace, with its label."""
    meta = one["metadata"]
    meta["labels"] = {**meta.get("labels", {}), LABEL: pool.name}
    kind = one["kind"]
    if kind == "Namespace":
        meta["name"] = namespace_of(pool.name)
        return one
    meta["namespace"] = namespace_of(pool.name)
    if kind == "StatefulSet":
        meta["name"] = pool.name  # pods, and so machines, are named after it
        _fill(one["spec"], pool)
    elif kind == "ConfigMap" and meta["name"] == _POOL:
        one["data"]["CLOVE_RELAY_URL"] = pool.hub
    elif kind == "DaemonSet":
        one["spec"]["template"]["spec"]["containers"][0]["image"] = pool.image
    elif kind == "NetworkPolicy":
        _let_out(one["spec"], pool)
    return one


def _fill(spec: dict[str, Any], pool: Pool) -> None:
    spec["replicas"] = pool.size
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    container["image"] = pool.image
    limits = container["resources"]["limits"]
    limits |= {"memory": pool.memory} if pool.memory else {}
    limits |= {"cpu": pool.cpus} if pool.cpus else {}
    if pool.storage:
        (claim,) = spec["volumeClaimTemplates"]
        claim["spec"]["resources"]["requests"]["storage"] = pool.storage
    if not pool.authority:
        pod["volumes"] = [each for each in pod["volumes"] if each["name"] != "authority"]
        mounts = container["volumeMounts"]
        container["volumeMounts"] = [each for each in mounts if each["name"] != "authority"]
    if pool.privileged:
        del pod["hostUsers"], pod["securityContext"]["seccompProfile"]
        container["securityContext"] = {
            "privileged": True,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
        }


def _let_out(spec: dict[str, Any], pool: Pool) -> None:
    """To the relay, where it is not on the public network: in the cluster, or in a network that is named."""
    parts = urlsplit(pool.hub)
    host = (parts.hostname or "").split(".")
    peer: dict[str, Any] = {}
    if pool.relay_network:
        peer = {"ipBlock": {"cidr": pool.relay_network}}
    elif len(host) > 2 and host[2] == "svc":
        match = {"matchLabels": {"kubernetes.io/metadata.name": host[1]}}
        peer = {"namespaceSelector": match}
    if peer:
        spec["egress"].append({"to": [peer]})
