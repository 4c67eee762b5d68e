"""What holds of deploy/kubernetes and deploy/docker/compose.yaml, whatever a schema says (`make test-manifests`)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SECRET = re.compile(r"token|password|secret|key\b|credential", re.IGNORECASE)
KERNELS = ("clove-kernel", "clove-kernel-node")


def objects() -> Iterator[dict[str, Any]]:
    """All but what kustomize reads itself."""
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text()):
            if "kind" in one and one["kind"] not in ("Kustomization", "Component"):
                yield one


WORKLOADS = {one["metadata"]["name"]: one for one in objects() if "template" in one.get("spec", {})}
PODS = {name: one["spec"]["template"]["spec"] for name, one in WORKLOADS.items()}
CONTAINERS = [
    pytest.param(pod, container, id=f"{name}-{container['name']}")
    for name, pod in PODS.items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
]


def test_there_are_relays_a_pool_and_a_kernel_on_each_node() -> None:
    kinds = {name: one["kind"] for name, one in WORKLOADS.items()}
    assert kinds == {
        "clove-relay": "Deployment",
        "clove-kernel": "StatefulSet",
        "clove-kernel-node": "DaemonSet",
        "clove-seccomp": "DaemonSet",
    }


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_no_container_has_a_right_that_it_does_not_need(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    context = container["securityContext"]
    assert "privileged" not in context
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    if container["name"] != "installer":  # writes one directory of the node's
        assert pod["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_every_container_has_bounds_and_is_asked_whether_it_lives(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert container.keys() >= {"livenessProbe", "readinessProbe"}
    assert container["image"] == "clove"  # an overlay says which
    for volume in pod.get("volumes", []):
        if "emptyDir" in volume:
            assert volume["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_no_secret_is_in_an_environment(pod: dict[str, Any], container: dict[str, Any]) -> None:
    for variable in container.get("env", []):
        assert "secretKeyRef" not in variable.get("valueFrom", {})
        assert not SECRET.search(variable["name"])
    assert all("secretRef" not in source for source in container.get("envFrom", []))
    for one in objects():
        assert one["kind"] != "Secret"
        if one["kind"] == "ConfigMap":
            assert not [key for key in one["data"] if SECRET.search(key)]
            assert "://" not in one["data"].get("CLOVE_POSTGRESQL", "").replace("://clove@", "")


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_has_a_user_namespace_and_what_a_sandbox_needs_besides(name: str) -> None:
    pod = PODS[name]
    (container,) = pod["containers"]
    assert pod["hostUsers"] is False
    assert container["securityContext"]["procMount"] == "Unmasked"
    assert container["securityContext"]["appArmorProfile"] == {"type": "Unconfined"}
    assert pod["securityContext"]["seccompProfile"]["localhostProfile"] == "clove/seccomp.json"
    assert "ports" not in container


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_that_is_stopped_lets_its_agents_end(name: str) -> None:
    (container,) = PODS[name]["containers"]
    *_, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert float(seconds) + 20 < PODS[name]["terminationGracePeriodSeconds"]


def test_disruptions_take_one_pod_at_a_time() -> None:
    budgets = [one for one in objects() if one["kind"] == "PodDisruptionBudget"]
    labels = [one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for one in budgets]
    assert sorted(labels) == ["clove-kernel", "clove-relay"]
    assert all(one["spec"]["maxUnavailable"] == 1 for one in budgets)
    assert WORKLOADS["clove-relay"]["spec"]["replicas"] > 1


def test_nothing_connects_to_kernels_and_they_reach_no_metadata_service() -> None:
    (policy,) = (
        one
        for one in objects()
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "clove-kernels"
    )
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy["spec"]
    blocks = [
        peer["ipBlock"]
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", [{}])
        if "ipBlock" in peer
    ]
    excepted = {block["cidr"]: set(block["except"]) for block in blocks}
    assert excepted["0.0.0.0/0"] >= {
        "169.254.0.0/16",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
    }
    assert excepted["::/0"] >= {"fc00::/7", "fe80::/10"}
    assert all(rule.get("to") for rule in policy["spec"]["egress"])


def test_the_nodes_get_the_seccomp_profile_of_docker() -> None:
    ours = (KUBERNETES / "seccomp" / "seccomp.json").read_text()
    assert ours == (DEPLOY / "docker" / "seccomp.json").read_text()


def test_the_seccomp_profile_allows_no_call_that_reaches_past_a_namespace() -> None:
    profile = json.loads((DEPLOY / "docker" / "seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {
        name for group in profile["syscalls"] for name in group["names"] if "args" not in group
    }
    assert not allowed & {
        *("bpf", "perf_event_open", "init_module", "finit_module", "delete_module", "kexec_load"),
        *(
            "kexec_file_load",
            "open_by_handle_at",
            "keyctl",
            "add_key",
            "request_key",
            "userfaultfd",
        ),
        *("io_uring_setup", "ptrace", "process_vm_writev", "reboot", "swapon", "settimeofday"),
        *(
            "clock_settime",
            "acct",
            "quotactl",
            "syslog",
            "personality",
            "iopl",
            "ioperm",
            "nfsservctl",
        ),
    }


def test_autoscaling_asks_for_a_metric_that_relays_have() -> None:
    from clove.loop.turns import serve_in_turns  # noqa: F401 its package holds the next one's types
    from clove.messages.metrics import ReactorTurns
    from clove.relay.rest.metrics import RequestCounts, exposition

    (scaler,) = (one for one in objects() if one["kind"] == "HorizontalPodAutoscaler")
    (name,) = (
        each["external"]["metric"]["name"]
        for each in scaler["spec"]["metrics"]
        if each["type"] == "External"
    )
    text = exposition(RequestCounts(), {}, 0, 0.0, ReactorTurns()).decode()
    assert f"\n{name} 0\n" in text
    for path in (KUBERNETES / "monitoring").glob("*.yaml"):
        if path.name != "service-monitor.yaml":
            assert name in path.read_text()


COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_of_compose_is_hardened_bounded_and_healthy(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys()
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["healthcheck"]["test"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for variable, value in service["environment"].items():
        assert variable.endswith("_FILE") or not SECRET.search(variable)
        assert "://" not in value or "@" not in value or "://clove@" in value


@pytest.mark.parametrize("name", ["relay", "pool", "nodes", "seccomp", "example"])
def test_kustomize_renders_it(name: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl, which renders overlays")
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    for one in found:
        assert one["kind"] == "Namespace" or one["metadata"].get("namespace"), one["metadata"]
        if name == "example" and "template" in one.get("spec", {}):
            (container,) = one["spec"]["template"]["spec"]["containers"]
            assert container["image"] == "registry.example.org/clove:0.1.0"
