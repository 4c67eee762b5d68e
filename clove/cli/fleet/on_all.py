"""A script on several machines of a relay: started on each, and left to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.cli.fleet.deployment import Deployment
    from clove.client.fleet import FleetClient

__all__ = ["start_on_all"]


def start_on_all(
    console: Console,
    fleet: FleetClient,
    deployment: Deployment,
    chosen: tuple[str, ...],
    labels: dict[str, str],
    every: bool,
) -> bool:
    """Start it on each, and say how that went as soon as it is known.

    @return: False if one failed that was there, or one that was named, or all.
    """
    selector = {"machines": list(chosen), "labels": labels, "all": every}
    good, failed = 0, False
    for result in deployment.start_on_all(fleet, selector):
        made = result["status"] in ("deployed", "sent")
        good += made
        failed = failed or not (made or (result["status"] == "unavailable" and not chosen))
        if console.as_json:
            console.data(result)
        elif made:
            agent = f"agent {result['agent_id']} ({result['agent_name']})"
            console.line(f"{result['machine_id']}: {agent if result['agent_id'] else 'sent'}")
        else:
            console.remark(f"{result['machine_id']}: {result['error']}")
    return good > 0 and not failed
