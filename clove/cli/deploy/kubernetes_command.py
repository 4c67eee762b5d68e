"""`clove deploy kubernetes`."""

from __future__ import annotations

import click

from clove.cli.deploy.options import Asked, TargetCommand, deployment_options
from clove.cli.fleet.relay_options import RELAY_HELP

__all__ = ["command"]


@click.command(
    "kubernetes",
    cls=TargetCommand,
    epilog=f"""\b
Examples:
  clove deploy kubernetes --image registry.example.org/clove:0.1.0 --count 3
  clove deploy kubernetes --image IMAGE --name lab --kube-context staging
  clove deploy kubernetes --image IMAGE --name lab --dry-run
  clove deploy kubernetes --image IMAGE --name lab --destroy     pods, volumes, namespace

Your own kubectl is used. Each pod is a machine (NAME-0, NAME-1, ...) with a volume, in the namespace
clove-NAME. Pods have a user namespace and no capability, for which the cluster needs Kubernetes 1.33
or newer, containerd 2.0 or CRI-O, and nodes with Linux 6.3; else --privileged (docs/kubernetes.md).

{RELAY_HELP}""",
)
@click.option("--name", default="kernel", help="Of the pods and machines [kernel].")
@click.option("--count", type=click.IntRange(1, 100), default=1, help="Pods [1].")
@click.option("--image", required=True, help="What they run; the cluster has to reach it.")
@click.option("--kube-context", default="", help="A context of kubectl's [the current one].")
@click.option("--storage", default="", help="Size of each one's volume [10Gi].")
@click.option("--memory", default="", help="For all agents of a pod together [4Gi].")
@click.option("--cpus", default="", help="Processors of a pod, such as 2 or 500m [no limit].")
@click.option("--privileged", is_flag=True, help="For clusters without user namespaces for pods.")
@click.option(
    "--relay-network",
    default="",
    metavar="CIDR",
    help="Let pods out to this private network, where the relay is.",
)
@deployment_options
def command(
    asked: Asked,
    name: str,
    count: int,
    image: str,
    kube_context: str,
    storage: str,
    memory: str,
    cpus: str,
    privileged: bool,
    relay_network: str,
) -> None:
    """Deploy a pool of kernels to a Kubernetes cluster."""
    options = {
        "count": count,
        "image": image,
        "kube_context": kube_context,
        "storage": storage,
        "memory": memory,
        "cpus": cpus,
        "privileged": privileged,
        "relay_network": relay_network,
    }
    asked.deploy("kubernetes", name, options)
