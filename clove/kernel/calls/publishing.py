"""Ports of agents on the host's loopback: who may publish them, and changes while an agent runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.launch.request_checks import check_publishing

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.launch.facilities import PortChange
    from clove.kernel.principal import Principal
    from clove.messages.publishing import PublishedPort, PublishRequest

__all__ = ["prepare_ports", "published_ports", "require_publisher"]


def require_publisher(caller: Principal) -> None:
    """May the caller open ports of the host?

    @raise PermissionDenied: rule `publish`.
    """
    if not caller.is_operator:
        raise PermissionDenied(
            "only the operator may publish ports of agents on the host",
            rule="publish",
            hint="have the operator do it: clove run --publish, or clove update --publish",
        )


def published_ports(agent: Agent) -> list[PublishedPort]:
    """Those of an agent that are reachable on the host's loopback."""
    ports = None if agent.provision is None else agent.provision.ports
    return [] if ports is None else ports.shown()


def prepare_ports(agent: Agent, publish: list[PublishRequest], unpublish: list[int]) -> PortChange:
    """Judge which published ports of an agent that runs are revoked, and which others published.

    @raise InvalidRequest: it has no network of its own.
    @raise CloveError: see L{clove.kernel.launch.facilities.PublishedPorts}.
    """
    provision = agent.provision
    if provision is None:
        raise Unavailable(f"agent {agent.agent_id} is ending")
    if publish and agent.request is not None:
        check_publishing(msgspec.structs.replace(agent.request, publish=publish))
    return provision.open_ports().prepare(publish, unpublish)
